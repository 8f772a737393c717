"""Masks as the session keeps them: one small crop a frame and object, packed to a bit a pixel."""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.confidence import SIGN_NAMES, SIGNS, UNKNOWN, Signs, confidences, read_signs, row_of, sign_columns
from napari_sam2.errors import NapariSam2Error
from napari_sam2.shelf import Pile, Shelf


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
    signs
        What was noticed when it was made.
    """

    frame: int
    object_id: int
    box: tuple[int, int, int, int]
    crop: NDArray[np.bool_]
    score: float
    predicted_iou: float
    signs: Signs = UNKNOWN

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

    @property
    def confidence(self) -> float:
        """How sure one may be of it, 0 to 1, by its scores and signs; see `napari_sam2.confidence`."""
        return float(confidences(np.array([row_of(self)], SIGNS))[0])

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
        mine = (self.frame, self.object_id, self.box, self.score, self.predicted_iou, self.signs)
        theirs = (other.frame, other.object_id, other.box, other.score, other.predicted_iou, other.signs)
        return mine == theirs and np.array_equal(self.crop, other.crop)

    def __hash__(self) -> int:
        return hash((self.frame, self.object_id, self.box, self.score, self.predicted_iou))


_UNKNOWN, _MASK, _ABSENT = 0, 1, 2

_ROW = np.dtype(
    [
        ("state", "u1"),
        *((side, "i4") for side in ("y0", "x0", "y1", "x1")),
        ("segment", "i4"),
        ("start", "i4"),
        ("score", "f8"),
        ("predicted_iou", "f8"),
        *((name, SIGNS[name]) for name in SIGN_NAMES[3:]),
    ]
)

# What follows the state in a row without a mask.
_BLANK = (0,) * 13


class _Rows:
    """A row a frame over a range of frames, which grows at either end to hold whatever frame is asked for.

    Attributes
    ----------
    low
        The frame of the first row.
    array
        (N,) of `_ROW`. Only rows whose state is `_MASK` say more than the state.
    """

    def __init__(self) -> None:
        self.low = 0
        self.array = np.zeros(0, _ROW)

    def find(self, frame: object) -> int | None:
        """Which row a frame has; None if it has none."""
        at = int(frame) - self.low if isinstance(frame, int | np.integer) else -1
        return at if 0 <= at < len(self.array) else None

    def reach(self, frame: int) -> int:
        """Which row a frame has; it is made if need be."""
        if self.find(frame) is None:
            self._grow(int(frame))
        return int(frame) - self.low

    def frames(self, state: int) -> tuple[int, ...]:
        """The frames in a state, sorted."""
        return tuple((np.flatnonzero(self.array["state"] == state) + self.low).tolist())

    def _grow(self, frame: int) -> None:
        old, size = self.array, len(self.array)
        # By half, so that it is seldom copied; below frame 0 there is nothing to expect.
        spare = max(16, size // 2)
        low, high = (self.low, self.low + size) if size else (frame, frame)
        grown_low = min(frame, max(0, low - spare)) if frame < low else low
        grown_high = max(frame + 1, high + spare) if frame >= high else high
        self.array = np.zeros(grown_high - grown_low, _ROW)
        self.array[low - grown_low :][:size] = old
        self.low = grown_low


class Masklet(Mapping[int, FrameMask]):
    """One object's masks through time: a mapping from frame to FrameMask, iterated in the order of the frames.

    Crops are kept packed and are unpacked anew each time one is asked for. A frame has a mask, or the object was looked
    for and is absent, or nothing is known of it. It takes the bits of the crops, and 58
    bytes for each frame from the first one to the last. One thread may read while another one writes.

    Parameters
    ----------
    shelf
        Takes the bits of the crops, when there are some; it may be shared with other masklets. By default a new one.
    """

    def __init__(self, object_id: int, shelf: Shelf | None = None) -> None:
        self.object_id = object_id
        self._rows = _Rows()
        self._bits = Pile(Shelf() if shelf is None else shelf)
        self._count = 0
        # Reentrant, because whatever shows a warning of the shelf may read masks.
        self._lock = RLock()

    def add(self, mask: FrameMask) -> None:
        """Keep a mask; it replaces the one its frame had.

        Raises
        ------
        ValueError
            If the mask belongs to another object.
        """
        if mask.object_id != self.object_id:
            raise ValueError(f"mask of object {mask.object_id} given to the masklet of object {self.object_id}")
        bits = np.packbits(mask.crop)
        with self._lock:
            at = self._rows.reach(mask.frame)
            segment, start = self._bits.append(bits)
            self._write(
                at, (_MASK, *mask.box, segment, start, mask.score, mask.predicted_iou, *sign_columns(mask.signs))
            )
            self._bits.seal()
            self._save_from(segment)

    def remove(self, frame: int) -> None:
        """Forget what is known of a frame; nothing happens if that is nothing."""
        with self._lock:
            at = self._rows.find(frame)
            if at is not None:
                self._write(at, (_UNKNOWN, *_BLANK))

    def mark_absent(self, frame: int) -> None:
        """Keep that the object was looked for on a frame and is not there."""
        with self._lock:
            self._write(self._rows.reach(frame), (_ABSENT, *_BLANK))

    @property
    def frames(self) -> tuple[int, ...]:
        """The frames that have a mask, sorted."""
        with self._lock:
            return self._rows.frames(_MASK)

    @property
    def absent(self) -> tuple[int, ...]:
        """The frames on which the object was looked for and is absent, its object score being 0 or less, sorted."""
        with self._lock:
            return self._rows.frames(_ABSENT)

    def is_absent(self, frame: int) -> bool:
        """Whether the object was looked for on a frame and is not there."""
        with self._lock:
            at = self._rows.find(frame)
            return at is not None and bool(self._rows.array["state"][at] == _ABSENT)

    def boxes(self, frames: Collection[int]) -> NDArray[np.int32]:
        """The boxes of the masks on some frames, (N, 4) as of `FrameMask.box`; without a pixel where there is none."""
        with self._lock:
            rows, at = self._rows.array, np.fromiter(frames, int) - self._rows.low
            there = (at >= 0) & (at < len(rows))
            there[there] = rows["state"][at[there]] == _MASK
            boxes = np.zeros((len(at), 4), np.int32)
            for i, side in enumerate(("y0", "x0", "y1", "x1")):
                boxes[there, i] = rows[side][at[there]]
        return boxes

    def signs(self) -> NDArray[Any]:
        """What is known of all masks, (N,) of `confidence.SIGNS`, sorted by frame."""
        with self._lock:
            at = np.flatnonzero(self._rows.array["state"] == _MASK)
            table = np.zeros(len(at), SIGNS)
            table["frame"] = at + self._rows.low
            for name in SIGN_NAMES[1:]:
                table[name] = self._rows.array[name][at]
        return table

    def load(self) -> None:
        """Take into memory what is not there yet; here all of it is."""

    @property
    def nbytes(self) -> int:
        """Bytes that the masks take, in memory or on disk: rows, and packed crops.

        Crops that were replaced or removed count until all of their segment goes, or most of it is such.
        """
        with self._lock:
            return self._rows.array.nbytes + self._bits.nbytes

    def __getitem__(self, frame: int) -> FrameMask:
        with self._lock:
            at = self._rows.find(frame)
            row = (_UNKNOWN, *_BLANK) if at is None else self._rows.array[at].item()
            state, y0, x0, y1, x1, segment, start, score, predicted_iou, *signs = row
            if state != _MASK:
                raise KeyError(frame)
            height, width = y1 - y0, x1 - x0
            bits = self._bits.read(segment, start, _packed_size(height, width))
        crop = np.unpackbits(bits, count=height * width).view(np.bool_).reshape(height, width)
        return FrameMask(int(frame), self.object_id, (y0, x0, y1, x1), crop, score, predicted_iou, read_signs(*signs))

    def __contains__(self, frame: object) -> bool:
        with self._lock:
            at = self._rows.find(frame)
            return at is not None and bool(self._rows.array["state"][at] == _MASK)

    def __iter__(self) -> Iterator[int]:
        return iter(self.frames)

    def __len__(self) -> int:
        return self._count

    def __repr__(self) -> str:
        frames = self.frames
        span = f"{frames[0]} to {frames[-1]}" if frames else "none"
        return f"Masklet(object_id={self.object_id}, {len(frames)} masks, frames {span})"

    def _write(self, at: int, row: tuple[float, ...]) -> None:
        """Replace a row, and let go of the mask that it had."""
        before, y0, x0, y1, x1, segment, *_ = self._rows.array[at].item()
        self._rows.array[at] = row
        self._count += (row[0] == _MASK) - (before == _MASK)
        if before == _MASK:
            self._bits.release(segment, _packed_size(y1 - y0, x1 - x0))
            self._save_from(segment)

    def _save_from(self, segment: int) -> None:
        """Lay the masks of a segment down anew if they are few, so that all of it may go."""
        if not self._bits.is_waste(segment):
            return
        rows = self._rows.array
        for at in np.flatnonzero((rows["segment"] == segment) & (rows["state"] == _MASK)):
            _, y0, x0, y1, x1, _, start, *_ = rows[at].item()
            size = _packed_size(y1 - y0, x1 - x0)
            bits = self._bits.read(segment, start, size)
            rows["segment"][at], rows["start"][at] = self._bits.append(bits)
            self._bits.release(segment, size)


def _packed_size(height: int, width: int) -> int:
    """Bytes that a crop takes at a bit a pixel."""
    return (height * width + 7) // 8


def compose_labels(
    masks: Iterable[FrameMask], shape_yx: tuple[int, int], *, fixed: Container[int] = ()
) -> NDArray[np.uint32]:
    """Paint the masks of one frame into (Y, X) uint32 labels, 0 for none.

    Where objects overlap, those whose IDs are in `fixed` win, and among equals the smaller ID.
    """
    labels = np.zeros(shape_yx, np.uint32)
    for mask in sorted(masks, key=lambda mask: (mask.object_id not in fixed, mask.object_id), reverse=True):
        mask.paint(labels)
    return labels
