"""The same model in the transformers library: its config, its weights, and what it must be told to act as SAM 2 does.

The names on both sides are facts read off the two state dicts. `SAM2VideoTwin` makes the decisions of Meta's
predictor where `Sam2VideoModel` makes others; docs/parity.md lists them.
"""

import re
from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import (
    Sam2Config,
    Sam2HieraDetConfig,
    Sam2MaskDecoderConfig,
    Sam2Model,
    Sam2PromptEncoderConfig,
    Sam2VideoConfig,
    Sam2VideoMaskDecoderConfig,
    Sam2VideoModel,
    Sam2VideoPromptEncoderConfig,
    Sam2VisionConfig,
)

from sam2_torch.config import HieraConfig, SAM2Config
from sam2_torch.network import SAM2

FOURIER = "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
FOURIER_COPIES = ("shared_image_embedding.positional_embedding", "prompt_encoder.shared_embedding.positional_embedding")
POINT_ROW = re.compile(r"sam_prompt_encoder\.point_embeddings\.(\d)\.weight")
POINT_TABLE = "prompt_encoder.point_embed.weight"

# Applied in this order, each to what the ones before it have made.
RENAMED = (
    (r"^image_encoder\.trunk\.patch_embed\.proj\.", "vision_encoder.backbone.patch_embed.projection."),
    (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
    (r"^image_encoder\.neck\.convs\.(\d)\.conv\.", r"vision_encoder.neck.convs.\1."),
    (r"^sam_prompt_encoder\.mask_downscaling\.0\.", "prompt_encoder.mask_embed.conv1."),
    (r"^sam_prompt_encoder\.mask_downscaling\.1\.", "prompt_encoder.mask_embed.layer_norm1."),
    (r"^sam_prompt_encoder\.mask_downscaling\.3\.", "prompt_encoder.mask_embed.conv2."),
    (r"^sam_prompt_encoder\.mask_downscaling\.4\.", "prompt_encoder.mask_embed.layer_norm2."),
    (r"^sam_prompt_encoder\.mask_downscaling\.6\.", "prompt_encoder.mask_embed.conv3."),
    (r"^sam_prompt_encoder\.", "prompt_encoder."),
    (r"^sam_mask_decoder\.output_upscaling\.0\.", "mask_decoder.upscale_conv1."),
    (r"^sam_mask_decoder\.output_upscaling\.1\.", "mask_decoder.upscale_layer_norm."),
    (r"^sam_mask_decoder\.output_upscaling\.3\.", "mask_decoder.upscale_conv2."),
    (r"^sam_mask_decoder\.", "mask_decoder."),
    (r"^memory_encoder\.out_proj\.", "memory_encoder.projection."),
    (r"^memory_encoder\.pix_feat_proj\.", "memory_encoder.feature_projection."),
    (r"^memory_encoder\.fuser\.", "memory_encoder.memory_fuser."),
    (r"\.dwconv\.", ".depthwise_conv."),
    (r"\.pwconv(\d)\.", r".pointwise_conv\1."),
    (r"\.gamma$", ".scale"),
    (r"\.out_proj\.", ".o_proj."),
    (r"\.norm_final_attn\.", ".layer_norm_final_attn."),
    (r"\.norm(\d?)\.", r".layer_norm\1."),
    (r"^maskmem_tpos_enc$", "memory_temporal_positional_encoding"),
    (r"^no_mem_embed$", "no_memory_embedding"),
    (r"^no_mem_pos_enc$", "no_memory_positional_encoding"),
    (r"^no_obj_ptr$", "no_object_pointer"),
    (r"^no_obj_embed_spatial$", "occlusion_spatial_embedding_parameter"),
    (r"^obj_ptr_proj\.", "object_pointer_proj."),
    (r"^obj_ptr_tpos_proj\.", "temporal_positional_encoding_projection_layer."),
)
DOWNSAMPLER = re.compile(r"^(memory_encoder\.mask_downsampler)\.encoder\.(\d+)\.")
MLP_LAYER = re.compile(r"^(.*(?:\.mlp|_mlps\.\d|_head|object_pointer_proj))\.layers\.(\d)\.")


def twin_key(key: str, keys: Iterable[str]) -> str:
    """Where a tensor that has one place in both lies; `keys` are all names of our state dict."""
    new = key
    for pattern, replacement in RENAMED:
        new = re.sub(pattern, replacement, new)
    new = DOWNSAMPLER.sub(_downsampler_layer, new)
    is_mlp = MLP_LAYER.match(new)
    if is_mlp is None:
        return new
    last = max(int(k.rsplit(".", 2)[1]) for k in keys if k.rsplit(".", 2)[0] == key.rsplit(".", 2)[0])
    index = int(is_mlp[2])
    place = "proj_in" if index == 0 else "proj_out" if index == last else f"layers.{index - 1}"
    return MLP_LAYER.sub(rf"\1.{place}.", new)


def _downsampler_layer(match: re.Match[str]) -> str:
    layer, part = divmod(int(match[2]), 3)  # convolution, norm, activation; last a 1 x 1 convolution
    return f"{match[1]}.final_conv." if layer == 4 else f"{match[1]}.layers.{layer}.{('conv', 'layer_norm')[part]}."


def twin_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict under the names of `Sam2VideoModel`; the Fourier matrix lies there twice, points in one table."""
    renamed: dict[str, Tensor] = {}
    rows: dict[int, Tensor] = {}
    for key, tensor in weights.items():
        if row := POINT_ROW.fullmatch(key):
            rows[int(row[1])] = tensor
        elif key == FOURIER:
            renamed.update(dict.fromkeys(FOURIER_COPIES, tensor))
        else:
            new = twin_key(key, weights)
            if new in renamed:
                raise ValueError(f"two tensors would become {new}, the second is {key}")
            renamed[new] = tensor
    renamed[POINT_TABLE] = torch.cat([rows[i] for i in sorted(rows)])
    return renamed


def twin_config(config: SAM2Config, size: int) -> Sam2VideoConfig:
    """The config of the same model for frames of `size` x `size` pixels."""
    trunk = config.trunk
    if not isinstance(trunk, HieraConfig):
        raise ValueError(f"{config.name} has no Hiera trunk, so transformers has no such model")
    return Sam2VideoConfig(
        image_size=size,
        vision_config=_vision_config(trunk, config.width, size),
        prompt_encoder_config=Sam2VideoPromptEncoderConfig(hidden_size=config.width, image_size=size),
        mask_decoder_config=Sam2VideoMaskDecoderConfig(hidden_size=config.width, mlp_dim=config.decoder_hidden),
        num_maskmem=config.num_memories,
        max_object_pointers_in_encoder=config.max_pointers,
        enable_occlusion_spatial_embedding=config.version == "2.1",
        enable_temporal_pos_encoding_for_object_pointers=config.version == "2.1",
        memory_attention_hidden_size=config.width,
        memory_attention_num_layers=config.memory_layers,
        memory_attention_feed_forward_hidden_size=config.memory_hidden,
        memory_attention_rope_feat_sizes=[size // 16, size // 16],
        memory_encoder_hidden_size=config.width,
        memory_encoder_output_channels=config.memory_width,
        mask_downsampler_embed_dim=config.width,
        memory_fuser_embed_dim=config.width,
        memory_fuser_intermediate_dim=4 * config.width,
    )


def _vision_config(trunk: HieraConfig, width: int, size: int) -> Sam2VisionConfig:
    backbone = Sam2HieraDetConfig(
        hidden_size=trunk.embed_dim,
        num_attention_heads=trunk.num_heads,
        image_size=[size, size],
        window_positional_embedding_background_size=list(trunk.pos_embed_size),
        blocks_per_stage=list(trunk.stages),
        embed_dim_per_stage=list(trunk.widths),
        num_attention_heads_per_stage=[trunk.num_heads * 2**i for i in range(4)],
        window_size_per_stage=list(trunk.window_sizes),
        global_attention_blocks=list(trunk.global_blocks),
    )
    return Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=list(trunk.widths[::-1]),
        backbone_feature_sizes=[[size // stride, size // stride] for stride in (4, 8, 16)],
        fpn_hidden_size=width,
    )


class SAM2VideoTwin(Sam2VideoModel):
    """`Sam2VideoModel` with four decisions of Meta's predictor in place of its own."""

    def _run_single_frame_inference(self, **given):
        """Clicks added to a frame see the logits that were there, clamped to -32..32."""
        if given["point_inputs"] is not None:
            outputs = given["inference_session"].output_dict_per_obj[given["obj_idx"]]
            for kind in ("cond_frame_outputs", "non_cond_frame_outputs"):
                if given["frame_idx"] in outputs[kind]:
                    given["prev_sam_mask_logits"] = outputs[kind][given["frame_idx"]]["pred_masks"].clamp(-32, 32)
        return super()._run_single_frame_inference(**given)

    def _use_mask_as_output(self, backbone_features, high_res_features, mask_inputs):
        """A mask prompt's pointer is that of the first mask token, and its memory is made of the mask at stride 4."""
        output = super()._use_mask_as_output(backbone_features, high_res_features, mask_inputs)
        if mask_inputs.any():
            output.object_pointer = self._single_frame_forward(
                input_masks=self.mask_downsample(mask_inputs),
                image_embeddings=[*high_res_features, backbone_features],
                multimask_output=False,
            ).object_pointer
        output.high_res_masks = F.interpolate(output.pred_masks, mask_inputs.shape[-2:], mode="bilinear")
        return output

    def _batch_encode_memories(self, inference_session, frame_idx, *batch, **named):
        """Whether a mask is binarized is each object's own matter."""
        columns = [*batch, *named.values()]
        for row in zip(*columns, strict=True):
            super()._batch_encode_memories(inference_session, frame_idx, *([x] for x in row))


def video_twin(model: SAM2, size: int, *, plain: bool = False) -> Sam2VideoModel:
    """The same network, weights shared, for frames of `size` x `size`; `plain`: as the library has it."""
    twin = (Sam2VideoModel if plain else SAM2VideoTwin)(twin_config(model.config, size))
    twin.load_state_dict(twin_weights(model.state_dict()), strict=True, assign=True)
    return twin.requires_grad_(False).eval().to(model.device)


def image_twin(twin: Sam2VideoModel) -> Sam2Model:
    """The image model of the library with the weights of the video model, shared."""
    prompts, decoder = twin.config.prompt_encoder_config, twin.config.mask_decoder_config
    config = Sam2Config(
        vision_config=twin.config.vision_config,
        prompt_encoder_config=Sam2PromptEncoderConfig(hidden_size=prompts.hidden_size, image_size=prompts.image_size),
        mask_decoder_config=Sam2MaskDecoderConfig(hidden_size=decoder.hidden_size, mlp_dim=decoder.mlp_dim),
    )
    image_model, weights = Sam2Model(config), twin.state_dict()
    image_model.load_state_dict({k: weights[k] for k in image_model.state_dict()}, strict=True, assign=True)
    return image_model.requires_grad_(False).eval().to(twin.device)
