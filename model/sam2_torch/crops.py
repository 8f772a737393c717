"""Windows laid over a whole image, and the points asked in each."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

import numpy as np
from numpy.typing import NDArray

from sam2_torch.windows import Window


def crop_windows(shape_yx: Sequence[int], layer: int, overlap_ratio: float, size: int) -> list[Window]:
    """The crops of a layer, 2 ** layer a side, each shown to the model at `size` x `size` pixels; layer 0 is the image.

    Parameters
    ----------
    overlap_ratio
        Overlap of the crops of layer 1, as a part of the image's shorter side; it halves from layer to layer.
    """
    height, width = shape_yx
    count = 2**layer
    overlap = int(overlap_ratio * min(height, width) * 2 / count) if layer else 0
    tall, wide = (ceil((overlap * (count - 1) + side) / count) for side in (height, width))
    return [
        Window(y, x, min(tall, height - y), min(wide, width - x), (size, size))
        for x in (i * (wide - overlap) for i in range(count))
        for y in (j * (tall - overlap) for j in range(count))
    ]


def grid_points(window: Window, per_side: int) -> NDArray[np.float64]:
    """Centres (y, x) of the cells of a grid of `per_side` x `per_side` cells over a window, in source pixels."""
    steps = (np.arange(per_side) + 0.5) / per_side
    ys, xs = window.y0 + steps * window.height - 0.5, window.x0 + steps * window.width - 0.5
    return np.stack(np.meshgrid(ys, xs, indexing="ij"), axis=-1).reshape(-1, 2)


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """A window, and the part of the image that it is answerable for.

    Attributes
    ----------
    window
        What the model sees.
    core
        (y0, x0, y1, x1) in source pixels, not rounded, half-open: of all tiles together the image, each pixel once.
    """

    window: Window
    core: tuple[float, float, float, float]

    def points(self, spacing: float) -> NDArray[np.float64]:
        """A grid (y, x) over the core, the same distance apart everywhere, at most `spacing` source pixels."""
        y0, x0, y1, x1 = self.core
        rows, columns = ceil((y1 - y0) / spacing), ceil((x1 - x0) / spacing)
        ys, xs = y0 + (np.arange(rows) + 0.5) * (y1 - y0) / rows, x0 + (np.arange(columns) + 0.5) * (x1 - x0) / columns
        return np.stack(np.meshgrid(ys - 0.5, xs - 0.5, indexing="ij"), axis=-1).reshape(-1, 2)


def tiles(shape_yx: tuple[int, int], side: int, halo: int, size: int) -> list[Tile]:
    """Overlapping square windows that cover an image.

    Parameters
    ----------
    side
        Of a window, in source pixels.
    halo
        So far at least does a window reach beyond its core, where the image goes on.
    size
        Side of the model's image.
    """
    rows, columns = (_cores(extent, side, halo) for extent in shape_yx)
    return [
        Tile(Window(y, x, side, side, (size, size)), (top, left, bottom, right))
        for y, top, bottom in rows
        for x, left, right in columns
    ]


def _cores(extent: int, side: int, halo: int) -> list[tuple[int, float, float]]:
    """First pixel of each window along one axis, and where its core begins and ends."""
    if extent <= side:
        return [(-((side - extent) // 2), 0.0, float(extent))]
    count = 1 + ceil((extent - side) / (side - 2 * halo))
    starts = [round(i * (extent - side) / (count - 1)) for i in range(count)]
    borders = [0.0, *((a + side + b) / 2 for a, b in pairwise(starts)), float(extent)]
    return [(start, borders[i], borders[i + 1]) for i, start in enumerate(starts)]
