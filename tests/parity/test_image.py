"""The image predictor against what the original computed on frame 0."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from sam2_torch.image_predictor import ImagePredictor

TOLERANCE = {"atol": 1e-3, "rtol": 1e-3}
CASE = "2.1/t/image"


@pytest.fixture(scope="module")
def predictor(tiny):
    return ImagePredictor(tiny)


@pytest.fixture(scope="module")
def features(tiny, encoded):
    return encoded(tiny, 0)


def check(recorded, name, masks):
    assert_allclose(masks.logits[:, ::4, ::4], recorded[f"{CASE}/{name}/logits"], **TOLERANCE)
    assert_allclose(masks.predicted_iou, recorded[f"{CASE}/{name}/iou"], **TOLERANCE)


def test_features(tiny, features, recorded):
    with torch.inference_mode():
        embedding = features.stride16 + tiny.no_mem_embed[0, 0, :, None, None]
    assert_allclose(features.stride4[0, ::8, ::16, ::16], recorded[f"{CASE}/features0"], **TOLERANCE)
    assert_allclose(features.stride8[0, ::8, ::16, ::16], recorded[f"{CASE}/features1"], **TOLERANCE)
    assert_allclose(embedding[0, ::8, ::4, ::4], recorded[f"{CASE}/features2"], **TOLERANCE)


def test_click_then_refined_with_its_first_mask(predictor, features, recorded):
    click = predictor.predict(features, points_xy=[(300, 320)], labels=[1])
    assert click.logits.shape == (3, 256, 256)
    check(recorded, "click", click)
    refined = predictor.predict(
        features,
        points_xy=[(300, 320), (420, 330)],
        labels=[1, 0],
        mask_logits=np.asarray(click.logits[0]),
        multimask=False,
    )
    check(recorded, "click_refined", refined)


def test_box(predictor, features, recorded):
    check(recorded, "box", predictor.predict(features, box=(540, 330, 740, 520), multimask=False))


def test_box_and_point(predictor, features, recorded):
    masks = predictor.predict(features, points_xy=[(650, 430)], labels=[1], box=(540, 330, 740, 520), multimask=False)
    check(recorded, "box_and_point", masks)


def test_a_prompt_is_needed(predictor, features):
    with pytest.raises(ValueError, match="No prompt: give at least one point or a box"):
        predictor.predict(features)
    with pytest.raises(ValueError, match="2 points but 1 labels"):
        predictor.predict(features, points_xy=[(1, 1), (2, 2)], labels=[1])
