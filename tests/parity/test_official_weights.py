"""The published checkpoints themselves; set NAPARI_SAM2_CHECKPOINTS to the folder that holds them."""

import os
from pathlib import Path

import numpy as np
import pytest

from parity.reference import spec
from sam2_torch.build import load
from sam2_torch.config import OFFICIAL
from sam2_torch.image_predictor import ImagePredictor


@pytest.mark.official_weights
@pytest.mark.parametrize("name", sorted(OFFICIAL))
def test_a_click_on_a_disc_gives_the_disc(name):
    path = Path(os.environ["NAPARI_SAM2_CHECKPOINTS"]) / f"{name}.pt"
    predictor = ImagePredictor(load(path))
    assert predictor.model.config == OFFICIAL[name]
    features = predictor.encode(spec.frame(0) / 255)
    masks = predictor.predict(features, points_xy=[(300, 320)], labels=[1])
    y, x = np.mgrid[:256, :256] * 4 + 1.5
    disc = np.hypot(x - 300, y - 320) < 90
    best = masks.logits[masks.predicted_iou.argmax()] > 0
    assert (best & disc).sum() / (best | disc).sum() > 0.9
