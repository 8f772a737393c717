"""A movie as a lazy array: whatever its type and source, one normalized frame at a time."""

import threading
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.contrast import checked_contrast, rescale, sample_contrast
from napari_sam2.errors import MovieError
from napari_sam2.input_choice import InputChoice
from napari_sam2.io.dask_movie import timed_if_dask
from napari_sam2.io.frame_layout import frame_layout, real_dtype
from napari_sam2.io.movies import LazyArray
from napari_sam2.io.planes import ChosenPlane
from napari_sam2.io.sources import axes_of, open_source

LARGE = 2048 * 2048
"""Pixels of a frame above which it is read in parts."""
BLOCK, BLOCKS = 256, 4
"""Side of the blocks of a large frame that tell its contrast, and how many there are in each direction."""


class Video:
    """A movie of (T, Y, X) or (T, Y, X, 3 | 4), of which only the frame asked for is in memory.

    Contrast is one pair of intensities for the whole movie, so that a cell looks the same on every frame.
    Frames may be asked for from several threads if the data allow it; numpy, dask, zarr and TIFF do.

    Parameters
    ----------
    data
        numpy, dask or zarr array, or anything with `shape`, `dtype` and `__getitem__`, of any real or bool type.
        Axes of length one between T and Y are dropped.
    contrast
        Intensities that become 0 and 1; by default percentiles of a few frames, see `contrast`.
    rgb
        Whether the last axis is color; by default it is if there are four axes and the last has 3 or 4 entries.
        Alpha is dropped.
    name
        How messages call the movie.

    Attributes
    ----------
    choice
        What it is of the source, if that has other axes.
    source
        What it was opened from: a path, an array or a layer.

    Raises
    ------
    MovieError
        If the data have no time axis, other axes than these, no pixels, or complex numbers or objects in them.

    Warns
    -----
    NapariSam2Warning
        When the first frames are read, if that takes long to find them in the graph of a dask array.
    """

    def __init__(
        self,
        data: LazyArray,
        *,
        contrast: tuple[float, float] | None = None,
        rgb: bool | None = None,
        name: str = "movie",
    ) -> None:
        self.name = name
        self.choice: InputChoice | None = None
        self.source: Any = data
        self._data: LazyArray = timed_if_dask(data)
        self._dtype = real_dtype(data, name)
        self._rgb, self._frame_shape = frame_layout(tuple(int(n) for n in data.shape), rgb, name)
        self._num_frames = int(data.shape[0])
        self._is_contrast_given = contrast is not None
        self._contrast = None if contrast is None else checked_contrast(contrast)
        self._contrast_lock = threading.Lock()

    @classmethod
    def open(
        cls, source: Any, choice: InputChoice | None = None, *, contrast: tuple[float, float] | None = None
    ) -> "Video":
        """Open a path (see `open_movie_file`), an array, or an object with `.data` such as a layer.

        Of a multiscale layer or list of levels, level 0 is taken. A Video comes back as it is, and nothing else can be
        chosen of it.

        Parameters
        ----------
        source
            What to open.
        choice
            What to take of it if it has planes, channels, or its axes in another order.
        contrast
            Intensities that become 0 and 1, of each channel if there are several; by default they are sampled.

        Raises
        ------
        MovieError
            If it cannot be read as a movie, or the choice does not fit it.
        """
        if isinstance(source, Video):
            if choice is not None and choice != source.choice:
                raise MovieError(f"{source.name} is opened already: choose axes, planes and channels when opening it")
            if contrast is not None and checked_contrast(contrast) != source.contrast:
                low, high = source.contrast
                raise MovieError(
                    f"{source.name} is opened already, with a contrast of {low:g} to {high:g}: choose another one when "
                    "opening it, Video.open(movie, choice, contrast=...), and of several channels in "
                    "InputChoice(contrasts=...)"
                )
            return source
        data, rgb, name = open_source(source)
        if choice is None:
            video = cls(data, contrast=contrast, rgb=rgb, name=name)
        else:
            choice = choice.of(data.shape, axes_of(source, data, rgb=rgb), name)
            video = _chosen(data, choice, contrast, name)
        video.source = source
        return video

    def shown_at(self, contrast: tuple[float, float]) -> "Video":
        """The same movie at a contrast; as it is if its own was given. Both read from one source."""
        if self._is_contrast_given:
            return self
        video = copy(self)
        video._contrast, video._contrast_lock = checked_contrast(contrast), threading.Lock()
        return video

    def close(self) -> None:
        """Let go of the file, if there is one; it is also let go of with the last reference to the movie."""
        close = getattr(self._data, "close", None)
        if callable(close):
            close()

    @property
    def num_frames(self) -> int:
        """Number of frames, T."""
        return self._num_frames

    @property
    def shape_yx(self) -> tuple[int, int]:
        """Height and width of a frame in pixels."""
        return self._frame_shape[0], self._frame_shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the source's pixels."""
        return self._dtype

    @property
    def rgb(self) -> bool:
        """Whether the source is in color."""
        return self._rgb

    @property
    def contrast(self) -> tuple[float, float]:
        """Intensities that become 0 and 1.

        Unless given: (0, 255) for color of uint8, (0, 1) for bool, else the percentiles 0.1 and 99.9 of the finite
        pixels of at most 8 frames spread over the movie, of which flat and unreadable ones do not count. Of frames
        larger than 2048 x 2048 some blocks are looked at, and all of them if these are flat.

        Raises
        ------
        MovieError
            If no sampled frame can be read, or all of them are flat or hold no finite pixel.
        """
        with self._contrast_lock:
            if self._contrast is None:
                if self._dtype.kind == "b":
                    self._contrast = (0.0, 1.0)
                elif self._rgb and self._dtype == np.uint8:
                    self._contrast = (0.0, 255.0)
                else:
                    self._contrast = self._sampled_contrast()
            return self._contrast

    def frame(self, t: int) -> NDArray[np.float32]:
        """Read one frame.

        Parameters
        ----------
        t
            0 to `num_frames` - 1.

        Returns
        -------
        (Y, X, 3) float32, C-contiguous, 0 to 1 and finite: NaN and infinity become 0, gray is repeated.

        Raises
        ------
        MovieError
            If there is no such frame or it cannot be read.
        """
        contrast = self.contrast
        gray_or_color = rescale(self._read(t), contrast)
        if self._rgb:
            return np.ascontiguousarray(gray_or_color[..., :3])
        return np.repeat(gray_or_color[..., None], 3, axis=-1)

    @property
    def reads_parts(self) -> bool:
        """Whether `part` reads only what it is asked for, and frames are so large that this is worth while."""
        return self._is_large and (isinstance(self._data, np.ndarray) or hasattr(self._data, "chunks"))

    def part(self, t: int, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Read a part of a frame; of dask and zarr arrays only the chunks that it touches.

        Parameters
        ----------
        t
            0 to `num_frames` - 1.
        rows, columns
            Within the frame.

        Returns
        -------
        (1, y, x), or (3, y, x) in color, float32, 0 to 1 and finite as of `frame`.

        Raises
        ------
        MovieError
            If there is no such frame or it cannot be read.
        """
        contrast = self.contrast
        pixels = rescale(self._read(t, (rows, columns)), contrast)
        return np.ascontiguousarray(np.moveaxis(pixels[..., :3], -1, 0)) if self._rgb else pixels[None]

    def __len__(self) -> int:
        return self._num_frames

    def __repr__(self) -> str:
        height, width = self.shape_yx
        kind = "color" if self._rgb else "gray"
        return f"Video({self.name!r}, {self._num_frames} frames of {height} x {width}, {kind}, {self._dtype})"

    def _sampled_contrast(self) -> tuple[float, float]:
        try:
            return sample_contrast(self.sampled, self._num_frames, self.name)
        except MovieError:
            if not self._is_large:
                raise
            # A few cells on a flat ground may lie between all blocks.
            return sample_contrast(self._read, self._num_frames, self.name)

    @property
    def _is_large(self) -> bool:
        return self.shape_yx[0] * self.shape_yx[1] > LARGE

    def _read(self, t: int, place: tuple[slice, slice] = (slice(None), slice(None))) -> NDArray[Any]:
        """Pixels of a part of a frame; those of a whole one are read if the data give no less."""
        t = index(t)
        if not 0 <= t < self._num_frames:
            raise MovieError(f"{self.name} has no frame {t}: it has the frames 0 to {self._num_frames - 1}")
        try:
            if not self.reads_parts:
                return np.asarray(self._data[t]).reshape(self._frame_shape)[place]
            between = len(self._data.shape) - 1 - len(self._frame_shape)
            return np.asarray(self._data[(t, *[0] * between, *place)])
        except Exception as exc:
            raise MovieError(
                f"frame {t} of {self.name} cannot be read ({type(exc).__name__}: {exc}): "
                "check the file, or track up to the frame before"
            ) from exc

    def sampled(self, t: int) -> NDArray[Any]:
        """The pixels of a frame as they are in the source; of a large one some blocks, side by side.

        The same ones whether the source can be read in parts or not.
        """
        whole = None if self.reads_parts else self._read(t)
        if whole is not None and not self._is_large:
            return whole
        starts = ([round(i * (n - BLOCK) / (BLOCKS - 1)) for i in range(BLOCKS)] for n in self.shape_yx)
        rows, columns = ([slice(max(0, i), max(0, i) + BLOCK) for i in axis] for axis in starts)
        blocks = [[self._read(t, (y, x)) if whole is None else whole[y, x] for x in columns] for y in rows]
        return np.concatenate([np.concatenate(row, axis=1) for row in blocks])


class _Blend:
    """Up to three channels as (T, Y, X, 3) float32, 0 to 1, each with a contrast of its own."""

    def __init__(self, channels: Sequence[Video]) -> None:
        self.channels = channels
        self.shape = (channels[0].num_frames, *channels[0].shape_yx, 3)
        self.dtype = np.dtype(np.float32)
        if channels[0].reads_parts:
            self.chunks = self.shape

    @property
    def contrasts(self) -> tuple[tuple[float, float], ...]:
        return tuple(channel.contrast for channel in self.channels)

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        t, *place = key if isinstance(key, tuple) else (key,)
        rows, columns = place or (slice(None), slice(None))
        shown = [channel.part(t, rows, columns)[0] for channel in self.channels]
        if len(shown) < 3:
            shown.append(np.mean(shown, axis=0, dtype=np.float32))
        return np.stack(shown, axis=-1)

    def close(self) -> None:
        self.channels[0].close()


def _chosen(data: LazyArray, choice: InputChoice, contrast: tuple[float, float] | None, name: str) -> Video:
    """A movie that is a part of the data; the choice has all that is chosen filled in."""
    if choice.is_plain:
        return Video(data, contrast=contrast, rgb=(choice.axes or "").endswith("S"), name=name)
    channels = choice.channel_list or (None,)
    contrasts = choice.contrasts or (contrast,) * len(channels)
    rgb = "S" in (choice.axes or "")
    videos = [
        Video(ChosenPlane(data, choice, channel), contrast=known, rgb=rgb, name=name)
        for channel, known in zip(channels, contrasts, strict=True)
    ]
    video = videos[0]
    if choice.is_blend:
        blend = _Blend(videos)
        video = Video(blend, contrast=(0.0, 1.0), rgb=True, name=name)
        # They are kept, so that the same is seen when a session is opened again.
        choice = replace(choice, contrasts=blend.contrasts)
    video.choice = choice
    return video
