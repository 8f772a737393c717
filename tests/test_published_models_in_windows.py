"""Models made for whole frames, shown windows: what is encoded, what an object sees, and what it costs."""

from dataclasses import replace

import numpy as np
import pytest

from napari_sam2 import frame_encoder
from napari_sam2.prompts import PointPrompt
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.video import Video
from parity.networks import REDUCED, filled_and_present
from sam2_torch.config import TINY, windowed
from sam2_torch.windows import STRIDE

SIDE = 512
"""Of the frame that the model was made for, in model pixels."""


@pytest.fixture(scope="module")
def model():
    model = filled_and_present(replace(REDUCED, image_size=SIDE))
    model.config = windowed(model.config)
    return model


@pytest.fixture
def encoded(monkeypatch):
    """The sizes of all images that were encoded, in order."""
    sizes, encode = [], frame_encoder.encode_frame

    def noted(model, images):
        sizes.append(tuple(images.shape))
        return encode(model, images)

    monkeypatch.setattr(frame_encoder, "encode_frame", noted)
    return sizes


def open_session(model, places, shape_yx=(1400, 1400), num_frames=3):
    frames = np.random.default_rng(5).integers(0, 255, (num_frames, *shape_yx)).astype(np.uint8)
    session = TrackingSession(Video(frames, contrast=(0, 255)), model, diameter=windowed(model.config).object_diameter)
    session.add_prompts(*(PointPrompt(0, i, y, x) for i, (y, x) in enumerate(places, 1)))
    return session


def test_an_object_has_a_sixteenth_of_the_frame_and_is_looked_for_in_a_quarter():
    config = windowed(TINY)
    assert config.object_diameter == 64
    assert config.window_tokens * STRIDE == 256


def test_each_region_is_a_whole_picture_and_close_windows_share_one(model, encoded):
    session = open_session(model, [(700, 700), (700, 840), (840, 700)])
    session.segment(0, 1)
    encoded.clear()
    frames = list(session.propagate())
    assert len(frames) == 3
    assert {size[2:] for size in encoded} == {(SIDE, SIDE)}
    assert sum(size[0] for size in encoded) <= 2 * 3 + 3, (
        "after the clicks one region a frame, or two with second looks"
    )


def test_masks_lie_within_windows_around_their_clicks(model):
    places = [(200, 200), (700, 1300), (1250, 640)]
    session = open_session(model, places)
    session.segment(0, 1)
    for result in session.propagate():
        for mask in result.masks:
            y, x = places[mask.object_id - 1]
            y0, x0, y1, x1 = mask.box
            # A mask that fills its window moves the next one by half of that at most.
            reach = SIDE * (1 + result.frame)
            assert max(abs(y0 - y), abs(x0 - x), abs(y1 - y), abs(x1 - x)) <= reach


def test_what_lies_far_away_changes_nothing(model):
    session = open_session(model, [(300, 300)])
    alone = [result.masks for result in session.propagate()]
    session = open_session(model, [(300, 300), (1250, 1250)])
    for before, result in zip(alone, session.propagate(), strict=True):
        after = [mask for mask in result.masks if mask.object_id == 1]
        assert [mask.box for mask in after] == [mask.box for mask in before]
        assert all((a.crop == b.crop).mean() > 0.99 for a, b in zip(after, before, strict=True))
