"""Clicks in whatever form they are given: rows of numbers, prompts, files, layers."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.errors import PromptError
from napari_sam2.io.clicks import read_clicks
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt, Prompt, nearest_frame


def read_points(points: Any) -> list[Prompt]:
    """Clicks in any of the forms that `track` takes.

    Raises
    ------
    PromptError
        If they are in none of them.
    """
    if isinstance(points, (str, os.PathLike)):
        return list(read_clicks(Path(points)))
    features = getattr(points, "features", None)
    data = points if features is None else points.data
    if features is not None and "object_id" in features:
        return _from_layer(data, features)
    rows = list(data) if isinstance(data, Iterable) else [data]
    if all(isinstance(row, (PointPrompt, BoxPrompt, MaskPrompt)) for row in rows):
        return rows
    return [PointPrompt(nearest_frame(t), i, float(y), float(x)) for i, (t, y, x) in enumerate(_table(rows), start=1)]


def _table(rows: Any) -> NDArray[np.float64]:
    try:
        table = np.asarray(rows, dtype=float)
    except (TypeError, ValueError):
        table = np.empty(0)
    if table.ndim != 2 or table.shape[1] != 3:
        raise PromptError(f"points are {rows!r:.80}, expected rows of three numbers (t, y, x), one row for each object")
    return table


def _from_layer(data: Any, features: Any) -> list[Prompt]:
    try:
        ids = [int(i) for i in features["object_id"]]
    except (TypeError, ValueError) as error:
        raise PromptError(f"the feature object_id of the points layer holds no whole number ({error})") from error
    signs = [str(p) != "negative" for p in features["polarity"]] if "polarity" in features else [True] * len(ids)
    rows = zip(_table(data), ids, signs, strict=True)
    return [PointPrompt(nearest_frame(t), i, float(y), float(x), positive) for (t, y, x), i, positive in rows]


def check_transforms(movie: Any, points: Any) -> None:
    """A movie layer and a points layer must lie on one another: pixels are compared, not positions in the world."""
    for name in ("scale", "translate"):
        a, b = getattr(movie, name, None), getattr(points, name, None)
        if a is not None and b is not None and not np.allclose(a, b):
            raise PromptError(
                f"the points layer has the {name} {np.asarray(b).tolist()}, the movie {np.asarray(a).tolist()}: "
                f"give them the same, points.{name} = movie.{name}, or give points as rows of (t, y, x) in pixels"
            )
