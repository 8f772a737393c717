"""Signed distances to cell outlines, each in its own bounding box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .cells import Cell

NUM_ANGLES = 256
_ANGLES = (np.arange(NUM_ANGLES, dtype=np.float32) + 0.5) * np.float32(2 * np.pi / NUM_ANGLES)


@dataclass(frozen=True, slots=True)
class Field:
    """A cell's signed distance in a box of the frame.

    `depth` is in pixels, positive inside; `u` and `v` are the cell's own coordinates in pixels (`u` along its axis).
    All three have the shape of ``frame[rows, columns]``. `inner` cuts the part that can hold the cell itself.
    """

    rows: slice
    columns: slice
    depth: NDArray[np.float32]
    u: NDArray[np.float32]
    v: NDArray[np.float32]
    inner: tuple[slice, slice]


def radius_tables(cells: list[Cell]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Radius over angle of star-shaped cells, (N, NUM_ANGLES), and the cosine from radial to normal distance."""
    harmonics = np.stack([cell.harmonics for cell in cells])  # (N, K, 2)
    orders = np.arange(2, 2 + harmonics.shape[1], dtype=np.float32)
    phase = orders[:, None] * _ANGLES[None, :]
    bumps = harmonics[..., 0] @ np.cos(phase) + harmonics[..., 1] @ np.sin(phase)
    radius = np.array([cell.radius for cell in cells], np.float32)[:, None]
    stretch = np.sqrt(np.array([cell.elongation for cell in cells], np.float32))[:, None]
    ellipse = 1 / np.sqrt((np.cos(_ANGLES) / stretch) ** 2 + (np.sin(_ANGLES) * stretch) ** 2)
    table = radius * ellipse * np.clip(1 + bumps, 0.35, 1.9)
    necks = np.array([cell.neck for cell in cells], np.float32)[:, None]
    if necks.any():  # a bud's mother lies at the angle pi
        table *= 1 + necks * np.exp(-(((_ANGLES - np.float32(np.pi)) / np.float32(0.3)) ** 2))
    slope = (np.roll(table, -1, 1) - np.roll(table, 1, 1)) * np.float32(NUM_ANGLES / (4 * np.pi)) / table
    return table.astype(np.float32), (1 / np.sqrt(1 + slope**2)).astype(np.float32)


def _span(center: float, reach: float, size: int) -> tuple[int, int]:
    return max(0, int(center - reach)), min(size, int(center + reach) + 2)


@dataclass(frozen=True, slots=True)
class _Grid:
    rows: slice
    columns: slice
    u: NDArray[np.float32]
    v: NDArray[np.float32]
    inner: tuple[slice, slice]


def _grid(cell: Cell, reach: tuple[float, float], margin: float, shape_yx: tuple[int, int]) -> _Grid | None:
    """Coordinates of a cell in its box, `margin` wider than its reach; None outside the view."""
    (y0, y1), (x0, x1) = (_span(c, r + margin, n) for c, r, n in zip((cell.y, cell.x), reach, shape_yx, strict=True))
    if y1 <= y0 or x1 <= x0:
        return None
    (v0, v1), (u0, u1) = (_span(c, r + 2, n) for c, r, n in zip((cell.y, cell.x), reach, shape_yx, strict=True))
    y = (np.arange(y0, y1) - cell.y).astype(np.float32)[:, None]
    x = (np.arange(x0, x1) - cell.x).astype(np.float32)[None, :]
    cos, sin = np.float32(np.cos(cell.angle)), np.float32(np.sin(cell.angle))
    inner = slice(max(v0 - y0, 0), max(v1 - y0, 0)), slice(max(u0 - x0, 0), max(u1 - x0, 0))
    return _Grid(slice(y0, y1), slice(x0, x1), x * cos + y * sin, y * cos - x * sin, inner)


def radial_field(
    cell: Cell, table: NDArray[np.float32], cosine: NDArray[np.float32], margin: float, shape_yx: tuple[int, int]
) -> Field | None:
    """Distance to a star-shaped outline; None outside the view. `margin` in pixels (>= 2) is kept around the cell."""
    reach = float(table.max())
    grid = _grid(cell, (reach, reach), margin, shape_yx)
    if grid is None:
        return None
    u, v = grid.u, grid.v
    index = (np.arctan2(v, u) * np.float32(NUM_ANGLES / (2 * np.pi)) + np.float32(NUM_ANGLES)).astype(np.int32)
    index &= NUM_ANGLES - 1
    depth = (table.take(index) - np.sqrt(u * u + v * v)) * cosine.take(index)
    return Field(grid.rows, grid.columns, depth, u, v, grid.inner)


def rod_field(cell: Cell, margin: float, shape_yx: tuple[int, int]) -> Field | None:
    """Distance to a bent capsule, pinched in the middle before it divides; None outside the view."""
    half, width = cell.rod_half_length, cell.rod_width
    around = width + abs(cell.bend) * half
    reach = abs(np.sin(cell.angle)) * half + around, abs(np.cos(cell.angle)) * half + around
    grid = _grid(cell, reach, margin, shape_yx)
    if grid is None:
        return None
    u, v = grid.u, grid.v
    clipped = np.clip(u, -half, half)
    beyond = u - clipped
    bow = np.float32(cell.bend / max(half, 1e-3)) * (clipped * clipped - np.float32(half * half / 3))
    across = v - bow
    depth = np.float32(width) - np.sqrt(beyond * beyond + across * across)
    if cell.pinch > 0:
        depth -= np.float32(cell.pinch * width) * np.exp(-((u / np.float32(0.7 * width)) ** 2))
    return Field(grid.rows, grid.columns, depth, u, v, grid.inner)
