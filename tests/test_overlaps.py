"""Overlaps between objects, without a network."""

import numpy as np
import torch

from napari_sam2.overlaps import SeenMask, resolve_overlaps
from sam2_torch.outputs import MaskPrediction
from sam2_torch.windows import Window


def seen(logits, offset=(0, 0)):
    one = torch.ones(1)
    prediction = MaskPrediction(
        torch.zeros(1, 1, 4, 4), one, one, torch.zeros(1, 8), torch.zeros(1, 1, 4, 4), one[None]
    )
    return SeenMask(Window(0, 0, 4, 4, (32, 32)), prediction, np.asarray(logits, np.float32), offset)


def test_the_higher_logit_wins():
    won = resolve_overlaps({1: seen([[1, 1, -1]]), 2: seen([[-1, 3, 3]])}, (1, 3))
    assert won[1].tolist() == [[True, False, False]]
    assert won[2].tolist() == [[False, True, True]]


def test_of_equal_logits_the_smaller_id_wins_in_any_order():
    for ids in ((7, 2), (2, 7)):
        won = resolve_overlaps({i: seen([[5.0, -2.0]]) for i in ids}, (1, 2))
        assert won[2].tolist() == [[True, False]]
        assert not won[7].any()


def test_windows_at_different_places_of_the_frame():
    won = resolve_overlaps({1: seen(np.ones((2, 2)), (0, 0)), 2: seen(np.full((2, 2), 2.0), (1, 1))}, (3, 3))
    assert won[1].tolist() == [[True, True], [True, False]]
    assert won[2].all()


def test_a_mask_that_lost_every_pixel_is_no_mask():
    won = resolve_overlaps({1: seen([[1.0]]), 2: seen([[2.0]])}, (1, 1))
    assert seen([[1.0]]).to_frame_mask(0, 1, won[1]) is None
    mask = seen([[2.0]]).to_frame_mask(4, 2, won[2])
    assert (mask.frame, mask.object_id, mask.area) == (4, 2, 1)


def test_no_objects():
    assert resolve_overlaps({}, (5, 5)) == {}
