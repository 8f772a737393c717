"""One simulated cell: where it is, its shape, and what it looks like."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .specs import MovieSpec

NUM_HARMONICS = 6


@dataclass(frozen=True, slots=True)
class Appearance:
    """What moves with a cell.

    `brightness` multiplies its contrast; `shade` is its slope along u and v per radius; `tiles` and `offset` choose
    its texture; `vesicles` is (V, 4): u, v and radius in units of the cell's radius (rods: of its width and half
    length), and signed strength.
    """

    brightness: float
    shade: tuple[float, float]
    tiles: tuple[int, int]
    offset: tuple[float, float]
    vesicles: NDArray[np.float32]


@dataclass(slots=True)
class Cell:
    """State of a cell in one frame. Positions and radii in pixels, angles in radians, velocities in pixels a frame."""

    label: int
    parent: int
    y: float
    x: float
    velocity: NDArray[np.float64]
    angle: float
    radius: float
    elongation: float
    harmonics: NDArray[np.float32]
    appearance: Appearance
    is_rod: bool = False
    bend: float = 0.0
    pinch: float = 0.0
    neck: float = 0.0
    condensed: float = 0.0
    divides_at: int = -1
    bud_of: Cell | None = None
    bud_angle: float = 0.0
    full_radius: float = 0.0
    gain: float = 1.0
    flow: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))

    @property
    def brightness(self) -> float:
        """Contrast now, relative to a typical cell: its own level, times its flicker, times how condensed it is."""
        return self.appearance.brightness * self.gain * (1 + 0.8 * self.condensed)

    @property
    def rod_width(self) -> float:
        """Half the width of a rod with the area of a disc of `radius`."""
        return float(self.radius * np.sqrt(np.pi / (4 * (self.elongation - 1) + np.pi)))

    @property
    def rod_half_length(self) -> float:
        """Half the length of a rod's axis, caps not included."""
        return self.rod_width * (self.elongation - 1)


def draw_appearance(rng: np.random.Generator, spec: MovieSpec) -> Appearance:
    """Draw brightness, texture and vesicles of a new cell."""
    number = int(rng.poisson(spec.vesicles)) if spec.vesicles else 0
    number = min(number, 6)
    distance, direction = 0.6 * np.sqrt(rng.random(number)), rng.uniform(0, 2 * np.pi, number)
    size = rng.uniform(0.08, 0.5 if number < 3 else 0.25, number)
    strength = rng.uniform(0.5, 1.5, number) * np.where(rng.random(number) < 0.6, 1, -1)
    if rng.random() < abs(spec.vacuole):
        distance = np.append(distance, rng.uniform(0.0, 0.3))
        direction = np.append(direction, rng.uniform(0, 2 * np.pi))
        size = np.append(size, rng.uniform(0.3, 0.55))
        strength = np.append(strength, np.sign(spec.vacuole) * rng.uniform(0.2, 0.7) / max(spec.texture, 0.05))
    if spec.organelles:
        bodies = min(int(rng.poisson(spec.organelles)), 5)
        distance = np.append(distance, 0.75 * np.sqrt(rng.random(bodies)))
        direction = np.append(direction, rng.uniform(0, 2 * np.pi, bodies))
        size = np.append(size, rng.uniform(0.06, 0.16, bodies))
        sign = np.where(rng.random(bodies) < 0.75, 1, -1)
        strength = np.append(strength, sign * rng.uniform(0.3, 0.9, bodies) / max(spec.texture, 0.05))
    shown = np.stack([distance * np.cos(direction), distance * np.sin(direction), size, strength], 1)
    return Appearance(
        brightness=float(np.exp(np.clip(rng.normal(0, spec.brightness_spread), -1.6, 1.3))),
        shade=(float(rng.normal(0, spec.shade)), float(rng.normal(0, spec.shade))),
        tiles=(int(rng.integers(15)), int(rng.integers(15))),
        offset=(float(rng.uniform(0, 256)), float(rng.uniform(0, 256))),
        vesicles=shown.astype(np.float32),
    )


def inherit(rng: np.random.Generator, appearance: Appearance) -> Appearance:
    """A daughter's appearance: like its mother's, but not the same."""
    return replace(
        appearance,
        brightness=appearance.brightness * float(np.exp(rng.normal(0, 0.08))),
        offset=(float(rng.uniform(0, 256)), float(rng.uniform(0, 256))),
    )


def draw_harmonics(rng: np.random.Generator, amplitude: float) -> NDArray[np.float32]:
    """Outline harmonics of order 2 and up, (NUM_HARMONICS, 2), falling off with the order."""
    falloff = np.arange(1, NUM_HARMONICS + 1, dtype=np.float32)[:, None] ** -1.2
    return (rng.standard_normal((NUM_HARMONICS, 2)) * amplitude * falloff).astype(np.float32)


def draw_cell(rng: np.random.Generator, spec: MovieSpec, *, label: int, yx: tuple[float, float], angle: float) -> Cell:
    """Draw a new cell at a place."""
    rods = spec.cell_kind == "rods"
    radius = spec.radius * float(np.exp(np.clip(rng.normal(0, spec.size_spread), -0.8, 0.6)))
    spread = 1 + (spec.elongation - 1) * rng.uniform(0.6, 1.4)
    return Cell(
        label=label,
        parent=0,
        y=yx[0],
        x=yx[1],
        velocity=rng.normal(0, spec.speed * spec.diameter / np.sqrt(2), 2),
        angle=angle,
        radius=radius,
        elongation=max(spread, 2.0) if rods else spread,
        harmonics=draw_harmonics(rng, spec.deformation),
        appearance=draw_appearance(rng, spec),
        is_rod=rods,
        bend=float(rng.normal(0, spec.deformation)) if rods else 0.0,
        full_radius=radius,
    )
