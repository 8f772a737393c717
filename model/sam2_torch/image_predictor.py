"""SAM 2 on one image: encoded once, then any number of prompts, one by one or many at once."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from sam2_torch.mask_decoder import Proposals, ambiguous, single
from sam2_torch.network import SAM2
from sam2_torch.outputs import FrameFeatures, PointTokens
from sam2_torch.prompt_encoder import BOX_FIRST, BOX_LAST
from sam2_torch.video_predictor import FEEDBACK_LIMIT, condition_on_memory, decode, encode_frame


@dataclass(frozen=True, slots=True)
class ImageMasks:
    """Masks of one prompt; of N prompts given at once, with N as one more axis in front of all others.

    Attributes
    ----------
    logits : (M, 4h, 4w) float32
        At a quarter of the image's size, -32..32; feed one back as `mask_logits` to refine it.
    predicted_iou : (M,) float32, 0..1
    object_score : () float32
        Logit; at or below 0 the network sees no object there. The masks are what they would be if there were one.
    """

    logits: NDArray[np.float32]
    predicted_iou: NDArray[np.float32]
    object_score: NDArray[np.float32]


class ImagePredictor:
    """Prompts on a single image (SAM2ImagePredictor), without hidden state: the encoded image is a value."""

    def __init__(self, model: SAM2) -> None:
        self.model = model

    @torch.inference_mode()
    def encode(self, image: NDArray[np.float32]) -> FrameFeatures:
        """Encode an image (H, W, 3), 0..1, H and W multiples of 32."""
        pixels = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)).permute(2, 0, 1)[None]
        return encode_frame(self.model, pixels.to(self.model.device))

    @torch.inference_mode()
    def predict(
        self,
        features: FrameFeatures,
        *,
        points_xy: ArrayLike = (),
        labels: ArrayLike = (),
        box: ArrayLike | None = None,
        mask_logits: ArrayLike | None = None,
        multimask: bool = True,
    ) -> ImageMasks:
        """Masks for one prompt, or for N prompts at once, each of them an object of its own.

        Parameters
        ----------
        points_xy : (P, 2) or (N, P, 2), pixels of the encoded image, x first
        labels : (P,) or (N, P), 1 positive, 0 negative, -1 no point, to fill up where a prompt has fewer than others
        box : (4,) or (N, 4), optional
            x0, y0, x1, y1.
        mask_logits : (4h, 4w) or (N, 4h, 4w), optional
            Masks returned earlier, to be refined.
        multimask
            Three masks for an ambiguous prompt, else one.

        Raises
        ------
        ValueError
            If neither point nor box is given, or points, labels, boxes and masks differ in number.
        """
        tokens, is_batch = _tokens(points_xy, labels, box, self.model.device)
        previous = None
        if mask_logits is not None:
            given = np.asarray(mask_logits, dtype=np.float32)
            if given.shape[:-2] != (len(tokens.xy),) * is_batch:
                each = f" for each of {len(tokens.xy)} prompts" if is_batch else ""
                raise ValueError(f"mask_logits has the shape {given.shape}, expected (4h, 4w){each}")
            previous = torch.from_numpy(given).reshape(-1, 1, *given.shape[-2:]).to(self.model.device)
        proposals = propose(self.model, features, tokens, previous)
        chosen = ambiguous(proposals) if multimask else single(proposals, stable=True)
        logits = chosen.logits.clamp(-FEEDBACK_LIMIT, FEEDBACK_LIMIT)
        found = [x.float().cpu().numpy() for x in (logits, chosen.predicted_iou, chosen.object_score)]
        return ImageMasks(*(found if is_batch else (x[0] for x in found)))


def propose(model: SAM2, features: FrameFeatures, tokens: PointTokens, mask_logits: Tensor | None = None) -> Proposals:
    """All four masks for each of N prompts on one encoded image, nothing remembered.

    Parameters
    ----------
    mask_logits : (N, 1, 4h, 4w), optional
        Masks to be refined.
    """
    if model.prompt_map is not None:
        height, width = features.grid
        mask_logits = model.prompt_map(tokens.xy, tokens.labels, mask_logits, (4 * height, 4 * width))
    return decode(model, features, condition_on_memory(model, features, None), tokens, mask_logits)


def _tokens(
    points_xy: ArrayLike, labels: ArrayLike, box: ArrayLike | None, device: torch.device
) -> tuple[PointTokens, bool]:
    """The prompts, and whether there is an axis for several of them."""
    xy, kinds = np.asarray(points_xy, dtype=np.float32), np.asarray(labels, dtype=np.int64)
    corners = None if box is None else np.asarray(box, dtype=np.float32)
    is_batch = xy.ndim == 3 or (corners is not None and corners.ndim == 2)
    count = len(xy) if xy.ndim == 3 or corners is None else (len(corners) if is_batch else 1)
    if not xy.size and not kinds.size:
        xy, kinds = np.empty((count, 0, 2), np.float32), np.empty((count, 0), np.int64)
    elif not is_batch:
        xy, kinds = xy.reshape(1, -1, 2), kinds.reshape(1, -1)
    if xy.shape[:-1] != kinds.shape:
        raise ValueError(
            f"{_count(xy.shape[:-1])} points but {_count(kinds.shape)} labels; give one label, 1 or 0, for each point."
        )
    if corners is not None:
        if corners.shape[:-1] != (len(xy),) * is_batch:
            raise ValueError(f"{len(xy)} prompts with points, but boxes of the shape {corners.shape}; give each a box.")
        xy = np.concatenate([corners.reshape(-1, 2, 2), xy], axis=1)
        kinds = np.concatenate([np.tile([BOX_FIRST, BOX_LAST], (len(xy), 1)), kinds], axis=1)
    if not kinds.size:
        raise ValueError("No prompt: give at least one point or a box.")
    return PointTokens(torch.from_numpy(xy).to(device), torch.from_numpy(kinds).to(device)), is_batch


def _count(shape: tuple[int, ...]) -> str:
    return str(shape[1]) if shape[:1] == (1,) else " x ".join(str(n) for n in shape)
