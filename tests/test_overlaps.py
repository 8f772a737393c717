"""Overlaps between objects, without a network."""

import numpy as np

from napari_sam2.overlaps import SeenMask, resolve_overlaps


def seen(logits, offset=(0, 0), claim=0):
    return SeenMask(np.asarray(logits, np.float32), offset, score=3.0, predicted_iou=0.9, claim=claim)


def test_row20_the_higher_logit_wins():
    won = resolve_overlaps({1: seen([[1, 1, -1]]), 2: seen([[-1, 3, 3]])}, (1, 3))
    assert won[1].tolist() == [[True, False, False]]
    assert won[2].tolist() == [[False, True, True]]


def test_row20_of_equal_logits_the_smaller_id_wins_in_any_order():
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


def test_a_higher_claim_wins_against_any_logit():
    won = resolve_overlaps({1: seen([[9.0, 9.0]]), 2: seen([[0.5, -1.0]], claim=1), 3: seen([[5.0, 5.0]])}, (1, 2))
    assert won[2].tolist() == [[True, False]]
    assert won[1].tolist() == [[False, True]]
    assert not won[3].any()


def test_centroid():
    assert seen([[-1, 1, 1]], offset=(4, 10)).centroid == (4, 11.5)
    assert seen([[-1.0]]).centroid is None


def test_no_objects():
    assert resolve_overlaps({}, (5, 5)) == {}
