"""Each effect of a specification: what it changes, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_sam2.synthetic import TRAINING_SEEDS_FROM, MovieSpec, SyntheticMovie, random_spec, render_movie

QUIET = MovieSpec(
    seed=21,
    num_frames=4,
    shape_yx=(160, 160),
    diameter=32.0,
    num_cells=8,
    speed=0.0,
    stage_jitter=0.0,
    division_rate=0.0,
    growth=0.0,
    noise=0.0,
    shot_noise=0.0,
    pattern_noise=0.0,
    defocus=0.0,
    debris=0,
    brightness_spread=0.0,
    clustering=0.0,
    spacing=1.2,
)
EVERYTHING = replace(
    QUIET,
    cell_kind="yeast",
    look="phase",
    division_rate=0.3,
    tissue_drift=0.3,
    tissue_shear=0.5,
    jump_rate=0.5,
    neck=0.5,
    organelles=2.0,
    shells=0.3,
    focus_drift=0.1,
    dead=2,
    walls=2,
    interlace=1,
)
ONLY_THE_IMAGE = {
    "organelles": {"organelles": 3.0},
    "shells": {"shells": 0.4, "look": "phase"},
    "dead": {"dead": 4},
    "walls": {"walls": 3, "look": "phase"},
    "focus_drift": {"focus_drift": 0.5},
    "interlace": {"interlace": 2},
}


def center(movie: SyntheticMovie, label: int, frame: int) -> np.ndarray:
    return np.array(ndimage.center_of_mass(movie.labels[frame] == label))


def inner_labels(movie: SyntheticMovie) -> list[int]:
    """Labels of cells that are never cut by the border."""
    border = np.ones(movie.labels.shape[1:], bool)
    border[1:-1, 1:-1] = False
    cut = set(np.unique(movie.labels[:, border]).tolist())
    return [r.label for r in movie.tracks if r.label not in cut and r.last - r.first == len(movie.frames) - 1]


def test_everything_at_once_is_the_same_again() -> None:
    first, again = render_movie(EVERYTHING), render_movie(EVERYTHING)
    np.testing.assert_array_equal(first.frames, again.frames)
    np.testing.assert_array_equal(first.labels, again.labels)
    other = render_movie(replace(EVERYTHING, seed=22))
    assert not np.array_equal(first.labels, other.labels)


@pytest.mark.parametrize("effect", ONLY_THE_IMAGE)
def test_what_is_no_cell_changes_the_image_and_not_the_labels(effect: str) -> None:
    changes = ONLY_THE_IMAGE[effect]
    with_it = render_movie(replace(QUIET, **changes))  # type: ignore[arg-type]
    off = {name: value for name, value in changes.items() if name == "look"}
    without = render_movie(replace(QUIET, **off))  # type: ignore[arg-type]
    assert not np.array_equal(with_it.frames, without.frames)
    if effect != "organelles":  # these are drawn with the cells, and the cells after them are others
        np.testing.assert_array_equal(with_it.labels, without.labels)


@pytest.mark.parametrize(("effect", "inside"), [("shells", True), ("dead", False), ("walls", False)])
def test_it_is_drawn_where_it_belongs(effect: str, inside: bool) -> None:
    base = replace(QUIET, look="phase", blur=0.3, halo=0.0)
    with_it = render_movie(replace(base, **{effect: 0.4 if effect == "shells" else 6}))  # type: ignore[arg-type]
    without = render_movie(base)
    gain = np.abs(with_it.frames[0].astype(float) - without.frames[0])
    cells = ndimage.binary_dilation(without.labels[0] > 0, iterations=3)
    if inside:
        assert gain[~cells].max() < 0.2 * gain[cells].max()
    else:
        assert gain[~cells].max() > 10


def test_organelles_are_small_and_inside() -> None:
    movie = render_movie(replace(QUIET, organelles=4.0, texture=0.02, vesicles=0.0, dome=0.0, blur=0.5))
    plain = render_movie(replace(QUIET, organelles=0.0, texture=0.02, vesicles=0.0, dome=0.0, blur=0.5))

    def roughness(movie: SyntheticMovie) -> float:
        inner = ndimage.binary_erosion(movie.labels[0] > 0, iterations=4)
        values = movie.frames[0][inner].astype(float)
        return float(values.std() / values.mean())

    assert roughness(movie) > 2 * roughness(plain)


def test_tissue_moves_over_a_background_that_stays() -> None:
    spec = replace(QUIET, tissue_drift=0.5, background_texture=0.0)
    movie = render_movie(spec)
    labels = inner_labels(movie)
    assert labels
    steps = [center(movie, label, 1) - center(movie, label, 0) for label in labels]
    lengths = np.linalg.norm(steps, axis=1)
    assert np.all((lengths > 0.25 * spec.diameter) & (lengths < 0.9 * spec.diameter))
    assert np.std(steps, axis=0).max() < 1.0, "without shear, all cells go the same way"
    sheared = render_movie(replace(spec, tissue_shear=1.0))
    steps = [center(sheared, label, 1) - center(sheared, label, 0) for label in inner_labels(sheared)]
    assert np.std(steps, axis=0).max() > 1.0


def test_new_cells_enter_where_tissue_moves() -> None:
    movie = render_movie(replace(QUIET, tissue_drift=0.9, num_frames=8))
    covered = [(frame > 0).mean() for frame in movie.labels]
    assert min(covered) > 0.3 * covered[0]
    assert len(movie.tracks) > len(np.unique(movie.labels[0])) - 1


def test_the_stage_jumps() -> None:
    movie = render_movie(replace(QUIET, jump_rate=1.0, jump=0.8, num_frames=2))
    still = render_movie(replace(QUIET, jump_rate=0.0, num_frames=2))
    for one, at_least, at_most in ((movie, 20, 30), (still, 0, 1)):
        labels = inner_labels(one)
        assert labels
        for label in labels:
            assert at_least <= np.linalg.norm(center(one, label, 1) - center(one, label, 0)) <= at_most


def test_nuclei_condense_before_they_divide_and_swell_afterwards() -> None:
    spec = replace(QUIET, condensation=1.0, division_rate=0.3, num_frames=12, elongation=1.2, dome=0.0)
    movie = render_movie(spec)
    areas = np.stack([np.bincount(f.ravel(), minlength=movie.labels.max() + 1) for f in movie.labels])
    border = np.concatenate([movie.labels[:, 0].ravel(), movie.labels[:, -1].ravel(), movie.labels[:, :, 0].ravel()])
    cut = set(np.unique([*border.tolist(), *movie.labels[:, :, -1].ravel().tolist()]).tolist())
    mothers = {r.parent for r in movie.tracks if r.parent} - cut
    checked = 0
    for record in movie.tracks:
        if record.label not in mothers or record.last - record.first < 3:
            continue
        early, late = record.first, record.last
        assert areas[late, record.label] < 0.75 * areas[early, record.label]
        light = [movie.frames[t][movie.labels[t] == record.label].mean() for t in (early, late)]
        assert light[1] > 1.2 * light[0]
        checked += 1
    assert checked
    grown = [
        areas[min(r.first + 4, r.last), r.label] / areas[r.first, r.label]
        for r in movie.tracks
        if r.parent and r.label not in cut and r.last - r.first >= 4 and r.label not in mothers
    ]
    assert grown
    assert np.median(grown) > 1.2


def test_a_bud_hangs_by_a_thin_neck() -> None:
    def contact(neck: float) -> float:
        """Length of the seam of mothers and their young buds, relative to the bud's size."""
        shares = []
        for seed in range(30, 36):
            spec = replace(QUIET, seed=seed, cell_kind="yeast", look="phase", neck=neck, division_rate=0.8, num_cells=3)
            movie = render_movie(spec)
            for record in movie.tracks:
                bud, mother = (movie.labels[record.first + 1 :][:1] == k for k in (record.label, record.parent))
                if record.parent and bud.sum() > 20:
                    touching = (ndimage.binary_dilation(mother) & bud).sum()
                    shares.append(touching / np.sqrt(bud.sum()))
        assert len(shares) > 5
        assert np.mean(np.array(shares) > 0) > 0.7, "buds touch their mothers"
        return float(np.mean(shares))

    assert contact(0.6) < 0.8 * contact(0.0)


