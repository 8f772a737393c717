"""One plane, or a projection of all planes, and one channel of an image of many axes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.input_choice import InputChoice, Projection
from napari_sam2.io.movies import LazyArray, TiffMovie


class ChosenPlane:
    """A movie (T, Y, X), or (T, Y, X, 3 | 4) in color, in an array of other axes; only what is asked for is read.

    Parameters
    ----------
    data
        The array.
    choice
        What of it, with all that is chosen filled in; see `InputChoice.of`.
    channel
        Which one, if there is an axis of channels.
    """

    def __init__(self, data: LazyArray, choice: InputChoice, channel: int | None) -> None:
        self._data = data
        self._axes = choice.axes or ""
        self._projection: Projection | None = choice.projection
        self._fixed = {"Z": choice.plane if choice.projection is None else slice(None), "C": channel, "S": slice(None)}
        sizes = dict(zip(self._axes, (int(n) for n in data.shape), strict=True))
        self._order = [letter for letter in "TYXS" if letter in sizes]
        self.shape: tuple[int, ...] = tuple(sizes[letter] for letter in self._order)
        projected = np.float32 if choice.projection == "mean" and "Z" in sizes else data.dtype
        self.dtype: np.dtype[Any] = np.dtype(projected)
        self._takes_places = isinstance(data, (np.ndarray, TiffMovie)) or hasattr(data, "chunks")
        if isinstance(data, np.ndarray) or hasattr(data, "chunks"):
            self.chunks = getattr(data, "chunks", data.shape)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        t, *rest = key if isinstance(key, tuple) else (key,)
        rows, columns = rest or (slice(None), slice(None))
        wanted = self._fixed | {"T": t, "Y": rows, "X": columns}
        place = tuple(wanted[letter] for letter in self._axes)
        pixels = self._read(place)
        left = [letter for letter, part in zip(self._axes, place, strict=True) if isinstance(part, slice)]
        if self._projection is not None and "Z" in left:
            pixels = project(pixels, self._projection, axis=left.index("Z"))
            left.remove("Z")
        turned: NDArray[Any] = np.transpose(pixels, [left.index(letter) for letter in self._order if letter in left])
        return turned

    def close(self) -> None:
        """Let go of the file, if there is one."""
        close = getattr(self._data, "close", None)
        if callable(close):
            close()

    def _read(self, place: tuple[Any, ...]) -> NDArray[Any]:
        if self._takes_places:
            return np.asarray(self._data[place])
        if self._axes[0] != "T":
            raise ValueError(f"only the first axis can be looked up, and it is {self._axes[0]}, not time")
        pixels: NDArray[Any] = np.asarray(self._data[place[0]])[place[1:]]
        return pixels


def project(pixels: NDArray[Any], projection: Projection, axis: int) -> NDArray[Any]:
    """The largest or the mean intensity along an axis; of real numbers, those that are not finite do not count."""
    if pixels.dtype.kind != "f":
        if projection == "max":
            return np.asarray(pixels.max(axis))
        return np.asarray(pixels.mean(axis, dtype=np.float64)).astype(np.float32)
    finite = np.isfinite(pixels)
    if projection == "max":
        return np.asarray(np.fmax.reduce(np.where(finite, pixels, np.nan), axis=axis))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        total = np.where(finite, pixels, 0).sum(axis, dtype=np.float64)
        return np.asarray(total / finite.sum(axis)).astype(np.float32)
