"""Where the packed masks of a session lie: some in memory, the rest in a temporary file."""

import tempfile
import warnings
import weakref
from bisect import bisect_left, insort
from collections import OrderedDict, deque
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import IO

import numpy as np
from numpy.typing import NDArray

from napari_sam2.errors import NapariSam2Error, NapariSam2Warning

_PAGE = 4096
"""Places in the file are whole pages, so that segments of nearly the same size can take each other's."""

Bytes = bytes | bytearray | NDArray[np.uint8]


class Shelf:
    """Segments of bytes by slot number: at most `budget` bytes in memory, the oldest beyond that in a temporary file.

    The file has no name, is made when it is first needed and goes when the shelf goes. While it cannot be written, all
    stays in memory. Any thread may call at any time.

    Parameters
    ----------
    budget
        In bytes; `BUDGET` by default.
    """

    BUDGET = 256 * 2**20
    """Two million masks of a cell 30 pixels across."""

    def __init__(self, budget: int = BUDGET) -> None:
        self.budget = budget
        self._lock = Lock()
        self._next = 0
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._written: dict[int, _Place] = {}
        self._file = _SpillFile()
        self._discarded: deque[int] = deque()
        self._has_failed = False

    def put(self, data: Bytes) -> int:
        """Keep a copy of some bytes; returns the number of their slot, which is never used again.

        Warns
        -----
        NapariSam2Warning
            The first time that the temporary file cannot be written.
        """
        copy = bytes(data)
        with self._lock:
            self._sweep()
            slot, self._next = self._next, self._next + 1
            self._kept[slot] = copy
            self._kept_bytes += len(copy)
            failure = self._spill()
        # Not under the lock: whoever shows the warning may want to read masks.
        if failure is not None:
            warnings.warn(
                f"masks take more than {self.budget / 2**20:g} MiB, and a temporary file for the rest cannot be "
                f"written ({failure}). Nothing is lost, they stay in memory. Free space in the folder for temporary "
                "files; or set TMPDIR to a folder with more space, and start again.",
                NapariSam2Warning,
                stacklevel=2,
            )
        return slot

    def get(self, slot: int, start: int = 0, stop: int | None = None) -> NDArray[np.uint8]:
        """The bytes in a slot, or the part of them from `start` to before `stop`; read-only.

        Raises
        ------
        KeyError
            If there is nothing in the slot.
        NapariSam2Error
            If the temporary file cannot be read.
        """
        with self._lock:
            if slot in self._kept:
                return np.frombuffer(self._kept[slot], np.uint8)[start:stop]
            place = self._written[slot]
            stop = place.size if stop is None else min(stop, place.size)
            return np.frombuffer(self._file.read(place.offset + start, max(0, stop - start)), np.uint8)

    def discard(self, slot: int) -> None:
        """Empty a slot; nothing happens if it is empty."""
        self._discarded.append(slot)
        # The garbage collector may call this, from anywhere, even while this very thread holds the lock: whoever holds
        # it next does the work then.
        if self._lock.acquire(blocking=False):
            try:
                self._sweep()
            finally:
                self._lock.release()

    @property
    def nbytes(self) -> int:
        """Bytes of the segments in memory."""
        with self._lock:
            self._sweep()
            return self._kept_bytes

    @property
    def nbytes_on_disk(self) -> int:
        """Bytes of the temporary file, with the places in it that are free; 0 while there is none."""
        with self._lock:
            self._sweep()
            return self._file.nbytes

    def _sweep(self) -> None:
        """Empty the slots that were discarded."""
        while self._discarded:
            slot = self._discarded.popleft()
            self._kept_bytes -= len(self._kept.pop(slot, b""))
            place = self._written.pop(slot, None)
            if place is not None:
                self._file.free(place)
        if not self._written:
            self._file.close()

    def _spill(self) -> OSError | None:
        """Write the oldest segments until the others fit into the budget; returns the first failure there is, once."""
        try:
            while self._kept_bytes > self.budget:
                slot, data = next(iter(self._kept.items()))
                self._written[slot] = self._file.write(data)
                del self._kept[slot]
                self._kept_bytes -= len(data)
        except OSError as error:
            if not self._has_failed:
                self._has_failed = True
                return error
        return None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a segment is in the file: its offset, its own size, and the size of the place, all in bytes."""

    offset: int
    size: int
    capacity: int


class _SpillFile:
    """A temporary file of places; one that is free is used again, as it is, for what is no larger.

    Attributes
    ----------
    nbytes
        Bytes of all places, free ones included.
    """

    def __init__(self) -> None:
        self.nbytes = 0
        self._file: IO[bytes] | None = None
        # By (capacity, offset), sorted: the first that is large enough is the smallest such.
        self._free: list[tuple[int, int]] = []

    def write(self, data: bytes) -> _Place:
        """Write to a free place or to the end; if that fails (OSError), all is as it was."""
        i = bisect_left(self._free, (len(data), 0))
        is_old = i < len(self._free)
        capacity, offset = self._free[i] if is_old else (-(-len(data) // _PAGE) * _PAGE, self.nbytes)
        file = self._open()
        file.seek(offset)
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]
        if is_old:
            del self._free[i]
        else:
            self.nbytes += capacity
        return _Place(offset, len(data), capacity)

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes from an offset on."""
        parts = []
        try:
            file = self._open()
            file.seek(offset)
            while size:
                parts.append(file.read(size))
                if not parts[-1]:
                    raise EOFError(f"the file ends {size} bytes too early")
                size -= len(parts[-1])
        except (OSError, EOFError) as error:
            raise NapariSam2Error(
                f"masks that were put into a temporary file cannot be read again ({error}): check the disk of the "
                "folder for temporary files, and propagate those frames again"
            ) from error
        return b"".join(parts)

    def free(self, place: _Place) -> None:
        """Let a place be used again."""
        insort(self._free, (place.capacity, place.offset))

    def close(self) -> None:
        """Give the space back; the next that is written makes a new file."""
        if self._file is not None:
            # What it held is not needed, so it does not matter if the last of it could not be written.
            with suppress(OSError):
                self._file.close()
            self._closing.detach()
        self._file, self.nbytes, self._free = None, 0, []

    def _open(self) -> IO[bytes]:
        if self._file is None:
            # Unbuffered, so that a full disk shows in the write itself.
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
            self._closing = weakref.finalize(self, self._file.close)
        return self._file


