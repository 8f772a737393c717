"""A picture of a report: IoU over the frames, a panel a movie."""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from napari_sam2.errors import EvaluationError
from napari_sam2.evaluation.comparison import MovieScores
from napari_sam2.io.atomic import replacing

PANEL_YX = (240, 420)
MARGIN = 40
GRAY, BLACK = (190, 190, 190), (20, 20, 20)
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
    columns = min(2, len(drawn))
    height, width = PANEL_YX
    picture = Image.new("RGB", (columns * width, math.ceil(len(drawn) / columns) * height), "white")
    for k, (name, ids, iou) in enumerate(drawn):
        panel = _panel(name, ids, iou)
        picture.paste(panel, (k % columns * width, k // columns * height))
    return picture


def write_picture(path: Path, movies: Sequence[MovieScores]) -> None:
    """Write `draw_report` as a PNG; the file appears whole or not at all. Raises as `draw_report` does."""
    picture = draw_report(movies)
    with replacing(path) as part:
        picture.save(part, format="PNG")


def _panel(name: str, ids: Sequence[int], iou: NDArray[np.float64]) -> Image.Image:
    height, width = PANEL_YX
    panel = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(panel), ImageFont.load_default(size=11)
    for level in (0.0, 0.5, 1.0):
        y = _place(0, level, 1)[1]
        draw.line([(MARGIN, y), (width - 10, y)], fill=(225, 225, 225))
        draw.text((MARGIN - 5, y), f"{level:g}", fill=BLACK, font=font, anchor="rm")
    for column in range(iou.shape[1]):
        _curve(draw, iou[:, column], GRAY, 1)
    labels = []
    for what, column in _examples(iou).items():
        color = COLORS[what]
        _curve(draw, iou[:, column], color, 2)
        labels.append((f"{what} {ids[column]}", color))
    there = ~np.isnan(iou)
    mean = np.where(there.any(1), np.nansum(iou, 1) / np.maximum(there.sum(1), 1), np.nan)
    _curve(draw, mean, BLACK, 3)
    x = float(MARGIN)
    for text, color in [(f"{name}: mean {np.nanmean(iou):.3f}", BLACK), *labels]:
        draw.text((x, 8), text, fill=color, font=font)
        x += font.getlength(text) + 10
    draw.text((width - 10, height - 8), f"frame {len(iou) - 1}", fill=BLACK, font=font, anchor="rs")
    return panel


def _examples(iou: NDArray[np.float64]) -> dict[str, int]:
    """Columns of the worst, the median and the best object; of two, worst and best, and one needs no telling apart."""
    order = np.argsort(np.nanmean(iou, 0)).tolist()
    chosen = {"worst": order[0], "median": order[len(order) // 2], "best": order[-1]}
    return {what: column for what, column in chosen.items() if len(order) > (2 if what == "median" else 1)}


def _place(t: int, value: float, count: int) -> tuple[float, float]:
    height, width = PANEL_YX
    x = MARGIN + (width - 10 - MARGIN) * t / max(1, count - 1)
    return x, height - MARGIN / 2 - value * (height - MARGIN / 2 - 30)


def _curve(draw: ImageDraw.ImageDraw, values: NDArray[np.float64], color: tuple[int, int, int], width: int) -> None:
    """A line with gaps where there is no value, and a dot for each value, so that one between gaps is seen."""
    points = [_place(t, value, len(values)) for t, value in enumerate(values.tolist())]
    for x, y in points:
        if not math.isnan(y):
            draw.ellipse([(x - width, y - width), (x + width, y + width)], fill=color)
    for before, after in pairwise(points):
        if not any(math.isnan(y) for _, y in (before, after)):
            draw.line([before, after], fill=color, width=width)
