"""Simulated corrections, on the toy scene and with the bundled model."""

import numpy as np
import pytest

from label_movies import label_movie
from napari_sam2.errors import EvaluationError
from napari_sam2.evaluation.interaction import ClickRules, Round, clicks_needed, correct_offline, correct_online
from napari_sam2.evaluation.overlap import measure_overlap, true_clicks
from toy_scene import FAST, STILL, open_scene, truth

FRAMES = 6


class Short:
    """The first frames of the toy scene, with every session opened kept."""

    def __init__(self, toy, **settings):
        self.truth = label_movie(truth()[:FRAMES])
        self.clicks = true_clicks(truth()[0])
        self.sessions = []
        self._toy, self._settings = toy, settings

    def __call__(self):
        self.sessions.append(open_scene(self._toy, **self._settings))
        return self.sessions[-1]

    def clicked(self, object_id, session=-1):
        prompts = self.sessions[session].prompts
        return {frame: len(p.points) for (i, frame), p in prompts.items() if i == object_id}


def test_clicks_needed_is_the_first_round_that_is_good_enough():
    rounds = [Round(0, 3, 0.5), Round(1, 5.5, 0.85), Round(2, 8, 0.84)]
    assert [clicks_needed(rounds, goal) for goal in (0.5, 0.8, 0.9)] == [3, 5.5, None]


def test_offline_corrects_a_frame_of_each_object_a_round(toy):
    scene = Short(toy)
    rounds = list(correct_offline(scene, scene.truth, scene.clicks, ClickRules(1, 2)))
    assert len(scene.sessions) == 1
    assert [r.corrected_frames for r in rounds] == [0, 1, 2]
    # The outlines of the toy are rough, so that there is always something to correct.
    assert [r.clicks for r in rounds] == [1, 2, 3]
    shown = np.stack([scene.sessions[0].labels(t) for t in range(FRAMES)])
    assert rounds[-1].iou == pytest.approx(measure_overlap(truth()[:FRAMES], shown, [FAST, STILL]).movie)
    assert rounds[0].iou > 0.9


def test_offline_corrects_the_worst_frame_of_each_object(toy):
    scene = Short(toy)
    wrong = truth()[:FRAMES].copy()
    wrong[4][wrong[4] == STILL] = 0
    wrong[4, 186:196, 300:320] = STILL
    labels = label_movie(wrong)
    list(correct_offline(scene, labels, scene.clicks, ClickRules(1, 1)))
    assert set(scene.clicked(STILL)) == {0, 4}
    assert 4 not in scene.clicked(FAST) or len(scene.clicked(FAST)) == 2


def test_online_stops_where_an_object_is_lost_and_goes_on_from_there(toy):
    # Nothing is seen on frame 2, so that objects are lost there; and nothing can be found by clicking either.
    scene = Short(toy, hidden=range(2, 3))
    rounds = list(correct_online(scene, scene.truth, scene.clicks, ClickRules(3, 2)))
    assert [r.corrected_frames for r in rounds] == [0, 1]
    assert scene.clicked(STILL, session=0) == {0: 1}
    assert scene.clicked(STILL) == {0: 1, 2: 3}
    assert rounds[0].clicks == 1


def test_online_leaves_good_masks_alone(toy):
    scene = Short(toy)
    (only,) = correct_online(scene, scene.truth, scene.clicks)
    assert (only.corrected_frames, only.clicks) == (0, 1)


def test_frames_without_the_object_are_not_clicked(toy):
    scene = Short(toy, hidden=range(2, 4))
    gone = truth()[:FRAMES].copy()
    gone[2:4] = 0
    (only,) = correct_online(scene, label_movie(gone), scene.clicks)
    assert only.clicks == 1
    assert only.iou > 0.8


def test_truth_of_some_frames_only(toy):
    scene = Short(toy)
    sparse = label_movie(truth()[:FRAMES:2], numbers=range(0, FRAMES, 2))
    list(correct_offline(scene, sparse, scene.clicks, ClickRules(1, 2)))
    assert set(scene.clicked(STILL)) == {0, 2, 4}


@pytest.mark.parametrize("rules", [(0, 1, 0.5), (1, -1, 0.5), (1, 1, 0.0), (1, 1, 1.5)])
def test_impossible_rules(rules):
    with pytest.raises(EvaluationError, match="expected 1 click or more, 0 frames or more, and an IoU above 0"):
        ClickRules(*rules)


def test_no_clicks(toy):
    scene = Short(toy)
    with pytest.raises(EvaluationError, match="no object to click"):
        next(correct_offline(scene, scene.truth, []))


def test_nothing_of_the_truth_is_changed(toy):
    scene = Short(toy)
    before = np.array(truth()[:FRAMES])
    list(correct_offline(scene, scene.truth, scene.clicks, ClickRules(1, 1)))
    assert np.array_equal(before, truth()[:FRAMES])
