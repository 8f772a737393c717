"""Objects paired by their overlap."""

import numpy as np

from label_movies import label_movie
from napari_sam2.evaluation.matching import match_objects


def test_objects_get_the_ids_that_fit_best_and_others_are_told_apart():
    truth = np.array([[[1, 1, 1, 0, 2, 2]], [[1, 1, 1, 0, 2, 2]]])
    found = np.array([[[8, 8, 8, 0, 9, 9]], [[8, 8, 9, 9, 5, 5]]])
    matched = list(match_objects(label_movie(truth), label_movie(found)))
    # 8 has 5 of 6 pixels of object 1. Of object 2, 9 has 2 of 6 in all, 5 has 2 of 4.
    assert matched[0].tolist() == [[1, 1, 1, 0, 3, 3]]
    assert matched[1].tolist() == [[1, 1, 3, 3, 2, 2]]


def test_what_overlaps_nothing_is_not_made_an_object():
    truth, found = np.array([[[1, 0, 0]], [[1, 0, 0]]]), np.array([[[0, 0, 1]], [[0, 0, 1]]])
    assert [frame.tolist() for frame in match_objects(label_movie(truth), label_movie(found))] == [[[0, 0, 2]]] * 2
