"""Opening a session's folder in napari: its movie as an image layer, on which the widget goes on with it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.errors import SessionError
from napari_sam2.io.movies import LazyArray, open_movie_file
from napari_sam2.layers.chosen_input import INPUT
from napari_sam2.layers.saving import METADATA
from napari_sam2.session_files.database import is_session

LayerData = tuple[Any, dict[str, Any], str]


def get_reader(path: str | list[str]) -> Callable[[str], list[LayerData]] | None:
    """Return what reads a session's folder; None for anything else."""
    return read_session if isinstance(path, str) and is_session(Path(path)) else None


def read_session(path: str) -> list[LayerData]:
    """Return the movie of a session as one image layer; the widget opens the session itself.

    Raises
    ------
    SessionError
        If the session is damaged, or its movie is not where it was.
    MovieError
        If the movie cannot be opened.
    """
    from napari_sam2.session_files.info import stored_movie

    folder = Path(path).absolute()
    known = stored_movie(folder)
    file = known.find(folder)
    if file is None:
        raise SessionError(
            f"the movie of the session in {folder} was {known.path or 'an array or a layer'}, which is not there: open "
            "the movie, choose it in 'Track cells (SAM 2)', and there press 'Open saved session'"
        )
    movie = open_movie_file(file)
    choice = known.choice
    data = _lazy(movie, known.shape, known.color) if choice is None else _with_all_axes(movie, choice.axes or "")
    is_color = known.color if choice is None else "S" in (choice.axes or "")
    placed = _placed(known.transforms, data.ndim - is_color)
    shown: dict[str, Any] = {"name": file.stem, "rgb": is_color, "metadata": {METADATA: str(folder)}}
    if choice is None or not choice.is_blend:
        shown["contrast_limits"] = known.contrast
    if choice is not None:
        shown["metadata"][INPUT] = replace(choice, axes=(choice.axes or "").replace("S", ""))
    return [(data, shown | placed, "image")]


def _placed(transforms: Mapping[str, Any], ndim: int) -> dict[str, Any]:
    """What places a layer of so many axes; without what is of another size."""
    sizes: dict[str, tuple[int, ...]] = {
        **dict.fromkeys(("scale", "translate", "units", "axis_labels"), (ndim,)),
        "rotate": (ndim, ndim),
        "shear": (ndim * (ndim - 1) // 2,),
        "affine": (ndim + 1, ndim + 1),
    }
    return {name: value for name, value in transforms.items() if name in sizes and _sizes_of(value) == sizes[name]}


def _sizes_of(value: Any) -> tuple[int, ...]:
    """The shape of nested lists; of what has none, as in a damaged file, that of a single number."""
    try:
        return tuple(np.shape(value))
    except ValueError:
        return ()


def _with_all_axes(movie: LazyArray, axes: str) -> Any:
    import dask.array as da

    if len(movie.shape) != len(axes):
        raise SessionError(f"the movie has the shape {tuple(movie.shape)} now, and had the axes {axes}: bring it back")
    whole = axes.index("Y")
    chunks = (1,) * whole + movie.shape[whole:]
    lazily: Any = da.from_array
    return lazily(movie, chunks=chunks, meta=np.empty((0,) * len(axes), movie.dtype), name=False)


def _lazy(movie: LazyArray, shape: tuple[int, int, int], color: bool) -> Any:
    import dask.array as da

    frame_shape = (*shape[1:], movie.shape[-1]) if color else shape[1:]
    if int(np.prod(movie.shape)) != shape[0] * int(np.prod(frame_shape)):
        raise SessionError(f"the movie has the shape {tuple(movie.shape)} now, and was {shape}: bring back the old one")

    def read(block_info: Any = None) -> NDArray[Any]:
        t = block_info[None]["array-location"][0][0]
        return np.asarray(movie[t]).reshape(1, *frame_shape)

    chunks = ((1,) * shape[0], *((size,) for size in frame_shape))
    lazily: Any = da.map_blocks
    return lazily(read, chunks=chunks, dtype=movie.dtype, meta=np.empty((0,) * len(chunks), movie.dtype))
