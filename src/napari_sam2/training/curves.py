"""The log of a run as a picture: loss, and IoU in training and in validation, over the steps."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from napari_sam2.errors import TrainingError
from napari_sam2.evaluation.panel import BLACK, GRAY, Color, Panel, together
from napari_sam2.io.atomic import replacing

FIRST, ALL, VALIDATED = (60, 110, 190), (40, 140, 80), (200, 60, 50)
SMOOTHED = 9
"""Reports that a point of the thick curves is the median of."""


def draw_curves(log: Path, validation: Path) -> Image.Image:
    """Draw `log.csv`, and `validation.csv` if it is there.

    Raises
    ------
    TrainingError
        If the log has no line yet.
    """
    rows = _rows(log)
    if not rows:
        raise TrainingError(f"there is nothing to draw in {log} yet: it gets a line every 50 steps, and at the end")
    steps = [float(row["step"]) for row in rows]
    losses = [float(row["loss"]) for row in rows]
    loss, iou = Panel(top=max(*losses, 1e-6)), Panel()
    loss.caption(f"loss {losses[-1]:.3f}", BLACK)
    _draw(loss, steps, losses, BLACK, steps[-1])
    for field, name, color in (("first_iou", "IoU first frames", FIRST), ("iou", "all", ALL)):
        values = [float(row[field]) for row in rows]
        iou.caption(f"{name} {values[-1]:.3f}", color)
        _draw(iou, steps, values, color, steps[-1])
    checked = _means(validation)
    if checked:
        iou.caption(f"validation {list(checked.values())[-1]:.3f}", VALIDATED)
        iou.curve(list(checked.values()), VALIDATED, 2, [step / steps[-1] for step in checked])
    for panel in (loss, iou):
        panel.end(f"step {steps[-1]:.0f}")
    return together([loss, iou])


def write_curves(path: Path, log: Path, validation: Path) -> None:
    """Write `draw_curves` as a PNG, whole or not at all; nothing if the log has no line yet."""
    if not _rows(log):
        return
    picture = draw_curves(log, validation)
    with replacing(path) as part:
        picture.save(part, format="PNG")


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines())) if path.exists() else []


def _means(validation: Path) -> dict[float, float]:
    """Mean IoU over the movies by step, in order."""
    values: dict[float, list[float]] = {}
    for row in _rows(validation):
        values.setdefault(float(row["step"]), []).append(float(row["iou"]))
    return {step: float(np.mean(values[step])) for step in sorted(values)}


def _draw(panel: Panel, steps: Sequence[float], values: Sequence[float], color: Color, end: float) -> None:
    """Each report thin, and a running median thick."""
    at = [step / end for step in steps]
    panel.curve(values, GRAY, 1, at)
    reach = SMOOTHED // 2
    smooth = [float(np.median(values[max(0, k - reach) : k + reach + 1])) for k in range(len(values))]
    panel.curve(smooth, color, 2, at)
