"""Label stacks as TIFF, written one frame at a time."""

import os
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_sam2.errors import NapariSam2Error
from napari_sam2.io.atomic import part_path

_BIGTIFF_BYTES = 3 * 10**9
_MAX_LABEL = np.iinfo(np.uint32).max


class LabelsTiffWriter:
    """Write (T, Y, X) uint32 labels, a page a frame, compressed; the file takes its name when it is complete.

    Use it as a context manager: leaving it by an exception leaves nothing behind and an older file in place.
    Frames that were never written are zeros.

    Parameters
    ----------
    path
        The TIFF to write.
    num_frames, shape_yx
        T and (Y, X).
    """

    def __init__(self, path: str | os.PathLike[str], num_frames: int, shape_yx: tuple[int, int]) -> None:
        self.path = Path(path)
        self.num_frames = num_frames
        self.shape_yx = (int(shape_yx[0]), int(shape_yx[1]))
        self._next = 0
        self._part = part_path(self.path)
        # The sum is that of the bare pixels: how far they will shrink is not known yet.
        self._tiff = tifffile.TiffWriter(self._part, bigtiff=num_frames * self._frame_bytes > _BIGTIFF_BYTES)

    @property
    def _frame_bytes(self) -> int:
        return 4 * self.shape_yx[0] * self.shape_yx[1]

    def write(self, frame: int, labels: NDArray[Any]) -> None:
        """Write the (Y, X) labels of a frame; frames come in rising order, and those left out are zeros.

        Raises
        ------
        NapariSam2Error
            If the frame is out of order or range, or the labels have another shape or do not fit uint32.
        """
        if not self._next <= frame < self.num_frames:
            raise NapariSam2Error(
                f"frame {frame} of {self.path.name} out of order: expected one from {self._next} to "
                f"{self.num_frames - 1}; write frames in rising order"
            )
        page = self._as_page(labels)
        self._fill(frame)
        self._write_page(page)

    def close(self) -> None:
        """Fill up with zeros and give the file its name."""
        try:
            self._fill(self.num_frames)
            self._tiff.close()
            self._part.replace(self.path)
        finally:
            self.discard()

    def discard(self) -> None:
        """Drop what was written so far."""
        self._tiff.close()
        self._part.unlink(missing_ok=True)

    def __enter__(self) -> "LabelsTiffWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def _as_page(self, labels: NDArray[Any]) -> NDArray[np.uint32]:
        labels = np.asarray(labels)
        if labels.shape != self.shape_yx or labels.dtype.kind not in "bui":
            raise NapariSam2Error(
                f"labels of shape {labels.shape} and type {labels.dtype}: expected {self.shape_yx} and integers"
            )
        if labels.dtype.kind == "i" or labels.dtype.itemsize > 4:
            low, high = int(labels.min()), int(labels.max())
            if low < 0 or high > _MAX_LABEL:
                raise NapariSam2Error(f"labels from {low} to {high} do not fit uint32: renumber the objects")
        return labels.astype(np.uint32, copy=False)

    def _fill(self, end: int) -> None:
        while self._next < end:
            self._write_page(np.zeros(self.shape_yx, np.uint32))

    def _write_page(self, page: NDArray[np.uint32]) -> None:
        # The first page tells the shape of the whole, which makes of one page (1, Y, X) and not (Y, X).
        metadata = {"axes": "TYX", "shape": (self.num_frames, *self.shape_yx)} if self._next == 0 else None
        self._tiff.write(page, metadata=metadata, compression="zlib", contiguous=False, photometric="minisblack")
        self._next += 1
