"""The life of a colony: placement, motion, growth, division and budding."""

from __future__ import annotations

from copy import copy

import numpy as np
from numpy.typing import NDArray

from .cells import Cell, draw_cell, draw_harmonics, inherit
from .specs import MovieSpec


class Colony:
    """All cells of a movie, stepped frame by frame.

    Labels count up from 1 and are never used again. `stage` is the displacement in pixels (y, x) of the background.
    """

    def __init__(self, spec: MovieSpec, rng: np.random.Generator) -> None:
        self.spec = spec
        self._rng = rng
        self._next_label = 1
        heading = rng.uniform(0, 2 * np.pi)
        self._drift = spec.stage_drift * spec.diameter * np.array([np.sin(heading), np.cos(heading)])
        self.stage: NDArray[np.float64] = np.zeros(2)
        self.cells: list[Cell] = []
        self._place()
        if spec.cell_kind == "yeast":
            for mother in list(self.cells):
                if rng.random() < 0.2:
                    self._bud(mother, size=rng.uniform(0.25, 0.7), parent=0)
        self._schedule(frame=-1)
        _relax(self.cells, spec.spacing, rounds=25 if spec.cell_kind == "rods" else 10)
        if spec.cell_kind == "rods":
            self.cells = _uncrossed(self.cells)

    def step(self, frame: int) -> None:
        """Move on to `frame` (1 and up)."""
        spec, rng = self.spec, self._rng
        shift = self._drift + rng.normal(0, spec.stage_jitter * spec.diameter, 2)
        self.stage = self.stage + shift
        kick = np.sqrt(1 - spec.persistence**2) * spec.speed * spec.diameter / np.sqrt(2)
        for cell in self.cells:
            cell.velocity = spec.persistence * cell.velocity + rng.normal(0, kick, 2)
            cell.y += float(cell.velocity[0] + shift[0])
            cell.x += float(cell.velocity[1] + shift[1])
            self._reshape(cell)
        self._divide(frame)
        self._schedule(frame)
        _relax(self.cells, spec.spacing, rounds=2)
        for cell in self.cells:
            if cell.bud_of is not None:
                self._attach(cell)

    def _take_label(self) -> int:
        self._next_label += 1
        return self._next_label - 1

    def _place(self) -> None:
        """Scatter cells over the view and a border around it, some of them in colonies."""
        spec, rng = self.spec, self._rng
        border = spec.diameter / 2 + np.minimum(np.abs(self._drift) * spec.num_frames, 1.0 * np.array(spec.shape_yx))
        low, high = -border, np.array(spec.shape_yx) + border
        number = int(np.ceil(spec.num_cells * np.prod(high - low) / np.prod(spec.shape_yx)))
        number = min(number, 3 * spec.num_cells + 10)
        heaps = int(rng.integers(1, 4))
        centers, axes = rng.uniform(low, high, (heaps, 2)), rng.uniform(0, np.pi, heaps)
        disorder = rng.uniform(0.03, 0.4)
        centers[0] = rng.uniform(0.2, 0.8, 2) * spec.shape_yx
        spread = 0.35 * spec.diameter * np.sqrt(max(1.0, number * spec.clustering / heaps))
        for index in range(number):
            heap = int(rng.integers(heaps))
            clustered = rng.random() < spec.clustering
            place = rng.normal(centers[heap], spread) if clustered else rng.uniform(low, high)
            if index == 0:  # at least one cell in view
                place = rng.uniform(0.3, 0.7, 2) * spec.shape_yx
            angle = float(axes[heap] + rng.normal(0, disorder)) if clustered else float(rng.uniform(0, 2 * np.pi))
            label = self._take_label()
            self.cells.append(draw_cell(rng, spec, label=label, yx=(float(place[0]), float(place[1])), angle=angle))

    def _reshape(self, cell: Cell) -> None:
        """Turn, deform and grow a cell."""
        spec, rng = self.spec, self._rng
        cell.angle += float(rng.normal(0, spec.rotation))
        keep = 1 - spec.deformation_rate
        renewed = draw_harmonics(rng, spec.deformation * np.sqrt(1 - keep**2))
        cell.harmonics = keep * cell.harmonics + renewed
        cell.gain = float(np.clip(1 + 0.9 * (cell.gain - 1) + rng.normal(0, 0.12 * spec.brightness_spread), 0.6, 1.5))
        cell.flow = cell.flow + rng.normal(0, 0.02 * spec.deformation_rate * spec.diameter, 2)
        factor = np.sqrt(1 + spec.growth)
        if cell.is_rod:
            width = cell.rod_width
            cell.bend = keep * cell.bend + float(rng.normal(0, spec.deformation * np.sqrt(1 - keep**2)))
            cell.radius = min(cell.radius * factor, 1.5 * cell.full_radius)
            # Rods grow in length only.
            cell.elongation = 1 + (np.pi * (cell.radius / width) ** 2 - np.pi) / 4
        elif cell.bud_of is not None:
            cell.radius = min(cell.radius + 0.04 * cell.full_radius * rng.uniform(0.3, 1.5), cell.full_radius)
            if cell.radius > 0.85 * cell.full_radius:
                cell.bud_of = None
        else:
            cell.radius = min(cell.radius * factor, 1.3 * cell.full_radius)

    def _schedule(self, frame: int) -> None:
        """Choose who divides next, and prepare those who do: rounding, or pinching for rods."""
        spec, rng = self.spec, self._rng
        for cell in self.cells:
            if cell.divides_at < 0 and cell.bud_of is None and rng.random() < spec.division_rate and _grown(cell):
                cell.divides_at = frame + int(rng.integers(2, 5))
            if cell.divides_at < 0 or spec.cell_kind == "yeast":
                continue
            readiness = 1.0 if cell.divides_at - frame <= 1 else 0.5
            if cell.is_rod:
                cell.pinch = 0.75 * readiness
            else:
                # Condensed chromatin and rounded cells stand out.
                cell.gain *= 1 + 0.25 * readiness
                cell.harmonics = cell.harmonics * (1 - 0.6 * readiness)
                cell.elongation = 1 + (cell.elongation - 1) * (1 - 0.6 * readiness)

    def _divide(self, frame: int) -> None:
        for mother in list(self.cells):
            if mother.divides_at < 0 or mother.divides_at > frame:
                continue
            mother.divides_at = -1
            if self.spec.cell_kind == "yeast":
                self._bud(mother, size=self._rng.uniform(0.22, 0.35), parent=mother.label)
                continue
            mother.pinch = 0.0
            if mother.is_rod and mother.elongation < 2.4:
                continue
            self.cells.remove(mother)
            self.cells.extend(self._daughters(mother))

    def _daughters(self, mother: Cell) -> list[Cell]:
        """Two new cells where the mother was."""
        rng = self._rng
        axis = mother.angle if mother.is_rod else float(rng.uniform(0, np.pi))
        toward = np.array([np.sin(axis), np.cos(axis)])
        daughters = []
        for side in (-1.0, 1.0):
            cell = copy(mother)
            cell.label, cell.parent = self._take_label(), mother.label
            cell.appearance = inherit(rng, mother.appearance)
            if cell.is_rod:
                width, half = mother.rod_width, mother.rod_half_length
                shift = (half + width) / 2
                cell.elongation = max((half + width) / (2 * width), 1.2)
                cell.radius = width * float(np.sqrt((4 * (cell.elongation - 1) + np.pi) / np.pi))
                cell.full_radius = max(mother.full_radius * 0.9, cell.radius)
                cell.angle += float(rng.normal(0, 0.08))
            else:
                cell.radius = mother.radius * float(rng.uniform(0.72, 0.82))
                cell.elongation = float(rng.uniform(1.1, 1.5))
                cell.angle = axis + np.pi / 2
                cell.harmonics = draw_harmonics(rng, 0.7 * self.spec.deformation)
                shift = cell.radius * float(rng.uniform(0.8, 1.2))
            cell.velocity = mother.velocity + side * toward * 0.05 * self.spec.diameter
            cell.y += float(side * shift * toward[0])
            cell.x += float(side * shift * toward[1])
            daughters.append(cell)
        return daughters

    def _bud(self, mother: Cell, *, size: float, parent: int) -> None:
        """Add a bud at the mother's rim; the mother goes on under her own label."""
        rng = self._rng
        bud = copy(mother)
        bud.label, bud.parent, bud.bud_of = self._take_label(), parent, mother
        bud.full_radius = mother.full_radius * float(rng.uniform(0.75, 1.0))
        bud.radius = size * mother.radius
        bud.divides_at = -1
        bud.appearance = inherit(rng, mother.appearance)
        bud.harmonics = draw_harmonics(rng, self.spec.deformation)
        bud.bud_angle = float(rng.uniform(0, 2 * np.pi))
        self._attach(bud)
        self.cells.append(bud)

    def _attach(self, bud: Cell) -> None:
        mother = bud.bud_of
        if mother is None:
            return
        distance = mother.radius + (0.8 if bud.radius < 0.5 * mother.radius else 0.92) * bud.radius
        direction = mother.angle + bud.bud_angle
        bud.y = mother.y + float(np.sin(direction)) * distance
        bud.x = mother.x + float(np.cos(direction)) * distance
        bud.angle = direction
        bud.velocity = mother.velocity.copy()


def _grown(cell: Cell) -> bool:
    """Whether a cell is large enough to divide."""
    return cell.radius > 0.85 * cell.full_radius


def _relax(cells: list[Cell], spacing: float, *, rounds: int) -> None:
    """Push cells that overlap apart, turning rods as well. Rods count as discs strung on their axes."""
    if len(cells) < 2:
        return
    rods = cells[0].is_rod
    steps = np.linspace(-1, 1, 4, dtype=np.float32) if rods else np.zeros(1, np.float32)
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


def _uncrossed(cells: list[Cell]) -> list[Cell]:
    """Rods without those that still lie across an earlier one."""
    kept: list[Cell] = []
    steps = np.linspace(-1, 1, 7)
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
