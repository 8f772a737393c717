"""Mask logits of objects on one frame, and which object a pixel belongs to."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2.masklets import FrameMask
from sam2_torch.outputs import MaskPrediction
from sam2_torch.windows import Window


@dataclass(frozen=True, slots=True)
class SeenMask:
    """What the model made of one object on one frame: window, prediction (N = 1), logits in source pixels.

    Attributes
    ----------
    logits
        (h, w) float32, the part of the window inside the frame; `offset` is its first pixel (y, x).
    """

    window: Window
    prediction: MaskPrediction
    logits: NDArray[np.float32]
    offset: tuple[int, int]

    def to_frame_mask(self, frame: int, object_id: int, mask: NDArray[np.bool_] | None = None) -> FrameMask | None:
        """The mask, or `mask` (same shape as the logits) in its place; None if it is empty."""
        return FrameMask.from_full(
            self.logits > 0 if mask is None else mask,
            frame=frame,
            object_id=object_id,
            score=float(self.prediction.object_score[0]),
            predicted_iou=float(self.prediction.predicted_iou[0]),
            offset=self.offset,
        )


def resolve_overlaps(seen: dict[int, SeenMask], shape_yx: tuple[int, int]) -> dict[int, NDArray[np.bool_]]:
    """Give each pixel to the object with the highest logit there (above 0); of equal ones to the smaller ID.

    Returns
    -------
    By object ID, a mask of the shape of its logits.
    """
    highest = np.zeros(shape_yx, dtype=np.float32)
    owner = np.zeros(shape_yx, dtype=np.uint32)
    places = {i: _place(s) for i, s in seen.items()}
    for object_id in sorted(seen):
        place, logits = places[object_id], seen[object_id].logits
        wins = logits > highest[place]
        highest[place][wins] = logits[wins]
        owner[place][wins] = object_id
    return {object_id: owner[place] == object_id for object_id, place in places.items()}


def _place(seen: SeenMask) -> tuple[slice, slice]:
    (y, x), (height, width) = seen.offset, seen.logits.shape
    return slice(y, y + height), slice(x, x + width)
