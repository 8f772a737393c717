"""How good the weights are, used as users use them: one click an object, tracked by a session."""

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tifffile
import torch
from torch import Tensor

from napari_sam2.evaluation.comparison import ComparisonRules
from napari_sam2.evaluation.tracking import TrackingRules, track_and_measure
from napari_sam2.io.data_sets import Entry, find_entries
from napari_sam2.synthetic import random_spec, render_movie
from sam2_torch.config import SAM2Config
from sam2_torch.network import SAM2

FIELDS = ("step", "movie", "iou", "first", "followed")
SEED = 9000
"""Of the first synthetic movie; below those that training draws."""


@dataclass(frozen=True, slots=True)
class Validation:
    """Movies with truth, and how much of them is tracked.

    Attributes
    ----------
    synthetic
        So many made-up movies of 320 x 320 pixels.
    movies
        A data set of others (see `find_entries`), or none.
    max_objects, max_frames
        Of each movie.
    """

    synthetic: int = 6
    movies: Path | None = None
    max_objects: int = 10
    max_frames: int = 8

    def entries(self, folder: Path) -> list[Entry]:
        """The movies; made-up ones are written below `folder` if they are not there yet.

        Raises
        ------
        EvaluationError
            If `movies` holds none.
        """
        for k in range(self.synthetic):
            place = folder / f"made_up_{k}"
            if not (place / "gt.tif").exists():
                _write_movie(place, SEED + k, self.max_frames)
        made_up = find_entries(folder) if self.synthetic else []
        return [*made_up[: self.synthetic], *(find_entries(self.movies) if self.movies else [])]


def validate(
    weights: dict[str, Tensor],
    config: SAM2Config,
    entries: list[Entry],
    rules: Validation,
    *,
    device: str,
    log: Path,
    step: int,
) -> float:
    """Track all movies with the weights, add a line for each to the `log` (CSV), and return the mean of their IoU."""
    with torch.random.fork_rng():
        model = SAM2(config)
    model.load_state_dict(weights)
    model.to(device).eval()
    tracking = TrackingRules(
        max_objects=rules.max_objects,
        max_frames=rules.max_frames,
        comparison=ComparisonRules(measures=("overlap",)),
    )
    rows = []
    for entry in entries:
        scores = track_and_measure(entry, model, tracking)
        if scores.iou is None:
            raise RuntimeError(f"overlap was not measured on {entry.name}")
        rows.append(
            (step, entry.name, float(np.nanmean(scores.iou)), scores.values["first"], scores.values["followed"])
        )
    new = not log.exists()
    with log.open("a", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([FIELDS] if new else [])
        writer.writerows((step, name, *(f"{value:.4f}" for value in values)) for step, name, *values in rows)
    return float(np.mean([row[2] for row in rows]))


def _write_movie(place: Path, seed: int, num_frames: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    while True:
        spec = replace(random_spec(rng, num_frames=num_frames, shape_yx=(320, 320)), seed=seed)
        movie = render_movie(spec)
        areas = np.bincount(movie.labels[0].ravel())[1:]
        if (areas > TrackingRules().min_area).sum() >= 3:
            break
    place.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(place / "img.tif", movie.frames, photometric="minisblack", compression="zlib")
    tifffile.imwrite(place / "gt.tif", movie.labels, photometric="minisblack", compression="zlib")
