"""Validation: made-up movies and others, tracked as users track them."""

import csv

import numpy as np
import pytest
import tifffile
import torch

from napari_sam2.synthetic import TRAINING_SEEDS_FROM
from napari_sam2.training.validation import SEED, Validation, validate
from sam2_torch.config import CELL
from sam2_torch.network import SAM2


def test_made_up_movies_are_the_same_again_and_never_trained_on(tmp_path):
    rules = Validation(synthetic=2, max_frames=3)
    assert TRAINING_SEEDS_FROM > SEED + rules.synthetic
    one, other = (rules.entries(tmp_path / name) for name in ("one", "other"))
    assert [entry.name for entry in one] == ["made_up_0", "made_up_1"]
    assert [entry.name for entry in other] == [entry.name for entry in one]
    for entry in one:
        movies = [tifffile.imread(tmp_path / name / entry.name / "img.tif") for name in ("one", "other")]
        assert movies[0].shape == (3, 320, 320)
        np.testing.assert_array_equal(*movies)
        assert len(np.unique(tifffile.imread(tmp_path / "one" / entry.name / "gt.tif")[0])) > 3


@pytest.mark.slow
def test_weights_are_judged_by_what_they_track(tmp_path):
    others = tmp_path / "others" / "a_movie"
    others.mkdir(parents=True)
    truth = np.zeros((2, 96, 96), np.uint16)
    truth[:, 20:40, 30:60] = 1
    tifffile.imwrite(others / "img.tif", (truth * 200).astype(np.uint8))
    tifffile.imwrite(others / "gt.tif", truth)
    rules = Validation(synthetic=1, movies=tmp_path / "others", max_frames=2, max_objects=2)
    entries = rules.entries(tmp_path / "made_up")
    state, before = SAM2(CELL).state_dict(), torch.random.get_rng_state()
    log = tmp_path / "validation.csv"
    score = validate(state, CELL, entries, rules, device="cpu", log=log, step=7)
    assert torch.equal(before, torch.random.get_rng_state())
    rows = list(csv.DictReader(log.read_text().splitlines()))
    assert [(row["step"], row["movie"]) for row in rows] == [("7", "made_up_0"), ("7", "a_movie")]
    assert score == pytest.approx(np.mean([float(row["iou"]) for row in rows]), abs=1e-3)
    assert 0 <= score <= 1