@dataclass(slots=True)
class _Segment:
    """Some pieces in a row: the bytes of all, of those still needed, and the slot once it is on the shelf."""

    size: int = 0
    live: int = 0
    slot: int | None = None


class Pile:
    """Pieces of bytes of one owner, laid end to end in segments: an open one in memory, full ones on a shelf.

    A segment goes when none of its pieces is needed any more. The owner should lay anew what is left of one that is
    mostly waste. Not for several threads at a time.

    Parameters
    ----------
    shelf
        May be shared with others. What the pile has there is discarded when the pile is forgotten.
    """

    SEGMENT = 64 * 2**10
    """Bytes with which a segment is full."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._open = bytearray()
        self._number = 0
        self._segments = {0: _Segment()}
        weakref.finalize(self, _discard_all, shelf, self._segments).atexit = False

    @property
    def nbytes(self) -> int:
        """Bytes of all segments, wherever they are."""
        return sum(segment.size for segment in self._segments.values())

    def append(self, piece: NDArray[np.uint8]) -> tuple[int, int]:
        """Lay a piece down; returns the number of the segment and the byte in it at which the piece starts."""
        start = len(self._open)
        self._open += piece.data
        segment = self._segments[self._number]
        segment.size += piece.size
        segment.live += piece.size
        return self._number, start

    def read(self, number: int, start: int, size: int) -> NDArray[np.uint8]:
        """The piece of so many bytes that starts there."""
        if size == 0:
            return np.empty(0, np.uint8)
        slot = self._segments[number].slot
        if slot is None:
            return np.frombuffer(self._open[start : start + size], np.uint8)
        return self._shelf.get(slot, start, start + size)

    def release(self, number: int, size: int) -> None:
        """Note that a piece of so many bytes, in that segment, is not needed any more."""
        if size == 0:
            return
        segment = self._segments[number]
        segment.live -= size
        if segment.live:
            return
        if segment.slot is None:
            self._open = bytearray()
            segment.size = 0
        else:
            self._shelf.discard(segment.slot)
            del self._segments[number]

    def seal(self) -> None:
        """Put the open segment on the shelf if it is full."""
        if len(self._open) >= self.SEGMENT:
            self._segments[self._number].slot = self._shelf.put(self._open)
            self._open = bytearray()
            self._number += 1
            self._segments[self._number] = _Segment()

    def is_waste(self, number: int) -> bool:
        """Whether a segment is on the shelf of which less than a quarter is needed."""
        segment = self._segments.get(number)
        return segment is not None and segment.slot is not None and segment.live < segment.size / 4


def _discard_all(shelf: Shelf, segments: dict[int, _Segment]) -> None:
    for segment in segments.values():
        if segment.slot is not None:
            shelf.discard(segment.slot)
