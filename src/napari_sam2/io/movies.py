"""Open movie files lazily: arrays of (T, ...) that read one frame when one frame is asked for."""

import itertools
import logging
import os
import threading
import weakref
from collections.abc import Callable
from operator import index
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_sam2.errors import MovieError
from napari_sam2.input_choice import MOVIES, axes_of_names, axes_of_tiff

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8")
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")


class LazyArray(Protocol):
    """What a movie must offer; numpy, dask and zarr arrays do."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis, time first."""

    @property
    def dtype(self) -> Any:
        """Type of a pixel."""

    def __getitem__(self, key: Any) -> Any:
        """Return the frame at an index, or what it takes to make a numpy array of it."""


def open_movie_file(path: Path) -> LazyArray:
    """Open a TIFF, a .zarr folder, or a folder with one TIFF, JPEG or PNG a frame; see `FrameFolder`.

    Raises
    ------
    MovieError
        If it is none of these, or damaged.
    """
    try:
        if not path.exists():
            raise FileNotFoundError("there is no such file or folder")
        if path.suffix.lower() in TIFF_SUFFIXES:
            return TiffMovie(path)
        if path.is_dir() and (path.suffix.lower() == ".zarr" or _has_zarr_metadata(path)):
            return _open_zarr(path)
        if path.is_dir():
            return FrameFolder(path)
        raise ValueError(f"expected a {MOVIES}; convert it, or open it in napari")
    except Exception as exc:
        raise MovieError(f"cannot open the movie {path}: {exc}") from exc


class TiffMovie:
    """The first series of a TIFF as a lazy array, (..., Y, X) or (..., Y, X, 3 | 4); the file stays open until `close`.

    Only the pages of what is asked for are read, from several threads if need be.

    Attributes
    ----------
    axes
        A letter for each axis, as `InputChoice` has them; None if the file does not say.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        with _TiffComplaints() as complaints:
            tif = tifffile.TiffFile(self.path)
            # Closes the file as well when the movie is dropped without a word.
            self.close: Callable[[], object] = weakref.finalize(self, tif.close)
            try:
                self._read_layout(tif)
            except Exception:
                self.close()
                raise
        if complaints.damage:
            self.close()
            raise ValueError(f"the file is cut short or damaged ({complaints.damage}): copy or export it again")

    def _read_layout(self, tif: tifffile.TiffFile) -> None:
        series = tif.series[0]
        page_shape, letters = tuple(series.keyframe.shape), str(series.axes)
        self.dtype: np.dtype[Any] = np.dtype(series.dtype)
        self._read_page: Callable[[int], NDArray[Any]]
        if series.ndim == len(page_shape) and len(tif.series) > 1 and self._alike(tif):
            # Frames that were appended one by one come as a series each.
            pages = [single.pages[0] for single in tif.series]
            self.shape: tuple[int, ...] = (len(pages), *page_shape)
            letters = f"T{letters}"
            self._read_page = lambda page: _page_pixels(pages[page])
        else:
            self.shape = tuple(series.shape)
            stack = series.pages
            self._read_page = lambda page: _page_pixels(stack[page])
            if len(stack) < self._num_pages(len(page_shape)):
                page_shape = self._read_contiguous(tif, series)
        self._paged = self.shape[: len(self.shape) - len(page_shape)]
        # Color planes stored apart, (T, 3, Y, X).
        self._planar = letters.endswith("SYX") and len(self.shape) > 3
        if self._planar:
            self.shape = (*self.shape[:-3], *self.shape[-2:], self.shape[-3])
            letters = f"{letters[:-3]}YXS"
        self.axes = axes_of_tiff(letters)

    @staticmethod
    def _alike(tif: tifffile.TiffFile) -> bool:
        return len({(tuple(series.shape), str(series.dtype)) for series in tif.series}) == 1

    def _num_pages(self, page_ndim: int) -> int:
        return int(np.prod(self.shape[: len(self.shape) - page_ndim]))

    def _read_contiguous(self, tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> tuple[int, ...]:
        """Read the pixels by their place in the file: ImageJ, for one, writes one page for a whole large movie.

        Returns the shape of what is read at once.
        """
        page_shape = tuple(series.keyframe.shape)
        if series.dataoffset is None:
            raise ValueError("its pages hold more than a frame each: save it again with one page a frame")
        offset, path = series.dataoffset, self.path
        dtype = np.dtype(series.dtype).newbyteorder(tif.byteorder)
        count = int(np.prod(page_shape))
        missing = offset + self._num_pages(len(page_shape)) * count * dtype.itemsize - path.stat().st_size
        if missing > 0:
            raise ValueError(f"the file is cut short, {missing} bytes are missing: copy or export it again")

        def read(page: int) -> NDArray[Any]:
            place = offset + page * count * dtype.itemsize
            pixels: NDArray[Any] = np.fromfile(path, dtype, count, offset=place)
            return pixels.reshape(page_shape)

        self._read_page = read
        return page_shape

    def __getitem__(self, key: Any) -> NDArray[Any]:
        key = key if isinstance(key, tuple) else (key,)
        key = (*key, *[slice(None)] * (len(self.shape) - len(key)))
        paged, rest = key[: len(self._paged)], key[len(self._paged) :]
        chosen = [
            range(n)[k] if isinstance(k, slice) else (range(n)[index(k)],)
            for k, n in zip(paged, self._paged, strict=True)
        ]
        numbers = [int(np.ravel_multi_index(place, self._paged)) for place in itertools.product(*chosen)]
        with self._lock:
            pages = [self._read_page(number) for number in numbers]
        if self._planar:
            pages = [np.moveaxis(page, 0, -1) for page in pages]
        kept = [len(places) for k, places in zip(paged, chosen, strict=True) if isinstance(k, slice)]
        pages = [page[rest] for page in pages] if rest else pages
        return np.stack(pages).reshape(*kept, *pages[0].shape) if kept else pages[0]

    def __len__(self) -> int:
        return self.shape[0]


class ZarrMovie:
    """A zarr array whose axes are known by their letters, as `InputChoice` has them."""

    def __init__(self, array: Any, axes: str) -> None:
        self.axes = axes
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.dtype: np.dtype[Any] = np.dtype(array.dtype)
        self.chunks = array.chunks
        self._array = array

    def __getitem__(self, key: Any) -> Any:
        return self._array[key]


class FrameFolder:
    """A folder with one file a frame, in the order of the names, and of the numbers in them: t9.tif before t10.tif.

    TIFFs, as the Cell Tracking Challenge has them; without any TIFF, JPEGs or PNGs, as sets of videos have them.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        names = sorted(entry.name for entry in Path(path).iterdir() if not entry.name.startswith("."))
        files = [Path(path, name) for name in tifffile.natural_sorted(names)]
        tiffs = [entry for entry in files if entry.suffix.lower() in TIFF_SUFFIXES]
        self.paths = tiffs or [entry for entry in files if entry.suffix.lower() in PICTURE_SUFFIXES]
        if not self.paths:
            raise ValueError("the folder holds no TIFF; expected one a frame, such as t000.tif, t001.tif")
        self._read: Callable[[Path], NDArray[Any]] = tifffile.imread if tiffs else _read_picture
        first = self[0]
        self.shape: tuple[int, ...] = (len(self.paths), *first.shape)
        self.dtype: np.dtype[Any] = first.dtype

    def __getitem__(self, key: Any) -> NDArray[Any]:
        t, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(t, slice):
            return np.stack([self[(k, *rest)] for k in range(len(self))[t]])
        pixels: NDArray[Any] = self._read(self.paths[index(t)])[tuple(rest)]
        return pixels

    def __len__(self) -> int:
        return self.shape[0]


