"""The fixed demonstration movie."""

from __future__ import annotations

import os
from pathlib import Path

import tifffile

from .render import SyntheticMovie, render_movie
from .specs import MovieSpec

SAMPLE = MovieSpec(
    seed=2026,
    num_frames=36,
    shape_yx=(512, 512),
    cell_kind="nuclei",
    look="fluorescence",
    diameter=40.0,
    num_cells=28,
    debris=0,
    dtype="uint16",
)
"""Specification of the demonstration movie; its seed lies below `TRAINING_SEEDS_FROM`."""


def sample_movie() -> SyntheticMovie:
    """Render the demonstration movie: 36 frames of 512 x 512, uint16, cells of about 40 px that touch and divide."""
    return render_movie(SAMPLE)


def write_sample(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write the demonstration movie and its truth as TIFF, one page a frame.

    Parameters
    ----------
    path
        Where the frames go, for example ``cells.tif``; the labels go beside it, to ``cells_labels.tif``.

    Returns
    -------
    The two paths. Each file appears under its name only when it is complete.
    """
    target = Path(path)
    movie = sample_movie()
    labels = target.with_name(f"{target.stem}_labels.tif")
    for place, stack in ((target, movie.frames), (labels, movie.labels)):
        partial = place.with_name(f".{place.name}.partial")
        tifffile.imwrite(partial, stack, photometric="minisblack", metadata={"axes": "TYX"}, compression="zlib")
        partial.replace(place)
    return target, labels
