"""Room for everyone: cells that overlap are pushed apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .cells import Cell


def relax(cells: list[Cell], spacing: float, *, rounds: int) -> None:
    """Push cells that overlap apart, turning rods as well. Rods count as discs strung on their axes."""
    if len(cells) < 2:
        return
    rods = cells[0].is_rod
    longest = max(cell.elongation for cell in cells)
    discs = int(np.clip(0.6 * longest, 4, 12))
    steps = np.linspace(-1, 1, discs, dtype=np.float32) if rods else np.zeros(1, np.float32)
    half = np.array([cell.rod_half_length if rods else 0.0 for cell in cells], np.float32)
    radii = np.array([cell.rod_width if rods else cell.radius for cell in cells], np.float32)
    center = np.array([(cell.y, cell.x) for cell in cells], np.float32)
    angle = np.array([cell.angle for cell in cells], np.float32)
    size = np.repeat(radii, len(steps)) * np.float32(spacing)
    touching = size[:, None] + size[None, :]
    owner = np.repeat(np.arange(len(cells)), len(steps))
    touching[owner[:, None] == owner[None, :]] = -1
    limit = np.array([0.5 * cell.radius for cell in cells], np.float32)[:, None]
    for _ in range(rounds):
        along = np.stack([np.sin(angle), np.cos(angle)], 1) * half[:, None]
        offsets = along[:, None, :] * steps[None, :, None]
        push = _pushes((center[:, None, :] + offsets).reshape(-1, 2), touching)
        if push is None:
            break
        push = push.reshape(offsets.shape)
        shift = push.sum(1) if len(steps) == 1 else 0.6 * push.sum(1)
        center += np.clip(shift, -limit, limit)
        if rods:
            torque = (offsets[..., 1] * push[..., 0] - offsets[..., 0] * push[..., 1]).sum(1)
            angle += np.clip(torque / (np.square(offsets).sum((1, 2)) + np.float32(1e-3)), -0.3, 0.3)
    for index, cell in enumerate(cells):
        cell.y, cell.x, cell.angle = float(center[index, 0]), float(center[index, 1]), float(angle[index])


def _pushes(places: NDArray[np.float32], touching: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Displacement (N, 2) of discs at `places` that lie closer than `touching` (N, N); None if none does."""
    dy, dx = np.subtract.outer(places[:, 0], places[:, 0]), np.subtract.outer(places[:, 1], places[:, 1])
    square = dy * dy + dx * dx
    first, second = np.nonzero((square < touching * touching) & (touching > 0))
    if first.size == 0:
        return None
    distance = np.sqrt(square[first, second]) + np.float32(1e-3)
    weight = np.float32(0.4) * (touching[first, second] - distance) / distance
    count = len(places)
    push_y = np.bincount(first, weight * dy[first, second], count)
    push_x = np.bincount(first, weight * dx[first, second], count)
    return np.stack([push_y, push_x], 1).astype(np.float32)


def uncrossed(cells: list[Cell]) -> list[Cell]:
    """Rods without those that still lie across an earlier one."""
    kept: list[Cell] = []
    steps = np.linspace(-1, 1, max(7, int(max((cell.elongation for cell in cells), default=0))))
    taken = np.empty((0, 3))
    for cell in cells:
        along = np.array([np.sin(cell.angle), np.cos(cell.angle)]) * cell.rod_half_length
        discs = np.array([cell.y, cell.x]) + steps[:, None] * along
        apart = np.hypot(discs[:, None, 0] - taken[None, :, 0], discs[:, None, 1] - taken[None, :, 1])
        if (apart < 0.55 * (cell.rod_width + taken[None, :, 2])).any():
            continue
        kept.append(cell)
        taken = np.concatenate([taken, np.column_stack([discs, np.full(len(discs), cell.rod_width)])])
    return kept
