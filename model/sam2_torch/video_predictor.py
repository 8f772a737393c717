"""SAM 2 on video as four functions of values; whoever calls them owns the memory.

`encode_frame` -> `segment` (a prompted frame) or `track` (any other) -> `memorize` -> `MemoryBank.add`. They keep
nothing between calls and are differentiable: the session runs them in inference mode and stores memories in
bfloat16, training runs the very same functions with gradients.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_torch.image_encoder import normalize
from sam2_torch.mask_decoder import Proposals, ambiguous, resize_logits, single
from sam2_torch.memory_bank import MemorySelection
from sam2_torch.network import SAM2
from sam2_torch.outputs import FrameFeatures, FrameMemory, MaskInput, MaskPrediction, PointTokens
from sam2_torch.positions import first_token, sine_positions_1d, sine_positions_2d
from sam2_torch.prompt_encoder import NOT_A_POINT
from sam2_torch.windows import STRIDE

ABSENT_LOGIT = -1024.0
MASK_SCALE, MASK_BIAS = 20.0, -10.0
FEEDBACK_LIMIT = 32.0


def encode_frame(model: SAM2, image: Tensor) -> FrameFeatures:
    """Encode a frame once for all objects and clicks.

    Parameters
    ----------
    image : (B, 3, H, W) float, 0..1
        H and W multiples of 32. The original takes 1024 x 1024.
    """
    decoder = model.sam_mask_decoder
    with model.arithmetic():
        normalized = normalize(image, model.config.mean, model.config.std)
        stride4, stride8, stride16 = model.image_encoder(normalized, decoder.conv_s0, decoder.conv_s1)
        return FrameFeatures(stride16, stride8, stride4)


def segment(
    model: SAM2,
    features: FrameFeatures,
    prompt: PointTokens | MaskInput,
    *,
    memories: MemorySelection | None = None,
    previous_logits: Tensor | None = None,
    present_above: float = 0.0,
) -> MaskPrediction:
    """Masks of N objects on a frame they are prompted on.

    Parameters
    ----------
    features
        Of the frame.
    prompt
        Clicks and boxes; or masks, which become the answer themselves.
    memories
        What the objects remember, for a correction on a tracked frame; None on their first frame.
    previous_logits : (N, 1, 4h, 4w), optional
        The masks to be corrected, fed back as mask prompts.
    present_above
        Logit of the object score above which an object is there.
    """
    if isinstance(prompt, MaskInput):
        return _mask_as_output(model, features, prompt.mask)
    image = condition_on_memory(model, features, memories)
    mask_input = None if previous_logits is None else previous_logits.clamp(-FEEDBACK_LIMIT, FEEDBACK_LIMIT)
    if model.prompt_map is not None:
        height, width = features.grid
        mask_input = model.prompt_map(prompt.xy, prompt.labels, mask_input, (4 * height, 4 * width))
    proposals = decode(model, features, image, prompt, mask_input)
    corrects = previous_logits is not None and model.config.ambiguous_corrections
    is_ambiguous = corrects or int((prompt.labels != NOT_A_POINT).sum(1).max()) <= 1
    chosen = ambiguous(proposals) if is_ambiguous else single(proposals, stable=not model.training)
    return _choose(model, chosen, present_above)


def track(
    model: SAM2, features: FrameFeatures, memories: MemorySelection, *, present_above: float = 0.0
) -> MaskPrediction:
    """Masks of N objects on a frame without prompts, from what they remember; the best of three each.

    `present_above` is as of `segment`.
    """
    image = condition_on_memory(model, features, memories)
    nothing = PointTokens(image.new_zeros(len(image), 1, 2), torch.full((len(image), 1), NOT_A_POINT).to(image.device))
    return _choose(model, ambiguous(decode(model, features, image, nothing, None)), present_above)


def memorize(
    model: SAM2, features: FrameFeatures, prediction: MaskPrediction, *, prompted: bool, present_above: float = 0.0
) -> FrameMemory:
    """What the frame leaves behind; on prompted frames the mask is binarized first (not while training).

    `present_above` is as of `segment`.
    """
    logits = resize_logits(prediction.logits, features.image_size)
    mask = (logits > 0).to(logits.dtype) if prompted and not model.training else logits.sigmoid()
    with model.arithmetic():
        memory = model.memory_encoder(features.stride16, mask * MASK_SCALE + MASK_BIAS)
    if model.no_obj_embed_spatial is not None:
        absent = (prediction.object_score <= present_above).to(memory.dtype)[:, None, None, None]
        memory = memory + absent * model.no_obj_embed_spatial[..., None, None]
    return FrameMemory(memory, prediction.pointer)


def condition_on_memory(model: SAM2, features: FrameFeatures, memories: MemorySelection | None) -> Tensor:
    """Frame features after memory attention, or with the embedding of "no memory" added."""
    frame = features.stride16
    if memories is None:
        return frame + model.no_mem_embed[0, 0, :, None, None]
    count = len(memories.steps)
    codes = model.maskmem_tpos_enc[:, 0, 0]
    tokens, positions = [], []
    for i, memory in enumerate(memories.features):
        grid = memory.shape[2], memory.shape[3]
        grid_pos = sine_positions_2d(grid, features.frame, model.config.memory_width, device=frame.device)
        grid_pos = grid_pos.flatten(2).transpose(1, 2)  # (1, C_m, h, w) -> (1, hw, C_m)
        tokens.append(memory.float().flatten(2).transpose(1, 2))
        step_code = codes[model.config.num_memories - memories.steps[:, i] - 1]
        positions.append((grid_pos + step_code[:, None]).expand(count, -1, -1))
    num_pointer_tokens = 0
    if memories.pointers:
        pointers, pointer_pos = _pointer_tokens(model, memories)
        num_pointer_tokens = pointers.shape[1]
        tokens.append(pointers)
        positions.append(pointer_pos)
    with model.arithmetic():
        conditioned: Tensor = model.memory_attention(
            frame.float(),
            torch.cat(tokens, dim=1),
            torch.cat(positions, dim=1),
            num_pointer_tokens=num_pointer_tokens,
            whole=features.frame,
            grids=tuple((m.shape[2], m.shape[3]) for m in memories.features),
        )
    return conditioned


def _pointer_tokens(model: SAM2, memories: MemorySelection) -> tuple[Tensor, Tensor]:
    """Pointers cut into tokens of memory width, (N, P * C / C_m, C_m), and their temporal positions."""
    width = model.config.memory_width
    pointers = torch.stack(memories.pointers, dim=1).unflatten(-1, (-1, width))  # (N, P, C / C_m, C_m)
    if model.obj_ptr_tpos_proj is None:
        position = torch.zeros_like(pointers)
    else:
        sine = sine_positions_1d(memories.distances / memories.max_distance, model.config.width)
        position = model.obj_ptr_tpos_proj(sine)[:, :, None].expand_as(pointers)
    return pointers.flatten(1, 2), position.flatten(1, 2)


def decode(
    model: SAM2, features: FrameFeatures, image: Tensor, points: PointTokens, mask_logits: Tensor | None
) -> Proposals:
    """All four masks for some points and a mask prompt (N, 1, 4h, 4w), on conditioned features (N, C, h, w)."""
    encoder, frame = model.sam_prompt_encoder, features.frame
    top, left = first_token(features.grid, frame)
    xy = points.xy + STRIDE * points.xy.new_tensor([left, top])
    dense = encoder.no_mask(*features.grid) if mask_logits is None else encoder.dense(mask_logits)
    return model.sam_mask_decoder(  # type: ignore[no-any-return]
        image.float(),
        encoder.pe_layer.grid(features.grid, frame),
        encoder.sparse(xy, points.labels, (STRIDE * frame[0], STRIDE * frame[1])),
        dense,
        (features.stride4.float(), features.stride8.float()),
    )


def _choose(model: SAM2, proposals: Proposals, present_above: float = 0.0) -> MaskPrediction:
    """The best proposal of each object, its pointer, and nothing where the object is absent."""
    rows = torch.arange(len(proposals.logits), device=proposals.logits.device)
    best = proposals.predicted_iou.argmax(1)
    token = proposals.tokens[rows, best] if proposals.tokens.shape[1] > 1 else proposals.tokens[:, 0]
    present = proposals.object_score > present_above
    logits = torch.where(present[:, None, None, None], proposals.logits[rows, best][:, None], ABSENT_LOGIT)
    return MaskPrediction(
        logits=logits,
        predicted_iou=proposals.predicted_iou[rows, best],
        object_score=proposals.object_score,
        pointer=_pointer(model, token, present),
        candidates=proposals.logits,
        candidate_ious=proposals.predicted_iou,
    )


def _pointer(model: SAM2, token: Tensor, present: Tensor) -> Tensor:
    return torch.where(present[:, None], model.obj_ptr_proj(token), model.no_obj_ptr)


def _mask_as_output(model: SAM2, features: FrameFeatures, mask: Tensor) -> MaskPrediction:
    """A mask prompt is the answer; only the pointer is computed, from raw features (`_use_mask_as_output`)."""
    height, width = features.grid
    logits = F.interpolate(mask * MASK_SCALE + MASK_BIAS, size=(4 * height, 4 * width), mode="bilinear", antialias=True)
    nothing = PointTokens(mask.new_zeros(len(mask), 1, 2), torch.full((len(mask), 1), NOT_A_POINT).to(mask.device))
    proposals = decode(model, features, features.stride16, nothing, model.mask_downsample(mask))
    chosen = _choose(model, single(proposals, stable=not model.training))
    present = mask.flatten(1).any(1)
    return MaskPrediction(
        logits=logits,
        predicted_iou=torch.ones_like(chosen.predicted_iou),
        object_score=MASK_SCALE * present.to(logits.dtype) + MASK_BIAS,
        pointer=torch.where(present[:, None], chosen.pointer, model.no_obj_ptr),
        candidates=logits,
        candidate_ious=torch.ones_like(chosen.predicted_iou)[:, None],
    )
