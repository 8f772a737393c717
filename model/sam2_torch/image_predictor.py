"""SAM 2 on one image: encoded once, then any number of prompts."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from sam2_torch.mask_decoder import ambiguous, single
from sam2_torch.network import SAM2
from sam2_torch.outputs import FrameFeatures, PointTokens
from sam2_torch.prompt_encoder import BOX_FIRST, BOX_LAST
from sam2_torch.video_predictor import FEEDBACK_LIMIT, condition_on_memory, decode, encode_frame


@dataclass(frozen=True, slots=True)
class ImageMasks:
    """Masks of one prompt.

    Attributes
    ----------
    logits : (M, 4h, 4w) float32
        At a quarter of the image's size, -32..32; feed one back as `mask_logits` to refine it.
    predicted_iou : (M,) float32, 0..1
    """

    logits: NDArray[np.float32]
    predicted_iou: NDArray[np.float32]


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
        mask_logits: NDArray[np.float32] | None = None,
        multimask: bool = True,
    ) -> ImageMasks:
        """Masks for one prompt.

        Parameters
        ----------
        points_xy : (P, 2), pixels of the encoded image, x first
        labels : (P,), 1 positive, 0 negative
        box : (x0, y0, x1, y1), optional
        mask_logits : (4h, 4w), optional
            A mask returned earlier, to be refined.
        multimask
            Three masks for an ambiguous prompt, else one.

        Raises
        ------
        ValueError
            If neither point nor box is given, or points and labels differ in number.
        """
        tokens = _tokens(points_xy, labels, box, self.model.device)
        previous = None
        if mask_logits is not None:
            previous = torch.as_tensor(mask_logits, dtype=torch.float32, device=self.model.device)[None, None]
        if self.model.prompt_map is not None:
            height, width = features.grid
            previous = self.model.prompt_map(tokens.xy, tokens.labels, previous, (4 * height, 4 * width))
        proposals = decode(self.model, features, condition_on_memory(self.model, features, None), tokens, previous)
        chosen = ambiguous(proposals) if multimask else single(proposals, stable=True)
        logits = chosen.logits[0].clamp(-FEEDBACK_LIMIT, FEEDBACK_LIMIT)
        return ImageMasks(logits.float().cpu().numpy(), chosen.predicted_iou[0].float().cpu().numpy())


def _tokens(points_xy: ArrayLike, labels: ArrayLike, box: ArrayLike | None, device: torch.device) -> PointTokens:
    xy = np.asarray(points_xy, dtype=np.float32).reshape(-1, 2)
    kinds = np.asarray(labels, dtype=np.int64).reshape(-1)
    if len(xy) != len(kinds):
        raise ValueError(f"{len(xy)} points but {len(kinds)} labels; give one label, 1 or 0, for each point.")
    if box is not None:
        xy = np.concatenate([np.asarray(box, dtype=np.float32).reshape(2, 2), xy])
        kinds = np.concatenate([[BOX_FIRST, BOX_LAST], kinds])
    if not len(xy):
        raise ValueError("No prompt: give at least one point or a box.")
    return PointTokens(torch.from_numpy(xy)[None].to(device), torch.from_numpy(kinds)[None].to(device))
