"""What an array of a movie must be: (T, Y, X) or (T, Y, X, 3 | 4), of numbers."""

from typing import Any

import numpy as np

from napari_sam2.errors import MovieError
from napari_sam2.io.movies import LazyArray


def real_dtype(data: LazyArray, name: str) -> np.dtype[Any]:
    """The type of a movie's pixels, which are numbers or bool.

    Raises
    ------
    MovieError
        If they are others.
    """
    try:
        dtype: np.dtype[Any] = np.dtype(data.dtype)
    except TypeError as exc:
        raise MovieError(f"{name} has pixels of {data.dtype}: convert it to a numpy array first") from exc
    if dtype.kind not in "buif":
        raise MovieError(f"{name} has pixels of {dtype}, expected integers, real numbers or bool: convert them first")
    return dtype


def frame_layout(shape: tuple[int, ...], rgb: bool | None, name: str) -> tuple[bool, tuple[int, ...]]:
    """Tell whether the movie is in color, and the shape of a frame, (Y, X) or (Y, X, 3 | 4).

    Raises
    ------
    MovieError
        If it has no time axis or other axes.
    """
    if 0 in shape:
        raise MovieError(f"{name} has the shape {shape} and so no pixels: expected (T, Y, X) or (T, Y, X, 3)")
    color = shape[-1:] in ((3,), (4,))
    if len(shape) < 3 or (len(shape) == 3 and color and rgb is not False):
        raise MovieError(
            f"{name} has the shape {shape} and no time axis, expected (T, Y, X) or (T, Y, X, 3): "
            "a single picture is a movie of one frame, picture[None]"
        )
    if rgb is None:
        rgb = len(shape) == 4 and color
    if rgb and not color:
        raise MovieError(f"{name} has the shape {shape}: color needs a last axis of 3 or 4, not {shape[-1]}")
    split = -3 if rgb else -2
    if any(n != 1 for n in shape[1:split]):
        raise MovieError(
            f"{name} has the shape {shape}, expected (T, Y, X) or (T, Y, X, 3): choose a plane or a channel, for "
            "example Video.open(movie, InputChoice('TZYX', plane=0)), or --axes TZYX --plane 0 on the command line"
        )
    return rgb, shape[split:]