def test_rods_may_be_filaments() -> None:
    movie = render_movie(replace(QUIET, cell_kind="rods", elongation=13.0, diameter=40.0, deformation=0.02))
    ratios = []
    for label in inner_labels(movie):
        places = np.argwhere(movie.labels[0] == label)
        spread = np.linalg.eigvalsh(np.cov(places.T))
        ratios.append(np.sqrt(spread[1] / spread[0]))
    assert ratios
    assert max(ratios) > 6


def test_the_focus_drifts_away() -> None:
    def sharpness(movie: SyntheticMovie, t: int) -> float:
        return float(np.abs(np.diff(movie.frames[t].astype(float), axis=1)).max())

    movie, steady = (render_movie(replace(QUIET, focus_drift=rate)) for rate in (0.8, 0.0))
    assert sharpness(movie, 3) < 0.6 * sharpness(movie, 0)
    assert sharpness(steady, 3) > 0.9 * sharpness(steady, 0)


def test_odd_rows_of_an_interlaced_movie_lag_behind() -> None:
    plain, laced = (render_movie(replace(QUIET, interlace=rows)).frames.astype(int) for rows in (0, 2))
    np.testing.assert_allclose(laced[:, ::2], plain[:, ::2], atol=2)
    np.testing.assert_allclose(laced[:, 1::2, 2:], plain[:, 1::2, :-2], atol=2)


@pytest.mark.parametrize("diameter", [8.0, 150.0])
def test_cells_are_as_large_as_they_should_be(diameter: float) -> None:
    movie = render_movie(replace(QUIET, diameter=diameter, shape_yx=(320, 320), num_cells=3, num_frames=1))
    areas = np.bincount(movie.labels[0].ravel())[1:]
    assert 0.6 * diameter < 2 * np.sqrt(areas.max() / np.pi) < 1.5 * diameter


def test_the_distribution_uses_every_effect_at_times() -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    specs = [random_spec(rng, num_frames=4, shape_yx=(256, 256)) for _ in range(600)]
    assert all(spec.seed >= TRAINING_SEEDS_FROM for spec in specs)
    names = ("tissue_drift", "jump_rate", "condensation", "neck", "organelles", "shells", "dead", "walls")
    for name in (*names, "focus_drift", "interlace"):
        share = np.mean([bool(getattr(spec, name)) for spec in specs])
        assert 0.01 < share < 0.35, f"{name} in {share:.0%} of the movies"
    assert any(spec.cell_kind == "rods" and spec.elongation > 7 for spec in specs)
    assert any(spec.diameter < 10 for spec in specs)
    assert any(spec.diameter > 110 for spec in specs)


def test_a_larger_view_holds_more_cells() -> None:
    counts = {}
    for side in (256, 512):
        rng = np.random.Generator(np.random.PCG64(2))
        counts[side] = np.mean([random_spec(rng, num_frames=2, shape_yx=(side, side)).num_cells for _ in range(200)])
    assert 2.5 < counts[512] / counts[256] < 5
