"""The published checkpoints themselves; set NAPARI_SAM2_CHECKPOINTS to the folder that holds them."""

import os
from pathlib import Path

import numpy as np
import pytest

from napari_sam2.models import load_model
from napari_sam2.prompts import PointPrompt
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.video import Video
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


@pytest.mark.official_weights
@pytest.mark.parametrize("name", ["sam2.1_hiera_tiny", "sam2.1_hiera_base_plus"])
def test_windows_cut_at_the_border_of_a_region_give_the_masks_of_those_cut_in_its_middle(name):
    """Hiera knows where in its picture a cell lies, and must not mind."""
    model = load_model(Path(os.environ["NAPARI_SAM2_CHECKPOINTS"]) / f"{name}.pt", device="cpu", windows=True)
    y, x = np.mgrid[:2048, :2048]
    cells = [np.hypot(x - x0, 1.3 * (y - y0)) < 28 for y0 in range(200, 2048, 330) for x0 in range(200, 2048, 330)]
    rng = np.random.default_rng(6)
    movie = np.stack([rng.normal(60, 8, y.shape) + 90 * np.any(cells, 0) for _ in range(3)]).clip(0, 255)
    middle = PointPrompt(0, 1, 860, 860)

    def masks(*others: PointPrompt) -> list[np.ndarray]:
        session = TrackingSession(Video(movie.astype(np.uint8), contrast=(0, 255)), model, diameter=64)
        session.add_prompts(middle, *others)
        return [session.labels(result.frame) == 1 for result in session.propagate()]

    alone = masks()
    for corner in ((530, 530), (1190, 1190), (860, 530), (1190, 860)):
        for a, b in zip(alone, masks(PointPrompt(0, 2, *corner)), strict=True):
            assert (a & b).sum() / (a | b).sum() >= 0.95
