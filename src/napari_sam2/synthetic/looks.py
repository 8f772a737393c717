"""From a canvas of cells to light: fluorescence, absorption, phase contrast, DIC and brightfield."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .canvas import Canvas, domed, edge_radius
from .specs import MovieSpec

_STEPS_PER_PIXEL = 8
_SHELL_STEPS = 64


@dataclass(frozen=True, slots=True)
class Optics:
    """What a movie's microscope does, drawn once per movie.

    `profile` is light over depth at a cell's edge, from ``-reach`` to ``reach`` pixels; `interior_spread` varies the
    interior between cells; `shear_yx` is the DIC direction in pixels;
    `shells` is light over relative depth, 0 at the edge and the last value in the middle.
    """

    profile: NDArray[np.float32]
    reach: float
    interior_spread: float
    shear_yx: tuple[int, int]
    shells: NDArray[np.float32] | None

    @property
    def margin(self) -> float:
        """How far a cell's surroundings can be changed by it, in pixels."""
        return self.reach


def _bump(depth: NDArray[np.float64], center: float, width: float) -> NDArray[np.float64]:
    return np.asarray(np.exp(-(((depth - center) / width) ** 2)))


def draw_optics(spec: MovieSpec, rng: np.random.Generator) -> Optics:
    """Draw the edge profile of a movie."""
    width = spec.rim_width
    halo_reach = spec.halo_width * spec.diameter if spec.halo else 0.0
    rim_reach = (5.0 if spec.look == "brightfield" else 3.5) * width if spec.rim else 0.0
    reach = float(np.clip(max(halo_reach, rim_reach), 4.0, 40.0))
    depth = np.arange(-reach, reach, 1 / _STEPS_PER_PIXEL)
    if spec.look == "brightfield":
        # A dark and a bright ring, their order given by the focus, and weaker fringes on either side.
        wave = rng.uniform(1.2, 2.0) * width
        profile = _bump(depth, -wave * rng.uniform(0.5, 1.1), width) * rng.uniform(0.5, 1.2)
        profile -= _bump(depth, wave * rng.uniform(0.2, 0.8), width) * rng.uniform(0.6, 1.3)
        profile += _bump(depth, wave * 1.9, 1.2 * width) * rng.uniform(0.0, 0.6)
        profile -= _bump(depth, -wave * 2.2, 1.5 * width) * rng.uniform(0.0, 0.3)
    elif spec.look == "phase":
        profile = -_bump(depth, width * rng.uniform(0.2, 1.2), width)
        profile += _bump(depth, -width * rng.uniform(0.3, 1.3), width) * rng.uniform(0.0, 1.2)
        if rng.random() < 0.4:  # a lighter ring inside the dark one
            profile += _bump(depth, width * rng.uniform(1.8, 3.0), width) * rng.uniform(0.1, 0.6)
    else:
        profile = _bump(depth, width * rng.uniform(-0.2, 1.0), width)
    profile *= spec.rim * np.clip((reach - np.abs(depth)) / 2, 0, 1)
    angle = rng.uniform(0, 2 * np.pi)
    step = max(1.0, 0.05 * spec.diameter)
    shear = int(np.rint(step * np.sin(angle))), int(np.rint(step * np.cos(angle)))
    return Optics(
        profile=profile.astype(np.float32),
        reach=reach,
        interior_spread=float(rng.uniform(0, 0.15)),
        shear_yx=shear if shear != (0, 0) else (1, 0),
        shells=_draw_shells(spec, rng) if spec.shells else None,
    )


def _draw_shells(spec: MovieSpec, rng: np.random.Generator) -> NDArray[np.float32]:
    """One to three rings between a cell's edge and its middle, of either sign, each sharper on one side."""
    depth = np.linspace(0, 1, _SHELL_STEPS)
    light = np.zeros(_SHELL_STEPS)
    for _ in range(int(rng.integers(1, 4))):
        center, width = rng.uniform(0.2, 0.9), rng.uniform(0.05, 0.2)
        skewed = np.where(depth < center, width, width * rng.uniform(0.5, 2.5))
        light += rng.choice([-1, 1]) * rng.uniform(0.4, 1.0) * np.exp(-(((depth - center) / skewed) ** 2))
    return (spec.shells * light).astype(np.float32)


