"""J and F, against cases that can be counted by hand."""

import math

import numpy as np
import pytest
from scipy import ndimage

from napari_sam2.errors import EvaluationError
from napari_sam2.evaluation.davis import contour_accuracy, contour_pixels, measure_davis, region_similarity


def square(y0, y1, x0, x1, shape=(60, 80)):
    mask = np.zeros(shape, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def test_region_similarity_is_intersection_over_union():
    assert region_similarity(square(0, 4, 0, 4), square(0, 4, 2, 6)) == pytest.approx(8 / 24)
    assert region_similarity(square(0, 4, 0, 4), square(0, 0, 0, 0)) == 0
    assert region_similarity(square(0, 0, 0, 0), square(0, 0, 0, 0)) == 1


def test_contour_pixels_of_a_single_pixel_and_of_the_border():
    edge = contour_pixels(square(3, 4, 3, 4))
    assert sorted(zip(*np.nonzero(edge), strict=True)) == [(2, 2), (2, 3), (3, 2), (3, 3)]
    assert not contour_pixels(np.ones((5, 5), bool)).any()
    left = contour_pixels(square(0, 60, 0, 10))
    assert np.array_equal(left, square(0, 60, 9, 10)), "only where the mask ends within the image"


@pytest.mark.parametrize(("shift", "expected"), [(0, 1.0), (1, 1.0), (2, 0.0)])
def test_contours_may_be_off_by_the_tolerance(shift, expected):
    # The diagonal of 60 x 80 is 100, 0.8 pixels become a radius of 1; two straight contours all over the image.
    assert contour_accuracy(square(0, 60, 0, 20), square(0, 60, 0, 20 + shift)) == expected


def test_precision_and_recall_are_of_contour_pixels():
    # The contour of the truth has 60 pixels, all found; the second one that was found has as many, all wrong.
    truth, found = square(0, 60, 0, 20), square(0, 60, 0, 20) | square(0, 60, 50, 80)
    assert contour_accuracy(truth, found) == pytest.approx(2 * 0.5 * 1 / 1.5)


@pytest.mark.parametrize(("truth", "found", "expected"), [(0, 0, 1), (0, 9, 0), (9, 0, 0)])
def test_contours_of_nothing(truth, found, expected):
    assert contour_accuracy(square(0, truth, 0, truth), square(0, found, 0, found)) == expected


def test_contour_accuracy_is_what_dilating_with_a_disc_gives():
    rng = np.random.default_rng(3)
    for size in (60, 300):
        truth = ndimage.gaussian_filter(rng.random((size, 80)), 3) > 0.5
        found = ndimage.gaussian_filter(truth + 0.4 * rng.random((size, 80)), 2) > 0.6
        radius = math.ceil(0.008 * np.hypot(size, 80))
        ys, xs = np.mgrid[-radius : radius + 1, -radius : radius + 1]
        disc = ys**2 + xs**2 <= radius**2
        edges = contour_pixels(truth), contour_pixels(found)
        wide = [ndimage.binary_dilation(edge, disc) for edge in edges]
        recall, precision = (edges[0] & wide[1]).sum() / edges[0].sum(), (edges[1] & wide[0]).sum() / edges[1].sum()
        f = contour_accuracy(truth, found)
        assert 0.1 < f < 1
        assert f == pytest.approx(2 * precision * recall / (precision + recall))


def test_means_are_over_frames_then_objects_and_the_ends_may_be_left_out():
    truth = np.zeros((4, 60, 80), int)
    truth[:, 5:15, 5:15] = 1
    truth[1, 30:40, 30:40] = 2
    found = np.zeros_like(truth)
    found[1:3] = truth[1:3]
    found[2, 30:40, 30:40] = 2
    scores = measure_davis(truth, found, [1, 2])
    assert scores.region.T.tolist() == [[0, 1, 1, 0], [1, 1, 0, 1]]
    assert scores.j == scores.f == scores.j_and_f == (0.5 + 0.75) / 2
    inner = measure_davis(truth, found, [1, 2], leave_out_ends=True)
    assert inner.region.T.tolist() == [[1, 1], [1, 0]]
    assert inner.j == 0.75
    with pytest.raises(EvaluationError, match="there are 2 frames to compare, expected 3 or more"):
        measure_davis(truth[:2], found[:2], [1], leave_out_ends=True)
