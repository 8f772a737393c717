"""Results against truth, and what is reported of them."""

import csv
import json
import math

import numpy as np
import pytest
from PIL import Image

from label_movies import label_movie
from napari_sam2.errors import EvaluationError
from napari_sam2.evaluation.comparison import ComparisonRules, MovieScores, compare
from napari_sam2.evaluation.interaction import Round
from napari_sam2.evaluation.overlap import count_switches, measure_overlap
from napari_sam2.evaluation.picture import draw_report, write_picture
from napari_sam2.evaluation.report import Report


@pytest.fixture
def truth():
    labels = np.zeros((3, 30, 40), int)
    labels[:, 2:10, 2:10] = 1
    labels[:2, 15:25, 20:30] = 2
    return labels


def test_values_of_known_masks(truth):
    found = truth.copy()
    found[1][found[1] == 2] = 0
    found[2, 15:25, 20:30] = 2  # it is gone there
    scores = compare(label_movie(truth), label_movie(found), name="one")
    assert (scores.frames, scores.object_ids) == (3, (1, 2))
    assert scores.values == {
        "first": 1, "movie": 0.8, "followed": 0.5, "false": 1,
        "J": pytest.approx((1 + 1 / 3) / 2), "F": pytest.approx((1 + 1 / 3) / 2), "J&F": pytest.approx((1 + 1 / 3) / 2),
        "switches": 0,
    }  # fmt: skip
    assert scores.by_object["movie"].tolist() == [1, 0.5]


def test_objects_that_are_not_found_count_unless_told_otherwise(truth):
    found = np.where(truth == 1, 1, 0)
    whole = compare(label_movie(truth), label_movie(found), name="one")
    assert whole.values["movie"] == pytest.approx(3 / 5)
    some = compare(label_movie(truth), label_movie(found), name="one", rules=ComparisonRules(only_found=True))
    assert (some.values["movie"], some.object_ids) == (1, (1,))
    nothing = label_movie(np.zeros_like(truth))
    assert compare(label_movie(truth), nothing, name="one").values["movie"] == 0


def test_other_ids_are_matched_or_an_error(truth):
    other = np.array([0, 7, 9])[truth]
    with pytest.raises(EvaluationError, match=r"results have the object IDs 7, 9, the truth 1, 2, none in common"):
        compare(label_movie(truth), label_movie(other), name="one")
    matched = compare(label_movie(truth), label_movie(other), name="one", rules=ComparisonRules(match=True))
    assert matched.values["movie"] == 1


def test_only_frames_that_have_truth_count(truth):
    sparse = label_movie(truth[[0, 2]], numbers=[0, 2], numbered=True)
    found = truth.copy()
    found[1] = 0
    assert compare(sparse, label_movie(found), name="one").values["movie"] == 1


def test_what_cannot_be_compared(truth):
    with pytest.raises(
        EvaluationError, match="there is no measure 'iou': expected some of overlap, davis, switches, ctc"
    ):
        ComparisonRules(("overlap", "iou"))
    with pytest.raises(EvaluationError, match="nothing can be compared"):
        compare(label_movie(np.zeros_like(truth)), label_movie(truth), name="one")
    with pytest.raises(EvaluationError, match=r"truth has the shape \(3, 30, 40\), labels \(3, 30, 41\)"):
        compare(label_movie(truth), label_movie(np.pad(truth, ((0, 0), (0, 0), (0, 1)))), name="one")


def test_switches_and_false_masks():
    truth, found = np.zeros((3, 4, 8), int), np.zeros((3, 4, 8), int)
    truth[:, :, :3], truth[:, :, 5:] = 1, 2
    found[0, :, :3], found[1:, :, 5:] = 1, 1
    assert count_switches(truth, found, [1, 2]) == 1
    assert math.isnan(measure_overlap(truth, found, [1, 2]).false_masks), "all are always there"


def scores(name, **values):
    iou = np.array([[1, 0.5], [0.8, np.nan], [0.6, 0.1]])
    return MovieScores(name, 3, (4, 5), values, {"J": np.array([values["J"], 0.25])}, iou)


def test_reports_say_the_same_in_every_form(tmp_path):
    bare = scores("a", J=0.5, false=math.nan)
    other = MovieScores(
        "b", 9, (1,), {"J": 1.0}, {"J": np.array([1.0])}, None, (Round(0, 1.0, 0.7), Round(1, 4.0, 0.85))
    )
    report = Report((bare, other))
    assert report.mean["J"] == 0.75
    assert report.mean_of_objects["J"] == pytest.approx((0.5 + 0.25 + 1) / 3)
    table = report.table().splitlines()
    assert table[0].split() == ["movie", "objects", "frames", "J", "false"]
    assert table[1].split() == ["a", "2", "3", "0.500", "-"]
    assert table[3].split() == ["mean", "of", "movies", "0.750", "-"]
    assert table[-1].split() == ["1", "4.00", "0.850"]
    report.save(tmp_path / "r.json")
    report.save(tmp_path / "r.csv")
    content = json.loads((tmp_path / "r.json").read_text())
    assert content["movies"][0]["values"] == {"J": 0.5, "false": None}
    assert content["movies"][1]["rounds"][1] == {"corrected_frames": 1, "clicks": 4.0, "iou": 0.85}
    rows = list(csv.DictReader((tmp_path / "r.csv").read_text().splitlines()))
    assert rows[0] == {"movie": "a", "objects": "2", "frames": "3", "J": "0.5", "false": ""}
    with pytest.raises(EvaluationError, match=r"expected a name that ends with .json or .csv"):
        report.save(tmp_path / "r.txt")


def test_a_goal_that_one_movie_misses_has_no_mean():
    values = {"clicks to 0.8": 3.0}, {"clicks to 0.8": math.nan}
    movies = tuple(MovieScores(str(k), 1, (1,), v) for k, v in enumerate(values))
    assert math.isnan(Report(movies).mean["clicks to 0.8"])
    assert Report(movies[:1]).mean["clicks to 0.8"] == 3


def test_the_picture_shows_curves_and_needs_some(tmp_path):
    picture = np.asarray(draw_report([scores("a", J=0.5), scores("b", J=0.5), scores("c", J=0.5)]))
    assert picture.shape == (480, 840, 3)
    assert (picture[240:, 420:] == 255).all(), "three panels of four"
    assert all((picture == color).all(-1).sum() > 100 for color in ((20, 20, 20), (200, 60, 50), (40, 140, 80)))
    write_picture(tmp_path / "p.png", [scores("a", J=0.5)])
    with Image.open(tmp_path / "p.png") as written:
        assert written.size == (420, 240)
    with pytest.raises(EvaluationError, match="no IoU over frames to draw"):
        draw_report([MovieScores("a", 3, (1,), {"SEG": 1.0})])
