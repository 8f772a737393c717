"""Masks found without a prompt, and which of them are the same."""

import numpy as np
import pytest

from sam2_torch.found_masks import FoundMask, bounded, without_duplicates


def square(y, x, side, *, hole=0):
    crop = np.ones((side, side), bool)
    crop[1 : 1 + hole, 1 : 1 + hole] = False
    return FoundMask((y, x, y + side, x + side), crop, 0.9, 0.8, 3.0, (float(y), float(x)))


def test_quality_and_area():
    mask = square(0, 0, 4, hole=2)
    assert mask.area == 12
    assert mask.quality == pytest.approx(0.72)


def test_bounded():
    mask = np.zeros((6, 8), bool)
    mask[2, 3] = mask[4, 6] = True
    box, crop = bounded(mask, (10, 20))
    assert box == (12, 23, 15, 27)
    assert crop.shape == (3, 4)
    assert crop.sum() == 2
    mask[:] = False
    assert crop.sum() == 2, "a crop is a copy: the whole frame must not be kept for it"


def test_the_higher_score_stays_and_comes_first():
    a, b, c = square(0, 0, 10), square(1, 0, 10), square(40, 0, 10)
    assert without_duplicates([a, b, c], [0.5, 0.9, 0.7], limit=0.5, by="mask") == [b, c]
    assert without_duplicates([a, b, c], [0.9, 0.9, 1.0], limit=0.5, by="mask") == [c, a], "of equals the first"


def test_a_mask_as_alike_as_the_limit_stays():
    a, b = square(0, 0, 10), square(0, 5, 10)
    assert without_duplicates([a, b], [1, 0], limit=1 / 3, by="mask") == [a, b]
    assert without_duplicates([a, b], [1, 0], limit=0.33, by="mask") == [a]


def test_three_ways_to_be_alike():
    ring = square(0, 0, 10, hole=8)
    disc, part = square(1, 1, 8), square(0, 0, 5, hole=0)
    assert without_duplicates([ring, disc], [1, 0], limit=0.6, by="box") == [ring]
    assert without_duplicates([ring, disc], [1, 0], limit=0.6, by="mask") == [ring, disc]
    whole = square(0, 0, 10)
    assert without_duplicates([whole, part], [1, 0], limit=0.5, by="mask") == [whole, part]
    assert without_duplicates([whole, part], [1, 0], limit=0.5, by="part") == [whole]


def test_what_went_takes_nobody_along():
    a, b, c = square(0, 0, 10), square(0, 4, 10), square(0, 8, 10)
    assert without_duplicates([a, b, c], [3, 2, 1], limit=0.4, by="mask") == [a, c]


def test_nothing():
    assert without_duplicates([], [], limit=0.5) == []
