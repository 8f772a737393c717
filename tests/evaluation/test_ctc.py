"""SEG, DET and TRA, against cases that can be counted by hand."""

import sys

import numpy as np
import pytest

from label_movies import label_movie
from napari_sam2.errors import EvaluationError, MissingExtraError
from napari_sam2.evaluation.ctc import CtcScores, measure_ctc, split_at_gaps
from napari_sam2.io.track_lines import TrackLine


@pytest.fixture
def truth():
    """Two cells on four frames: 8 cells to detect, 6 links."""
    labels = np.zeros((4, 20, 30), np.uint16)
    labels[:, 2:8, 2:8] = 1
    labels[:, 10:16, 15:25] = 2
    return labels


def test_a_missing_library_is_explained(monkeypatch, truth):
    monkeypatch.setitem(sys.modules, "ctc_metrics", None)
    with pytest.raises(
        MissingExtraError, match=r'py-ctcmetrics, which is not installed: pip install "napari-sam2\[evaluate\]"'
    ):
        measure_ctc(truth, truth)


def test_the_same_is_perfect_whatever_the_ids(truth):
    pytest.importorskip("ctc_metrics")
    assert measure_ctc(truth, truth) == CtcScores(1, 1, 1)
    assert measure_ctc(truth, truth.astype(np.int64) * 40_000) == CtcScores(1, 1, 1)
    full = np.where(truth == 2, 2, 1)
    assert measure_ctc(full, full) == CtcScores(1, 1, 1), "frames without background"


def test_a_missed_and_a_false_cell(truth):
    pytest.importorskip("ctc_metrics")
    found = truth.copy()
    found[3][found[3] == 2] = 0
    found[0, 18:20, 0:2] = 9
    scores = measure_ctc(truth, found)
    assert scores.seg == pytest.approx(7 / 8)
    # A missed cell costs 10, a false one 1, out of 8 cells missed; then a missing link 1.5, out of 6 links as well.
    assert scores.det == pytest.approx(1 - 11 / 80)
    assert scores.tra == pytest.approx(1 - 12.5 / 89)


def test_a_swap_costs_links_only(truth):
    pytest.importorskip("ctc_metrics")
    found = truth.copy()
    found[2:] = np.array([0, 2, 1], np.uint16)[found[2:]]
    scores = measure_ctc(truth, found)
    assert (scores.seg, scores.det) == (1, 1)
    # Two wrong links are taken away at 1 each, two are made at 1.5.
    assert scores.tra == pytest.approx(1 - 5 / 89)


def test_divisions_are_links(truth):
    pytest.importorskip("ctc_metrics")
    split = truth.copy()
    split[2:, 10:16, 15:20][split[2:, 10:16, 15:20] == 2] = 3
    split[2:, 10:16, 20:25][split[2:, 10:16, 20:25] == 2] = 4
    lines = tuple(TrackLine(*line) for line in ((1, 0, 3, 0), (2, 0, 1, 0), (3, 2, 3, 2), (4, 2, 3, 2)))
    known = label_movie(split, lines=lines)
    assert measure_ctc(known, known).tra == 1
    # 10 cells, 6 links within tracks and 2 of the division; without the lineage these two are missing.
    assert measure_ctc(known, split).tra == pytest.approx(1 - 3 / (100 + 12))


def test_segmentation_has_outlines_of_its_own(truth):
    pytest.importorskip("ctc_metrics")
    markers = np.zeros_like(truth)
    markers[:, 4:6, 4:6], markers[:, 12:14, 18:22] = 1, 2
    exact = label_movie(truth[2:3], numbers=[2])
    known = label_movie(markers, segmentation=exact)
    assert measure_ctc(known, truth) == CtcScores(1, 1, 1)
    assert measure_ctc(markers, truth).seg < 0.2


def test_nothing_found_and_nothing_true(truth):
    pytest.importorskip("ctc_metrics")
    assert measure_ctc(truth, np.zeros_like(truth)) == CtcScores(0, 0, 0)
    with pytest.raises(EvaluationError, match="the truth has no object on any frame"):
        measure_ctc(np.zeros_like(truth), truth)


def test_frames_without_cells_and_a_single_frame(truth):
    pytest.importorskip("ctc_metrics")
    assert measure_ctc(truth[:1], truth[:1]) == CtcScores(1, 1, 1)
    found = truth.copy()
    found[1] = 0
    scores = measure_ctc(truth, found)
    assert scores.det == pytest.approx(6 / 8)
    # Two cells are missed, and four links to and from them. That each goes on from the one before is a link of another
    # kind between frames 0 and 2 which the truth does not have: two to take away.
    assert scores.tra == pytest.approx(1 - (20 + 4 * 1.5 + 2) / 89)
    late = truth.copy()
    late[0] = 0
    assert measure_ctc(late, truth).det == pytest.approx(1 - 2 / 60)


def test_segmentation_of_other_frames(truth):
    pytest.importorskip("ctc_metrics")
    known = label_movie(truth, segmentation=label_movie(truth[:1], numbers=[9]))
    with pytest.raises(EvaluationError, match="has none of the frames that are compared"):
        measure_ctc(known, truth)


def test_tracks_are_split_at_gaps_and_legal():
    ids = [{5}, {5, 7}, {7}, {5, 7}]
    tracks = split_at_gaps(ids, [TrackLine(7, 1, 3, 5), TrackLine(5, 0, 3, 0)])
    assert [(i, (t.label, t.begin, t.end, t.parent)) for i, t in tracks] == [
        (5, (1, 0, 1, 0)),
        (5, (2, 3, 3, 1)),
        (7, (3, 1, 3, 0)),  # its parent goes on, which the format cannot say
    ]
