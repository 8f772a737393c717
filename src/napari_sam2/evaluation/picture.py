"""A picture of a report: IoU over the frames, a panel a movie."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_sam2.errors import EvaluationError
from napari_sam2.evaluation.comparison import MovieScores
from napari_sam2.evaluation.panel import BLACK, GRAY, Panel, together
from napari_sam2.io.atomic import replacing

COLORS = {"worst": (200, 60, 50), "median": (60, 110, 190), "best": (40, 140, 80)}


def draw_report(movies: Sequence[MovieScores]) -> Image.Image:
    """Draw the IoU of each object (thin) and the mean (black); best, median and worst object in color, by ID.

    Raises
    ------
    EvaluationError
        If IoU was not measured on any movie.
    """
    drawn = [(m.name, m.object_ids, m.iou) for m in movies if m.iou is not None]
    if not drawn:
        raise EvaluationError("there is no IoU over frames to draw: measure overlap as well (--measures overlap)")
    return together([_panel(*movie) for movie in drawn])


def write_picture(path: Path, movies: Sequence[MovieScores]) -> None:
    """Write `draw_report` as a PNG; the file appears whole or not at all. Raises as `draw_report` does."""
    picture = draw_report(movies)
    with replacing(path) as part:
        picture.save(part, format="PNG")


def _panel(name: str, ids: Sequence[int], iou: NDArray[np.float64]) -> Panel:
    panel = Panel()
    there = ~np.isnan(iou)
    panel.caption(f"{name}: mean {np.nanmean(iou):.3f}", BLACK)
    for column in range(iou.shape[1]):
        panel.curve(iou[:, column].tolist(), GRAY, 1)
    for what, column in _examples(iou).items():
        panel.caption(f"{what} {ids[column]}", COLORS[what])
        panel.curve(iou[:, column].tolist(), COLORS[what], 2)
    mean = np.where(there.any(1), np.nansum(iou, 1) / np.maximum(there.sum(1), 1), np.nan)
    panel.curve(mean.tolist(), BLACK, 3)
    panel.end(f"frame {len(iou) - 1}")
    return panel


def _examples(iou: NDArray[np.float64]) -> dict[str, int]:
    """Columns of the worst, the median and the best object; of two, worst and best, and one needs no telling apart."""
    order = np.argsort(np.nanmean(iou, 0)).tolist()
    chosen = {"worst": order[0], "median": order[len(order) // 2], "best": order[-1]}
    return {what: column for what, column in chosen.items() if len(order) > (2 if what == "median" else 1)}
