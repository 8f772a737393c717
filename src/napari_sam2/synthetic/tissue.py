"""Tissue that moves as one: cells that all go the same way, some faster than others, as at a low frame rate."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .cells import Cell
from .specs import MovieSpec


class Tissue:
    """The common motion of cells over a background that stays: a velocity, its gradient over the view, its changes."""

    def __init__(self, spec: MovieSpec, rng: np.random.Generator) -> None:
        self._rng = rng
        heading = rng.uniform(0, 2 * np.pi)
        step = spec.tissue_drift * spec.diameter
        self._velocity = step * np.array([np.sin(heading), np.cos(heading)])
        self._gradient = spec.tissue_shear * step * rng.normal(0, 0.7, (2, 2))
        self._middle = np.array(spec.shape_yx) / 2

    def carry(self, cells: Iterable[Cell]) -> None:
        """Move cells on by one frame."""
        turn = self._rng.normal(0, 0.2)
        faster = float(np.exp(self._rng.normal(0, 0.15)))
        cos, sin = np.cos(turn), np.sin(turn)
        self._velocity = np.array([[cos, -sin], [sin, cos]]) @ self._velocity
        for cell in cells:
            away = np.clip((np.array([cell.y, cell.x]) - self._middle) / self._middle, -1.5, 1.5)
            step = faster * (self._velocity + self._gradient @ away)
            cell.y += float(step[0])
            cell.x += float(step[1])
