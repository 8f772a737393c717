"""Masks as the session keeps them: one small crop a frame and object, packed to a bit a pixel."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.errors import NapariSam2Error


@dataclass(frozen=True, slots=True, eq=False)
class FrameMask:
    """One object on one frame.

    Attributes
    ----------
    frame, object_id
        Where it belongs.
    box
        (y0, x0, y1, x1) in source pixels, half-open.
    crop
        (y1 - y0, x1 - x0) bool, the mask within the box.
    score
        Object score of the model, a logit: above 0 the object is there.
    predicted_iou
        The model's own estimate of how good the mask is, about 0 to 1.
    """

    frame: int
    object_id: int
    box: tuple[int, int, int, int]
    crop: NDArray[np.bool_]
    score: float
    predicted_iou: float

    def __post_init__(self) -> None:
        y0, x0, y1, x1 = self.box
        if self.crop.shape != (y1 - y0, x1 - x0):
            raise ValueError(f"crop has the shape {self.crop.shape}, expected {(y1 - y0, x1 - x0)} for box {self.box}")

    @classmethod
    def from_full(
        cls,
        mask: NDArray[np.bool_],
        *,
        frame: int,
        object_id: int,
        score: float,
        predicted_iou: float,
        offset: tuple[int, int] = (0, 0),
    ) -> "FrameMask | None":
        """Crop a (Y, X) bool mask, or a part of the frame whose first pixel is `offset` (y, x); None if it is empty."""
        rows = np.flatnonzero(mask.any(axis=1))
        if rows.size == 0:
            return None
        columns = np.flatnonzero(mask.any(axis=0))
        y0, y1 = int(rows[0]), int(rows[-1]) + 1
        x0, x1 = int(columns[0]), int(columns[-1]) + 1
        crop = np.array(mask[y0:y1, x0:x1], dtype=bool)
        oy, ox = offset
        box = (y0 + oy, x0 + ox, y1 + oy, x1 + ox)
        return cls(frame, object_id, box, crop, float(score), float(predicted_iou))

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.crop))

    @property
    def centroid(self) -> tuple[float, float]:
        """Mean (y, x) of the pixels' centers, in source pixels."""
        ys, xs = np.nonzero(self.crop)
        return self.box[0] + float(ys.mean()), self.box[1] + float(xs.mean())

    def paint(self, labels: NDArray[Any], value: int | None = None) -> None:
        """Write `value` (by default the object ID) into (Y, X) labels in place; what lies outside them is left out.

        Raises
        ------
        NapariSam2Error
            If the value does not fit the labels' type: it would come out as another object.
        """
        value = self.object_id if value is None else value
        limits = np.iinfo(labels.dtype)
        if not limits.min <= value <= limits.max:
            raise NapariSam2Error(
                f"object ID {value} does not fit labels of {labels.dtype} (at most {limits.max}): "
                "use labels of uint32, or renumber the objects"
            )
        y0, x0, y1, x1 = self.box
        top, left = max(0, -y0), max(0, -x0)
        target = labels[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)]
        height, width = target.shape
        target[self.crop[top : top + height, left : left + width]] = value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FrameMask):
            return NotImplemented
        mine = (self.frame, self.object_id, self.box, self.score, self.predicted_iou)
        theirs = (other.frame, other.object_id, other.box, other.score, other.predicted_iou)
        return mine == theirs and np.array_equal(self.crop, other.crop)

    def __hash__(self) -> int:
        return hash((self.frame, self.object_id, self.box, self.score, self.predicted_iou))


@dataclass(frozen=True, slots=True)
class _PackedMask:
    """A FrameMask at a bit a pixel."""

    box: tuple[int, int, int, int]
    bits: NDArray[np.uint8]
    score: float
    predicted_iou: float


class Masklet(Mapping[int, FrameMask]):
    """One object's masks through time: a mapping from frame to FrameMask, iterated in the order of the frames.

    Crops are kept packed and are unpacked anew each time one is asked for. A frame has a mask, or the object was looked
    for and is absent, or nothing is known of it.
    """

    def __init__(self, object_id: int) -> None:
        self.object_id = object_id
        self._packed: dict[int, _PackedMask] = {}
        self._absent: set[int] = set()

    def add(self, mask: FrameMask) -> None:
        """Keep a mask; it replaces the one its frame had.

        Raises
        ------
        ValueError
            If the mask belongs to another object.
        """
        if mask.object_id != self.object_id:
            raise ValueError(f"mask of object {mask.object_id} given to the masklet of object {self.object_id}")
        self._absent.discard(mask.frame)
        self._packed[mask.frame] = _PackedMask(mask.box, np.packbits(mask.crop), mask.score, mask.predicted_iou)

    def remove(self, frame: int) -> None:
        """Forget what is known of a frame; nothing happens if that is nothing."""
        self._packed.pop(frame, None)
        self._absent.discard(frame)

    def mark_absent(self, frame: int) -> None:
        """Keep that the object was looked for on a frame and is not there."""
        self._packed.pop(frame, None)
        self._absent.add(frame)

    @property
    def frames(self) -> tuple[int, ...]:
        """The frames that have a mask, sorted."""
        return tuple(sorted(self._packed))

    @property
    def absent(self) -> tuple[int, ...]:
        """The frames on which the object was looked for and is absent, its object score being 0 or less, sorted."""
        return tuple(sorted(self._absent))

    @property
    def nbytes(self) -> int:
        """Memory that the packed crops take."""
        return sum(packed.bits.nbytes for packed in self._packed.values())

    def __getitem__(self, frame: int) -> FrameMask:
        packed = self._packed[frame]
        y0, x0, y1, x1 = packed.box
        height, width = y1 - y0, x1 - x0
        crop = np.unpackbits(packed.bits, count=height * width).view(np.bool_).reshape(height, width)
        return FrameMask(frame, self.object_id, packed.box, crop, packed.score, packed.predicted_iou)

    def __contains__(self, frame: object) -> bool:
        return frame in self._packed

    def __iter__(self) -> Iterator[int]:
        return iter(self.frames)

    def __len__(self) -> int:
        return len(self._packed)

    def __repr__(self) -> str:
        span = f"{min(self._packed)} to {max(self._packed)}" if self._packed else "none"
        return f"Masklet(object_id={self.object_id}, {len(self)} masks, frames {span})"


def compose_labels(masks: Iterable[FrameMask], shape_yx: tuple[int, int]) -> NDArray[np.uint32]:
    """Paint the masks of one frame into (Y, X) uint32 labels, 0 for none; where objects overlap the smaller ID wins."""
    labels = np.zeros(shape_yx, np.uint32)
    for mask in sorted(masks, key=lambda mask: mask.object_id, reverse=True):
        mask.paint(labels)
    return labels
