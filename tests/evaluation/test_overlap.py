"""Overlap with the truth."""

import numpy as np
import pytest

from napari_sam2.evaluation.overlap import measure_overlap, true_clicks


def test_overlap_of_known_masks():
    truth = np.zeros((3, 10, 10), np.uint16)
    truth[:, 0:4, 0:4] = 1
    truth[:2, 6:10, 6:10] = 2
    found = truth.copy()
    found[1, 0:2, 0:4] = 0  # half of object 1 on frame 1
    found[1, 6:10, 6:10] = 0  # object 2 lost on its last frame
    overlap = measure_overlap(truth, found, [1, 2])
    assert overlap.first_frame == 1
    assert np.isnan(overlap.iou[2, 1])
    assert overlap.movie == pytest.approx((1 + 1 + 0.5 + 0 + 1) / 5)
    assert overlap.followed == 0.5


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="must be of the same movie"):
        measure_overlap(np.zeros((2, 4, 4), int), np.zeros((3, 4, 4), int), [1])


def test_clicks_are_on_the_deepest_pixel_and_small_objects_are_left_out():
    labels = np.zeros((30, 30), np.uint16)
    labels[5:16, 5:16] = 3
    labels[20, 20] = 4
    assert [(c.object_id, c.y, c.x) for c in true_clicks(labels)] == [(3, 10, 10)]
    labels[20:28, 20:28] = 5
    assert len(true_clicks(labels, max_objects=1)) == 1
