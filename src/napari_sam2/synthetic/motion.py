"""The life of a colony: placement, motion, growth, division and budding."""

from __future__ import annotations

from copy import copy

import numpy as np
from numpy.typing import NDArray

from .cells import Cell, draw_cell, draw_harmonics, inherit
from .crowding import relax, uncrossed
from .specs import MovieSpec
from .tissue import Tissue


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
        self._tissue = Tissue(spec, rng) if spec.tissue_drift else None
        self.stage: NDArray[np.float64] = np.zeros(2)
        self.cells: list[Cell] = []
        self._place()
        if spec.cell_kind == "yeast":
            for mother in list(self.cells):
                if rng.random() < 0.2:
                    self._bud(mother, size=rng.uniform(0.25, 0.7), parent=0)
        self._schedule(frame=-1)
        relax(self.cells, spec.spacing, rounds=25 if spec.cell_kind == "rods" else 10)
        if spec.cell_kind == "rods":
            self.cells = uncrossed(self.cells)

    def step(self, frame: int) -> None:
        """Move on to `frame` (1 and up)."""
        spec, rng = self.spec, self._rng
        shift = self._drift + rng.normal(0, spec.stage_jitter * spec.diameter, 2)
        if spec.jump_rate and rng.random() < spec.jump_rate:
            heading = rng.uniform(0, 2 * np.pi)
            shift = shift + spec.jump * spec.diameter * np.array([np.sin(heading), np.cos(heading)])
        self.stage = self.stage + shift
        if self._tissue is not None:
            self._tissue.carry(self.cells)
        kick = np.sqrt(1 - spec.persistence**2) * spec.speed * spec.diameter / np.sqrt(2)
        for cell in self.cells:
            cell.velocity = spec.persistence * cell.velocity + rng.normal(0, kick, 2)
            cell.y += float(cell.velocity[0] + shift[0])
            cell.x += float(cell.velocity[1] + shift[1])
            self._reshape(cell)
        self._divide(frame)
        self._schedule(frame)
        relax(self.cells, spec.spacing, rounds=2)
        for cell in self.cells:
            if cell.bud_of is not None:
                self._attach(cell)

    def _take_label(self) -> int:
        self._next_label += 1
        return self._next_label - 1

    def _place(self) -> None:
        """Scatter cells over the view and a border around it, some of them in colonies."""
        spec, rng = self.spec, self._rng
        travel = np.abs(self._drift) + spec.diameter * (spec.tissue_drift + spec.jump_rate * spec.jump)
        border = spec.diameter / 2 + np.minimum(travel * spec.num_frames, 1.0 * np.array(spec.shape_yx))
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
                cell.bud_of, cell.neck = None, 0.0
        elif cell.condensed and cell.divides_at < 0:
            cell.condensed = cell.condensed * 0.6 if cell.condensed > 0.05 else 0.0
            cell.radius += 0.3 * max(0.85 * cell.full_radius - cell.radius, 0.0)
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
                if spec.condensation and readiness == 1.0:
                    _condense(cell, spec.condensation)

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
        if mother.condensed:  # the chromatids part across the plate
            axis = mother.angle + np.pi / 2
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
                cell.elongation = float(rng.uniform(1.1, 1.5)) + 0.8 * cell.condensed
                cell.angle = axis + np.pi / 2
                cell.harmonics = draw_harmonics(rng, 0.7 * self.spec.deformation)
                shift = cell.radius * float(rng.uniform(0.8, 1.2)) * (1 + 0.3 * cell.condensed)
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
        bud.neck = self.spec.neck * max(0.0, 1 - bud.radius / bud.full_radius)
        closeness = 0.8 if bud.radius < 0.5 * mother.radius else 0.92
        distance = mother.radius + (closeness + 1.1 * bud.neck) * bud.radius
        direction = mother.angle + bud.bud_angle
        bud.y = mother.y + float(np.sin(direction)) * distance
        bud.x = mother.x + float(np.cos(direction)) * distance
        bud.angle = direction
        bud.velocity = mother.velocity.copy()


def _condense(cell: Cell, how_far: float) -> None:
    """Shrink a nucleus to a bright plate, once."""
    if not cell.condensed:
        cell.radius *= 1 - 0.3 * how_far
        cell.elongation = 1 + 1.4 * how_far
    cell.condensed = how_far


def _grown(cell: Cell) -> bool:
    """Whether a cell is large enough to divide."""
    return cell.radius > 0.85 * cell.full_radius
