"""Masks found without a prompt, each kept within its bounding box, and which of them are the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Likeness = Literal["box", "mask", "part"]
"""How alike two masks are, 0..1: IoU of their boxes, IoU of themselves, or the share of the smaller in the larger."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundMask:
    """One mask.

    Attributes
    ----------
    box
        (y0, x0, y1, x1) in source pixels, half-open, the smallest around the mask.
    crop
        (y1 - y0, x1 - x0) bool, the mask within the box.
    predicted_iou
        The model's own estimate of the mask's IoU, 0..1.
    stability
        How little the mask changes with the threshold: IoU of the masks at logits of plus and minus an offset.
    object_score
        Logit; above 0 the model sees an object under the point.
    point
        (y, x) in source pixels, where it was asked for.
    """

    box: tuple[int, int, int, int]
    crop: NDArray[np.bool_]
    predicted_iou: float
    stability: float
    object_score: float
    point: tuple[float, float]

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.crop))

    @property
    def quality(self) -> float:
        """Predicted IoU times stability, 0..1: each alone trusts some masks that the other doubts."""
        return self.predicted_iou * self.stability


def bounded(
    mask: NDArray[np.bool_], offset: tuple[int, int] = (0, 0)
) -> tuple[tuple[int, int, int, int], NDArray[np.bool_]]:
    """Bounding box and crop of a mask that is not empty, given as a part of a frame whose first pixel is `offset`."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    y0, y1, x0, x1 = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    dy, dx = offset
    return (y0 + dy, x0 + dx, y1 + dy, x1 + dx), np.array(mask[y0:y1, x0:x1], dtype=bool)


def without_duplicates(
    masks: Sequence[FoundMask], scores: ArrayLike, *, limit: float, by: Likeness = "box"
) -> list[FoundMask]:
    """Leave out each mask that is like one of a higher score, or of the same and named earlier (greedy NMS).

    Parameters
    ----------
    scores : (N,)
        Of the masks.
    limit
        Two masks are the same if they are more alike than this.

    Returns
    -------
    list of FoundMask
        Those that stay, the highest score first.
    """
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    boxes = np.array([mask.box for mask in masks], dtype=np.int64).reshape(-1, 4)
    kept: list[int] = []
    for i in order:
        if not any(_likeness(masks[i], masks[j], by) > limit for j in _touching(boxes, int(i), kept)):
            kept.append(int(i))
    return [masks[i] for i in kept]


def _touching(boxes: NDArray[np.int64], one: int, others: list[int]) -> list[int]:
    """Those of the others whose boxes have pixels in common with that of one."""
    theirs, mine = boxes[others], boxes[one]
    low, high = np.maximum(theirs[:, :2], mine[:2]), np.minimum(theirs[:, 2:], mine[2:])
    return [others[k] for k in np.flatnonzero((low < high).all(1))]


def _likeness(a: FoundMask, b: FoundMask, by: Likeness) -> float:
    y0, x0 = max(a.box[0], b.box[0]), max(a.box[1], b.box[1])
    y1, x1 = min(a.box[2], b.box[2]), min(a.box[3], b.box[3])
    if by == "box":
        both = (y1 - y0) * (x1 - x0)
        return both / (_extent(a) + _extent(b) - both)
    part_a = a.crop[y0 - a.box[0] : y1 - a.box[0], x0 - a.box[1] : x1 - a.box[1]]
    part_b = b.crop[y0 - b.box[0] : y1 - b.box[0], x0 - b.box[1] : x1 - b.box[1]]
    both = int(np.count_nonzero(part_a & part_b))
    return both / (min(a.area, b.area) if by == "part" else a.area + b.area - both)


def _extent(mask: FoundMask) -> int:
    return (mask.box[2] - mask.box[0]) * (mask.box[3] - mask.box[1])
