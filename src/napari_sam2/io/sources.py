"""What a movie may be opened from: a path, an array, levels of one, a layer."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_sam2.errors import MovieError
from napari_sam2.input_choice import axes_of_names
from napari_sam2.io.dask_movie import timed_if_dask
from napari_sam2.io.movies import LazyArray, open_movie_file


def open_source(source: Any) -> tuple[LazyArray, bool | None, str]:
    """The array of a source, whether it says of itself that it is in color, and its name."""
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        return open_movie_file(path), None, path.name
    rgb, name, data = None, "movie", source
    if not _is_array(source) and not isinstance(source, Sequence) and hasattr(source, "data"):
        # A layer's own word on color is worth more than the length of its last axis.
        rgb, name = getattr(source, "rgb", None), str(getattr(source, "name", name))
        data = source.data
    if isinstance(data, Sequence) and len(data) > 0:
        data = data[0]
    if not _is_array(data):
        raise MovieError(f"cannot open a {type(data).__name__} as a movie: expected a path, an array or a layer")
    return timed_if_dask(data), rgb, name


def axes_of(source: Any, data: LazyArray, *, rgb: bool | None) -> str | None:
    """What a source says of its axes; shapes of movies speak for themselves."""
    known: str | None = getattr(data, "axes", None)
    names = getattr(source, "axis_labels", None)
    if known is None and names is not None:
        known = axes_of_names([*names, *["s"] * bool(rgb)])
    if known is None and len(data.shape) == 3:
        known = "TYX"
    if known is None and len(data.shape) == 4 and data.shape[-1] in (3, 4) and rgb is not False:
        known = "TYXS"
    return known


def _is_array(source: Any) -> bool:
    # napari's MultiScaleData has a shape as well, but is a sequence of levels.
    return (
        hasattr(source, "shape")
        and hasattr(source, "dtype")
        and hasattr(source, "__getitem__")
        and not isinstance(source, Sequence)
    )
