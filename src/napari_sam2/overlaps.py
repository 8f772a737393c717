"""Mask logits of objects on one frame, and which object a pixel belongs to."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_sam2.cleaning import Cleaning
from napari_sam2.masklets import FrameMask

_BARELY = np.float32(0.1)
"""Logit of what cleaning changed: whoever is surer of the pixel has it. The original fills holes with it."""


@dataclass(frozen=True, slots=True)
class SeenMask:
    """What was made of one object on one frame, in source pixels.

    Attributes
    ----------
    logits
        (h, w) float32, of a part of the frame; positive where the object is.
    offset
        First pixel (y, x) of that part.
    score
        Object score, a logit.
    predicted_iou
        0 to 1.
    claim
        Who yields to whom: pixels go to the higher claim, among equal ones to the higher logit.
    """

    logits: NDArray[np.float32]
    offset: tuple[int, int]
    score: float
    predicted_iou: float
    claim: int = 0

    def to_frame_mask(self, frame: int, object_id: int, won: NDArray[np.bool_] | None = None) -> FrameMask | None:
        """The mask; or what it `won` (of the shape of the logits) against others; None if it is empty."""
        return FrameMask.from_full(
            self.logits > 0 if won is None else won,
            frame=frame,
            object_id=object_id,
            score=self.score,
            predicted_iou=self.predicted_iou,
            offset=self.offset,
        )

    def cleaned(self, cleaning: Cleaning) -> "SeenMask":
        """The same with its mask tidied up."""
        mask = self.logits > 0
        clean = cleaning.apply(mask)
        if np.array_equal(mask, clean):
            return self
        return replace(self, logits=np.where(clean == mask, self.logits, np.where(clean, _BARELY, -_BARELY)))

    @property
    def area(self) -> int:
        """Number of pixels of the mask."""
        return int(np.count_nonzero(self.logits > 0))

    @property
    def is_lost(self) -> bool:
        """Whether the object is not there, by its score or for want of a pixel."""
        return self.score <= 0 or not self.area

    @property
    def centroid(self) -> tuple[float, float] | None:
        """Mean (y, x) of the mask in source pixels; None if it is empty."""
        mask = self.logits > 0
        area = np.count_nonzero(mask)
        if not area:
            return None
        y, x = (float(np.arange(n) @ mask.sum(axis)) / area for axis, n in ((1, len(mask)), (0, mask.shape[1])))
        return self.offset[0] + y, self.offset[1] + x

    @property
    def place(self) -> tuple[slice, slice]:
        """Rows and columns of the frame that the logits are of."""
        (y, x), (height, width) = self.offset, self.logits.shape
        return slice(y, y + height), slice(x, x + width)


def resolve_overlaps(seen: Mapping[int, SeenMask], shape_yx: tuple[int, int]) -> dict[int, NDArray[np.bool_]]:
    """Give each pixel to the object with the highest claim, then the highest logit (above 0), then the smaller ID.

    Returns
    -------
    By object ID, a mask of the shape of its logits.
    """
    owner = np.zeros(shape_yx, dtype=np.uint32)
    for claim in sorted({mask.claim for mask in seen.values()}, reverse=True):
        highest = np.where(owner > 0, np.float32(np.inf), np.float32(0))
        for object_id in sorted(i for i, mask in seen.items() if mask.claim == claim):
            place, logits = seen[object_id].place, seen[object_id].logits
            np.copyto(owner[place], object_id, where=logits > highest[place])
            np.maximum(highest[place], logits, out=highest[place])
    return {object_id: owner[mask.place] == object_id for object_id, mask in seen.items()}