def _inner(canvas: Canvas, shells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Light of the shells of all cells."""
    inverse = canvas.gather([(_SHELL_STEPS - 1) / edge_radius(cell) for cell in canvas.cells], 0.1)
    index = np.clip(canvas.depth * inverse, 0, _SHELL_STEPS - 1).astype(np.int32)
    light: NDArray[np.float32] = shells.take(index)
    return light


def _edge(canvas: Canvas, optics: Optics) -> NDArray[np.float32]:
    position = (canvas.depth + np.float32(optics.reach)) * np.float32(_STEPS_PER_PIXEL)
    index = np.clip(position, 0, len(optics.profile) - 1).astype(np.int32)
    light: NDArray[np.float32] = optics.profile.take(index)
    return light


def _thickness(spec: MovieSpec, canvas: Canvas, dome: float) -> NDArray[np.float32]:
    inverse = canvas.gather([1 / edge_radius(cell) for cell in canvas.cells], 0.1)
    return domed(canvas.depth, inverse, dome)


def _interiors(spec: MovieSpec, canvas: Canvas, optics: Optics) -> NDArray[np.float32]:
    """Each cell's own interior level, spread around the movie's."""
    logs = [float(np.log(cell.brightness)) for cell in canvas.cells]
    return canvas.gather([spec.interior * (1 + value) + optics.interior_spread * value for value in logs])


def light(spec: MovieSpec, canvas: Canvas, optics: Optics) -> NDArray[np.float32]:
    """Light of a frame before background, blur and camera: (Y, X), background level 1 (fluorescence: 0)."""
    if spec.look in ("fluorescence", "dark"):
        signal = _stain(spec, canvas, optics)
        return signal if spec.look == "fluorescence" else np.exp(np.float32(-1.2) * signal)
    if spec.look == "dic":
        return 1 + np.float32(0.6) * _relief(spec, canvas, optics)
    thickness = _thickness(spec, canvas, 0.5 * spec.dome if spec.look == "phase" else 0.2 * spec.dome)
    inside = np.clip(canvas.depth * np.float32(0.7) + np.float32(0.5), 0, 1)
    signal = thickness * _interiors(spec, canvas, optics) + inside * np.float32(0.6 * spec.texture) * canvas.texture
    signal += _edge(canvas, optics)
    if optics.shells is not None:
        signal += inside * _inner(canvas, optics.shells)
    if spec.halo:
        signal += np.float32(spec.halo) * (1 - inside) * np.minimum(canvas.halo, 2.5)
    result: NDArray[np.float32] = np.maximum(1 + np.float32(0.6) * signal, np.float32(0.02))
    return result


def _stain(spec: MovieSpec, canvas: Canvas, optics: Optics) -> NDArray[np.float32]:
    """Fluorescent or absorbing dye: thickness times brightness times texture."""
    if spec.contact == "overlap":
        signal = np.float32(spec.interior) * canvas.light
    else:
        brightness = canvas.gather([cell.brightness * spec.interior for cell in canvas.cells])
        textured = np.maximum(1 + np.float32(spec.texture) * canvas.texture, np.float32(0.05))
        signal = _thickness(spec, canvas, spec.dome) * brightness * textured
    if spec.rim:
        signal = np.maximum(signal + np.float32(0.8) * _edge(canvas, optics), 0)
    if spec.halo:
        signal += np.float32(spec.halo) * canvas.halo
    return signal


def _shifted(image: NDArray[np.float32], by_yx: tuple[int, int]) -> NDArray[np.float32]:
    """The image moved by whole pixels, its border rows and columns repeated."""
    rows, columns = (np.clip(np.arange(n) - by, 0, n - 1) for n, by in zip(image.shape, by_yx, strict=True))
    result: NDArray[np.float32] = image[rows[:, None], columns[None, :]]
    return result


def _relief(spec: MovieSpec, canvas: Canvas, optics: Optics) -> NDArray[np.float32]:
    """Differential interference contrast: optical thickness against itself, sheared."""
    thickness = _thickness(spec, canvas, 0.4 + 0.6 * spec.dome)
    height = thickness * (1 + np.float32(0.5 * spec.texture) * canvas.texture)
    sheared = _shifted(height, optics.shear_yx)
    interior = thickness * _interiors(spec, canvas, optics)
    if optics.shells is not None:
        interior += thickness * _inner(canvas, optics.shells)
    result: NDArray[np.float32] = (
        (height - sheared) * np.float32(1.5) + interior + np.float32(0.5) * _edge(canvas, optics)
    )
    return result
