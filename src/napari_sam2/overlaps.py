"""Mask logits of objects on one frame, and which object a pixel belongs to."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_sam2.cleaning import Cleaning
from napari_sam2.masklets import FrameMask

TRACKED, CLICKED, PAINTED = 0, 1, 2
"""Claims on pixels: a prompted mask does not yield to a tracked one, a painted or approved one to none but such."""

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
        Who yields to whom (`TRACKED`, `CLICKED`, `PAINTED`): pixels go to the higher claim, among equal ones to the
        higher logit.
    present_above
        Score, a logit, above which the object is there.
    """

    logits: NDArray[np.float32]
    offset: tuple[int, int]
    score: float
    predicted_iou: float
    claim: int = 0
    present_above: float = 0.0

    @classmethod
    def of(cls, mask: FrameMask) -> "SeenMask":
        """A mask that stands as it is: it claims its pixels as a painted one does."""
        logits = np.where(mask.crop, np.float32(1), np.float32(-1))
        return cls(logits, (mask.box[0], mask.box[1]), mask.score, mask.predicted_iou, PAINTED, -math.inf)

    @classmethod
    def absent(cls) -> "SeenMask":
        """That an object is not there, as a person has said."""
        return cls(np.full((1, 1), -1, np.float32), (0, 0), -math.inf, 0, PAINTED)

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
    def is_absent(self) -> bool:
        """Whether the object is not there, by its score."""
        return self.score <= self.present_above

    @property
    def is_lost(self) -> bool:
        """Whether the object is not there, by its score or for want of a pixel."""
        return self.is_absent or not self.area

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


def lost_shares(
    seen: Mapping[int, SeenMask], won: Mapping[int, NDArray[np.bool_]]
) -> dict[int, tuple[float, int | None]]:
    """What share (0 to 1) of its mask each object lost to others, and which of them got most of that.

    Parameters
    ----------
    won
        What `resolve_overlaps` made of `seen`. Objects that lost nothing are left out.
    """
    shares: dict[int, tuple[float, int | None]] = {}
    for object_id, has in won.items():
        mask = seen[object_id]
        lost = (mask.logits > 0) & ~has
        if lost.any():
            got = {i: _count_within(lost, mask, seen[i], won[i]) for i in won if i != object_id}
            rival = max(got, key=lambda i: (got[i], -i), default=None)
            shares[object_id] = np.count_nonzero(lost) / mask.area, rival
    return shares


def _count_within(lost: NDArray[np.bool_], mask: SeenMask, other: SeenMask, has: NDArray[np.bool_]) -> int:
    """How many of the pixels that a mask lost another one has."""
    mine, theirs = [], []
    for own, at in zip(mask.place, other.place, strict=True):
        start, stop = max(own.start, at.start), min(own.stop, at.stop)
        if start >= stop:
            return 0
        mine.append(slice(start - own.start, stop - own.start))
        theirs.append(slice(start - at.start, stop - at.start))
    return int(np.count_nonzero(lost[tuple(mine)] & has[tuple(theirs)]))
