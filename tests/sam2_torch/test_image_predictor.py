"""Prompts on one image: many at once are the same as one by one."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from sam2_torch.build import build
from sam2_torch.config import CELL
from sam2_torch.image_predictor import ImagePredictor

POINTS = np.array([[[30.0, 40.0]], [[90.5, 20.0]], [[64.0, 64.0]]])
BOXES = np.array([[20, 30, 50, 60], [80, 10, 100, 40], [40, 40, 90, 80]])


@pytest.fixture(scope="module")
def predictor():
    torch.manual_seed(3)
    return ImagePredictor(build(CELL))


@pytest.fixture(scope="module")
def features(predictor):
    return predictor.encode(np.random.default_rng(0).random((128, 128, 3), np.float32))


def assert_same(batch, row, alone):
    assert_allclose(batch.logits[row], alone.logits, atol=1e-4)
    assert_allclose(batch.predicted_iou[row], alone.predicted_iou, atol=1e-5)
    assert_allclose(batch.object_score[row], alone.object_score, atol=1e-4)


def test_shapes(predictor, features):
    one = predictor.predict(features, points_xy=POINTS[0], labels=[1])
    assert (one.logits.shape, one.predicted_iou.shape, one.object_score.shape) == ((3, 32, 32), (3,), ())
    many = predictor.predict(features, points_xy=POINTS, labels=[[1], [1], [1]])
    assert (many.logits.shape, many.predicted_iou.shape, many.object_score.shape) == ((3, 3, 32, 32), (3, 3), (3,))
    single = predictor.predict(features, box=BOXES[:1], multimask=False)
    assert single.logits.shape == (1, 1, 32, 32)


def test_clicks_at_once_are_clicks_one_by_one(predictor, features):
    many = predictor.predict(features, points_xy=POINTS, labels=np.ones((3, 1)))
    assert not np.allclose(many.logits[0], many.logits[1], atol=1e-2)
    for row in range(3):
        assert_same(many, row, predictor.predict(features, points_xy=POINTS[row], labels=[1]))


def test_boxes_points_and_masks_at_once(predictor, features):
    before = predictor.predict(features, box=BOXES, multimask=False)
    given = {"points_xy": POINTS, "labels": [[1], [0], [1]], "box": BOXES, "mask_logits": before.logits[:, 0]}
    many = predictor.predict(features, **given)
    for row in range(3):
        alone = predictor.predict(features, **{name: values[row] for name, values in given.items()})
        assert_same(many, row, alone)
    assert not np.allclose(many.logits, predictor.predict(features, box=BOXES).logits, atol=1e-2)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ({}, "No prompt: give at least one point or a box"),
        ({"points_xy": [(1, 1), (2, 2)], "labels": [1]}, "2 points but 1 labels"),
        ({"points_xy": POINTS, "labels": [1, 1, 1]}, "3 x 1 points but 3 labels"),
        ({"points_xy": POINTS, "labels": np.ones((3, 1)), "box": BOXES[:2]}, "3 prompts with points, but boxes"),
        ({"points_xy": POINTS[0], "labels": [1], "box": BOXES}, "1 prompts with points, but boxes"),
        ({"box": BOXES, "mask_logits": np.zeros((32, 32))}, r"shape \(32, 32\), expected \(4h, 4w\) for each of 3"),
        ({"box": BOXES[0], "mask_logits": np.zeros((3, 32, 32))}, r"shape \(3, 32, 32\), expected \(4h, 4w\)$"),
    ],
)
def test_prompts_that_do_not_go_together(predictor, features, prompt, message):
    with pytest.raises(ValueError, match=message):
        predictor.predict(features, **prompt)