def _read_picture(path: Path) -> NDArray[Any]:
    """(Y, X) if it is gray, else (Y, X, 3)."""
    with Image.open(path) as picture:
        return np.asarray(picture if picture.mode in ("L", "I", "I;16") else picture.convert("RGB"))


class _TiffComplaints(logging.Handler):
    """Hear what tifffile logs while a file is opened: it goes on with the pages it finds when later ones are lost."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.damage = ""
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.thread == self._thread and ("invalid page offset" in message or "corrupted" in message):
            self.damage = message

    def __enter__(self) -> "_TiffComplaints":
        logging.getLogger("tifffile").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("tifffile").removeHandler(self)


def _page_pixels(page: Any) -> NDArray[Any]:
    if page is None:
        raise ValueError("the file lists this frame but does not hold it")
    try:
        pixels: NDArray[Any] = page.asarray()
    except KeyError as exc:
        raise ValueError(f"{exc.args[0]}: pip install imagecodecs") from exc
    return pixels


def _has_zarr_metadata(path: Path) -> bool:
    return any((path / name).exists() for name in ("zarr.json", ".zarray", ".zgroup"))


def _open_zarr(path: Path) -> LazyArray:
    import zarr

    node = zarr.open(path, mode="r")
    if isinstance(node, zarr.Array):
        return node
    attributes: dict[str, Any] = dict(node.attrs)
    ome: dict[str, Any] = attributes.get("ome", attributes)
    name = ome["multiscales"][0]["datasets"][0]["path"] if "multiscales" in ome else "0"
    if name not in node or not isinstance(array := node[name], zarr.Array):
        raise ValueError(f"the group has no array {name!r}; give the path of an array in it: {sorted(node.keys())}")
    named = ome["multiscales"][0].get("axes", ()) if "multiscales" in ome else ()
    # Until version 0.4 an axis was a bare string.
    axes = axes_of_names([str(axis["name"] if isinstance(axis, dict) else axis) for axis in named])
    return array if axes is None else ZarrMovie(array, axes)
