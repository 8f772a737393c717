"""Movies from specifications."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .camera import Camera
from .canvas import Canvas, edge_radius, paint
from .distribution import random_spec
from .looks import draw_optics, light
from .motion import Colony
from .specs import MovieSpec


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """Life of one label: first and last frame in which it is visible, and its mother's label (0 none).

    A dividing mother ends and two daughters begin. A budding yeast mother goes on: her bud names her as parent while
    both are alive. Cells in the first frame, or whose mother was never seen, have no parent. A label may be absent
    in between, outside the view or hidden.
    """

    label: int
    first: int
    last: int
    parent: int


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticMovie:
    """A movie with its truth.

    Attributes
    ----------
    spec
        What it was made from.
    frames
        (T, Y, X) uint8 or uint16.
    labels
        (T, Y, X) uint16, 0 background; a label is one cell's identity and is never used again.
    tracks
        One record per label seen, sorted by label.
    """

    spec: MovieSpec
    frames: NDArray[np.uint8] | NDArray[np.uint16]
    labels: NDArray[np.uint16]
    tracks: tuple[TrackRecord, ...]


def render_movie(spec: MovieSpec) -> SyntheticMovie:
    """Render a movie; the same specification gives the same movie, bit for bit."""
    shape = (spec.num_frames, *spec.shape_yx)
    frames: NDArray[np.uint8] | NDArray[np.uint16]
    frames = np.empty(shape, np.uint8) if spec.dtype == "uint8" else np.empty(shape, np.uint16)
    labels = np.zeros(shape, np.uint16)
    life, glass, eye = (np.random.Generator(np.random.PCG64(s)) for s in np.random.SeedSequence(spec.seed).spawn(3))
    colony = Colony(spec, life)
    optics = draw_optics(spec, glass)
    camera = Camera(spec, eye)
    mothers: dict[int, int] = {}
    for frame in range(spec.num_frames):
        if frame:
            colony.step(frame)
        mothers |= {cell.label: cell.parent for cell in colony.cells}
        canvas = paint(spec, colony.cells, margin=optics.margin)
        labels[frame] = _label(spec, canvas)
        image = camera.expose(light(spec, canvas, optics), frame, colony.stage)
        frames[frame] = camera.digitize(image)
    return SyntheticMovie(spec, frames, labels, _tracks(labels, mothers))


def random_movie(rng: np.random.Generator, *, num_frames: int, shape_yx: tuple[int, int]) -> SyntheticMovie:
    """Render a movie drawn from the training distribution (see `random_spec`)."""
    return render_movie(random_spec(rng, num_frames=num_frames, shape_yx=shape_yx))


def _label(spec: MovieSpec, canvas: Canvas) -> NDArray[np.uint16]:
    """Labels of a frame: the owner wherever its outline, shifted by the label margin, reaches."""
    names = np.array([*(cell.label for cell in canvas.cells), 0], np.uint16)
    shift = float(np.clip(0.1 * spec.label_margin * np.mean([edge_radius(cell) for cell in canvas.cells]), -2, 2))
    return np.where(canvas.outline > -shift, names.take(canvas.owner), np.uint16(0)).astype(np.uint16)


def _tracks(labels: NDArray[np.uint16], mothers: dict[int, int]) -> tuple[TrackRecord, ...]:
    """Records of all labels that are seen."""
    spans: dict[int, tuple[int, int]] = {}
    for frame, image in enumerate(labels):
        for label in np.flatnonzero(np.bincount(image.ravel()))[1 if (image == 0).any() else 0 :].tolist():
            spans[label] = (spans.get(label, (frame, frame))[0], frame)
    records = []
    for label, (first, last) in sorted(spans.items()):
        mother = mothers[label]
        known = mother in spans and spans[mother][0] < first
        records.append(TrackRecord(label, first, last, mother if known else 0))
    return tuple(records)
