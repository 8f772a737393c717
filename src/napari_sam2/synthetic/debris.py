"""What lies among the cells and is none: specks, dead cells, outlines of channels. No label, moved by the stage."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .specs import MovieSpec

_FRAGMENTS = (4, 10)


class Rubbish(Protocol):
    """Something unlabelled."""

    def draw(self, image: NDArray[np.float32], contrast: float, frame: int, stage: NDArray[np.float64]) -> None:
        """Add it to `image` (Y, X) in place; `stage` (y, x) in pixels, `contrast` that of the cells."""


def draw_rubbish(spec: MovieSpec, rng: np.random.Generator) -> list[Rubbish]:
    """Draw all of a movie: debris, dead cells and walls."""
    blobs = [_Debris(spec, rng) for _ in range(spec.debris)]
    return [
        *blobs,
        *(_DeadCell(spec, rng) for _ in range(spec.dead)),
        *(_Wall(spec, rng) for _ in range(spec.walls)),
    ]


class _Debris:
    """One blob: a speck, a ring, a speck in a ring, or something large far out of focus."""

    def __init__(self, spec: MovieSpec, rng: np.random.Generator) -> None:
        glowing = spec.look == "fluorescence"
        self._kind = int(rng.choice(4, p=[0.6, 0.07, 0.03, 0.3] if glowing else [0.35, 0.2, 0.25, 0.2]))
        reach = np.array(spec.shape_yx)
        self._center = rng.uniform(-0.1, 1.1, 2) * reach
        self._velocity = rng.normal(0, 0.03 * spec.diameter, 2) if rng.random() < 0.3 else np.zeros(2)
        small = self._kind != 3
        self._radius = max(1.2, spec.diameter * float(rng.uniform(0.04, 0.2) if small else rng.uniform(0.4, 1.0)))
        sign = 1.0 if glowing or rng.random() < 0.4 else -1.0
        self._strength = sign * float(rng.uniform(0.1, 0.7) if small else rng.uniform(0.03, 0.15))

    def draw(self, image: NDArray[np.float32], contrast: float, frame: int, stage: NDArray[np.float64]) -> None:
        center = self._center + frame * self._velocity + stage
        _add_blob(image, center, self._radius, contrast * self._strength, self._kind)


class _DeadCell:
    """A shrunken cell in fragments, bright in fluorescence, of any brightness else; it lies still and trembles."""

    def __init__(self, spec: MovieSpec, rng: np.random.Generator) -> None:
        number = int(rng.integers(*_FRAGMENTS))
        self._center = rng.uniform(0, 1, 2) * np.array(spec.shape_yx)
        self._offsets = rng.normal(0, 0.18 * spec.diameter, (number, 2))
        self._radii = np.maximum(1.0, spec.diameter * rng.uniform(0.05, 0.16, number))
        if spec.look == "fluorescence":
            self._strengths = rng.uniform(0.8, 3.0) * rng.uniform(0.4, 1.0, number)
        else:
            self._strengths = rng.uniform(0.2, 0.8) * np.where(rng.random(number) < rng.choice([0.2, 0.7]), 1.0, -1.0)
        self._tremor = 0.01 * spec.diameter
        self._rng = np.random.Generator(np.random.PCG64(rng.integers(2**32)))

    def draw(self, image: NDArray[np.float32], contrast: float, frame: int, stage: NDArray[np.float64]) -> None:
        self._offsets = self._offsets + self._rng.normal(0, self._tremor, self._offsets.shape)
        for offset, radius, strength in zip(self._offsets, self._radii, self._strengths, strict=True):
            _add_blob(image, self._center + offset + stage, float(radius), contrast * float(strength), 0)


class _Wall:
    """The outline of a channel or trap: a rectangle larger than cells, with a fringe on its outside."""

    def __init__(self, spec: MovieSpec, rng: np.random.Generator) -> None:
        self._center = rng.uniform(-0.2, 1.2, 2) * np.array(spec.shape_yx)
        self._half = np.maximum(rng.uniform(0.05, 0.6, 2) * np.array(spec.shape_yx), spec.diameter)
        self._width = max(1.0, spec.diameter * float(rng.uniform(0.03, 0.1)))
        self._strength = float(rng.uniform(0.15, 0.7)) * (1.0 if rng.random() < 0.7 else -1.0)
        self._inside = float(rng.normal(0, 0.05))

    def draw(self, image: NDArray[np.float32], contrast: float, frame: int, stage: NDArray[np.float64]) -> None:
        y, x = (
            (np.abs(np.arange(n) - c) - h).astype(np.float32)
            for n, c, h in zip(image.shape, self._center + stage, self._half, strict=True)
        )
        beyond = np.maximum(y[:, None], x[None, :]) / np.float32(self._width)
        steps = np.clip((beyond + np.float32(4)) * np.float32(8), 0, len(_FRINGES) - 1).astype(np.int32)
        image += np.float32(contrast * self._strength) * _FRINGES.take(steps)
        image += np.float32(contrast * self._inside) * (beyond < 0)


def _fringes() -> NDArray[np.float32]:
    """Light over the distance from a wall, from 4 widths inside to 4 widths outside it, eight steps a width."""
    at = np.arange(-4, 4, 1 / 8)
    return np.asarray(np.exp(-(at**2)) - 0.5 * np.exp(-((at - 1.8) ** 2)), np.float32)


_FRINGES = _fringes()


def _add_blob(image: NDArray[np.float32], center: NDArray[np.float64], radius: float, light: float, kind: int) -> None:
    """Add a soft disc (kind 0 and 3), a ring (1) or a disc in a ring (2) in place."""
    reach = 3.2 * radius
    y0, x0 = (max(0, int(value - reach)) for value in center)
    y1, x1 = (min(size, int(value + reach) + 1) for value, size in zip(center, image.shape, strict=True))
    if y1 <= y0 or x1 <= x0:
        return
    y = ((np.arange(y0, y1) - center[0]) / radius).astype(np.float32)[:, None]
    x = ((np.arange(x0, x1) - center[1]) / radius).astype(np.float32)[None, :]
    square = y * y + x * x
    if kind in (0, 3):
        shape = np.exp(-square)
    else:
        ring = np.exp(-np.square((np.sqrt(square) - np.float32(2.0)) * np.float32(2.0)))
        shape = ring if kind == 1 else np.exp(np.float32(-1.5) * square) - np.float32(0.5) * ring
    image[y0:y1, x0:x1] += np.float32(light) * shape
