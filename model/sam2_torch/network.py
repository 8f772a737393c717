"""SAM 2: its parts under the parameter names of the published checkpoints."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from sam2_torch.attention import RotaryAttention
from sam2_torch.blocks import MLP
from sam2_torch.config import SAM2Config
from sam2_torch.image_encoder import ImageEncoder
from sam2_torch.mask_decoder import MaskDecoder
from sam2_torch.memory_attention import MemoryAttention
from sam2_torch.memory_encoder import MemoryEncoder
from sam2_torch.prompt_encoder import PromptEncoder, PromptMap


class SAM2(nn.Module):
    """The whole network; the functions of `video_predictor` and `image_predictor` run it.

    It keeps nothing between calls. Parameter names are those of the checkpoints, so that loading one is a strict
    `load_state_dict`.
    """

    no_obj_embed_spatial: nn.Parameter | None
    obj_ptr_tpos_proj: nn.Linear | None

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        self.config = config
        self.precision = torch.float32
        dim, memory_dim = config.width, config.memory_width
        self.image_encoder = ImageEncoder(config.trunk, dim)
        self.memory_attention = MemoryAttention(config)
        self.memory_encoder = MemoryEncoder(config)
        self.sam_prompt_encoder = PromptEncoder(config)
        self.sam_mask_decoder = MaskDecoder(config)
        self.prompt_map = PromptMap() if config.draws_prompts else None
        self.mask_downsample = nn.Conv2d(1, 1, 4, stride=4)
        self.obj_ptr_proj = MLP((dim, dim, dim, dim))
        self.maskmem_tpos_enc = nn.Parameter(_small(config.num_memories, 1, 1, memory_dim))
        self.no_mem_embed = nn.Parameter(_small(1, 1, dim))
        self.no_mem_pos_enc = nn.Parameter(_small(1, 1, dim))  # in every checkpoint, read by none of the options used
        self.no_obj_ptr = nn.Parameter(_small(1, dim))
        if config.version == "2.1":
            self.no_obj_embed_spatial = nn.Parameter(_small(1, memory_dim))
            self.obj_ptr_tpos_proj = nn.Linear(dim, memory_dim)
        else:
            self.no_obj_embed_spatial = None
            self.obj_ptr_tpos_proj = None

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.no_mem_embed.device

    def use_bfloat16(self) -> None:
        """From now on encode frames, attend to memories and encode these in bfloat16; there is no way back.

        For inference. Prompt encoder and mask decoder stay in float32: they cost little and draw the outlines.
        """
        self.precision = torch.bfloat16
        exact = {m for a in self.memory_attention.modules() if isinstance(a, RotaryAttention) for m in a.exact}
        for part in (self.image_encoder, self.memory_encoder, self.memory_attention):
            for module in part.modules():
                if isinstance(module, (nn.Linear, nn.Conv2d)) and module not in exact:
                    module.to(torch.bfloat16)

    def arithmetic(self) -> AbstractContextManager[object]:
        """The context in which the parts that may be in bfloat16 are run."""
        if self.precision == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.precision)


def _small(*shape: int) -> Tensor:
    return nn.init.trunc_normal_(torch.empty(shape), std=0.02)
