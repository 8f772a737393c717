"""Synthetic movies: reproducible, complete, and true to their tracks."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

import napari_sam2.synthetic.samples as samples
from napari_sam2.synthetic import (
    CELL_KINDS,
    LOOKS,
    SAMPLE,
    TRAINING_SEEDS_FROM,
    MovieSpec,
    SyntheticMovie,
    random_movie,
    random_spec,
    render_movie,
    sample_movie,
    write_sample,
)


def small(seed: int = 1, **changes: object) -> MovieSpec:
    spec = MovieSpec(seed=seed, num_frames=4, shape_yx=(96, 112), diameter=24.0, num_cells=8)
    return replace(spec, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def sample() -> SyntheticMovie:
    return sample_movie()


def check_tracks(movie: SyntheticMovie) -> None:
    """Every label seen has one record, which says when; parents obey the rules."""
    spans = {record.label: record for record in movie.tracks}
    seen = set(np.unique(movie.labels).tolist()) - {0}
    assert set(spans) == seen
    for record in movie.tracks:
        frames = np.flatnonzero((movie.labels == record.label).any((1, 2)))
        assert (frames[0], frames[-1]) == (record.first, record.last)
        if record.parent:
            mother = spans[record.parent]
            assert mother.first < record.first
            assert record.first > 0
            if movie.spec.cell_kind != "yeast":
                assert mother.last < record.first


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("kind", CELL_KINDS)
def test_every_kind_in_every_look(kind: str, look: str) -> None:
    movie = render_movie(small(cell_kind=kind, look=look, division_rate=0.1))
    assert movie.frames.shape == movie.labels.shape == (4, 96, 112)
    assert movie.frames.dtype == np.uint8
    assert movie.labels.dtype == np.uint16
    assert movie.labels[0].any()
    assert all(frame.std() > 2 for frame in movie.frames)
    check_tracks(movie)


def test_a_seed_gives_the_same_movie_again() -> None:
    first, again, other = (render_movie(small(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.frames, again.frames)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert first.tracks == again.tracks
    assert not np.array_equal(first.frames, other.frames)


def test_sixteen_bit_movies() -> None:
    movie = render_movie(small(dtype="uint16"))
    assert movie.frames.dtype == np.uint16
    assert movie.frames.max() > 255


@pytest.mark.parametrize("kind", ["nuclei", "amoeboid", "rods"])
def test_a_division_ends_the_mother_and_begins_two_daughters(kind: str) -> None:
    spec = small(11, cell_kind=kind, division_rate=0.3, num_frames=8, shape_yx=(160, 160), elongation=4.0, clustering=0)
    if kind != "rods":
        spec = replace(spec, elongation=1.2)
    movie = render_movie(spec)
    check_tracks(movie)
    parents = [record.parent for record in movie.tracks if record.parent]
    counts = np.bincount(parents)
    assert counts.max() == 2
    daughters = [record for record in movie.tracks if record.parent]
    spans = {record.label: record for record in movie.tracks}
    assert any(spans[daughter.parent].last == daughter.first - 1 for daughter in daughters)


def test_a_budding_mother_keeps_her_label() -> None:
    movie = render_movie(small(5, cell_kind="yeast", look="phase", division_rate=0.2, num_frames=8))
    check_tracks(movie)
    spans = {record.label: record for record in movie.tracks}
    buds = [record for record in movie.tracks if record.parent]
    assert buds
    assert any(spans[bud.parent].last >= bud.first for bud in buds)


@pytest.mark.parametrize("seed", range(5))
def test_random_specs_stay_within_their_ranges(seed: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    specs = [random_spec(rng, num_frames=4, shape_yx=(256, 256)) for _ in range(60)]
    assert all(spec.seed >= TRAINING_SEEDS_FROM for spec in specs)
    assert all(8 <= spec.diameter <= 140 for spec in specs)
    assert all(0 < spec.speed <= 0.7 and spec.stage_drift <= 0.7 for spec in specs)
    assert np.mean([16 <= spec.diameter <= 70 for spec in specs]) > 0.7
    assert len({(spec.cell_kind, spec.look) for spec in specs}) >= 8


def test_random_movies_are_reproducible_and_hold_cells() -> None:
    movies = []
    for _ in range(2):
        rng = np.random.Generator(np.random.PCG64(12))
        movies.append([random_movie(rng, num_frames=3, shape_yx=(128, 128)) for _ in range(6)])
    for first, again in zip(*movies, strict=True):
        np.testing.assert_array_equal(first.frames, again.frames)
        assert first.labels.any()
        check_tracks(first)


@pytest.mark.parametrize(
    "changes",
    [
        {"diameter": 4.0},
        {"num_frames": 0},
        {"num_cells": 0},
        {"shape_yx": (8, 8)},
        {"look": "x-ray"},
        {"dtype": "int8"},
    ],
)
def test_impossible_specs_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"expected|choose"):
        small(**changes)


def test_the_sample_shows_what_a_user_should_meet(sample: SyntheticMovie) -> None:
    assert SAMPLE.seed < TRAINING_SEEDS_FROM
    assert sample.frames.shape[0] >= 30
    assert sample.frames.shape[1:] == (512, 512)
    assert sample.frames.dtype == np.uint16
    areas = np.bincount(sample.labels[0].ravel())[1:]
    areas = areas[areas > 0]
    assert len(areas) >= 12
    assert 36 <= 2 * np.sqrt(np.median(areas) / np.pi) <= 45
    assert _touching(sample.labels[0]) >= 2
    assert any(record.parent and record.first >= 8 for record in sample.tracks)
    check_tracks(sample)


def _touching(labels: np.ndarray) -> int:
    """Pairs of cells at most two pixels apart."""
    low = np.where(labels == 0, np.iinfo(labels.dtype).max, labels)
    below, above = ndimage.minimum_filter(low, 3), ndimage.maximum_filter(labels, 3)
    pairs = np.stack([below, above], -1)[(labels > 0) & (below != above)]
    return len(np.unique(pairs, axis=0))


def test_the_sample_is_written_one_page_a_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample: SyntheticMovie
) -> None:
    monkeypatch.setattr(samples, "sample_movie", lambda: sample)
    frames, labels = write_sample(tmp_path / "cells.tif")
    assert labels.name == "cells_labels.tif"
    with tifffile.TiffFile(frames) as tiff:
        assert len(tiff.pages) == len(sample.frames)
    np.testing.assert_array_equal(tifffile.imread(frames), sample.frames)
    np.testing.assert_array_equal(tifffile.imread(labels), sample.labels)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells.tif", "cells_labels.tif"]


def test_it_is_made_without_torch_and_napari() -> None:
    import subprocess

    code = "import sys, napari_sam2.synthetic; sys.exit(any(m in sys.modules for m in ('torch', 'napari', 'qtpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
