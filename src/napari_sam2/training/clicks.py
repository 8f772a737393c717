"""Simulated prompts: what a user would click, box or paint, given the truth."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from sam2_torch.outputs import PointTokens
from sam2_torch.prompt_encoder import BOX_FIRST, BOX_LAST, NEGATIVE, POSITIVE

CLICK, BOX, MASK = "click", "box", "mask"


def inside_click(mask: NDArray[np.bool_], rng: np.random.Generator) -> tuple[float, float]:
    """A click (x, y) inside a mask (H, W): often its deepest pixel, else any, deeper ones more likely."""
    rows, columns = np.nonzero(mask)
    y0, x0 = rows.min(), columns.min()
    crop = np.pad(mask[y0 : rows.max() + 1, x0 : columns.max() + 1], 1)
    depth = ndimage.distance_transform_edt(crop)[1:-1, 1:-1]
    if rng.random() < 0.3:
        y, x = np.unravel_index(depth.argmax(), depth.shape)
    else:
        weight = (depth ** rng.choice([0.5, 1.0, 2.0])).ravel()
        y, x = np.unravel_index(rng.choice(weight.size, p=weight / weight.sum()), depth.shape)
    return float(x + x0), float(y + y0)


def first_prompts(masks: NDArray[np.bool_], kind: str, rng: np.random.Generator) -> PointTokens:
    """A click, or a box jittered by a tenth of its size, for each of N masks (N, H, W)."""
    if kind == CLICK:
        points = [[inside_click(m, rng)] for m in masks]
        return _tokens(points, [[POSITIVE]] * len(masks))
    boxes = []
    for mask in masks:
        rows, columns = np.nonzero(mask)
        y0, y1, x0, x1 = rows.min(), rows.max(), columns.min(), columns.max()
        jitter = rng.normal(0, 0.1, 4) * np.array([x1 - x0, y1 - y0, x1 - x0, y1 - y0])
        boxes.append((np.array([x0, y0, x1, y1]) + np.clip(jitter, -20, 20)).reshape(2, 2).tolist())
    return _tokens(boxes, [[BOX_FIRST, BOX_LAST]] * len(masks))


def corrective_clicks(
    predicted: NDArray[np.bool_], truth: NDArray[np.bool_], rng: np.random.Generator, before: PointTokens | None
) -> PointTokens:
    """One more click for each object, in the error region, after the points given `before`."""
    points, labels = [], []
    for wrong, right in zip(predicted, truth, strict=True):
        error = wrong ^ right
        region = error if error.any() else (right if right.any() else ~right)
        x, y = inside_click(region, rng)
        points.append([(x, y)])
        labels.append([POSITIVE if right[int(y), int(x)] else NEGATIVE])
    new = _tokens(points, labels)
    if before is None:
        return new
    return PointTokens(torch.cat([before.xy, new.xy], 1), torch.cat([before.labels, new.labels], 1))


def _tokens(points: list[list[tuple[float, float]]], labels: list[list[int]]) -> PointTokens:
    return PointTokens(torch.tensor(points, dtype=torch.float32), torch.tensor(labels))


def to_numpy(logits: Tensor) -> NDArray[np.bool_]:
    """Masks (N, H, W) from logits (N, 1, h, w) brought to 4 times their size."""
    full = torch.nn.functional.interpolate(logits.detach(), scale_factor=4.0, mode="bilinear")
    return (full[:, 0] > 0).cpu().numpy()
