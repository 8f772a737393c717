"""Windows of larger frames in training: the same features, on the same grid, as a session sees."""

import numpy as np
import pytest
import torch

from napari_sam2.frame_encoder import FrameEncoder
from napari_sam2.training.settings import TrainSettings
from napari_sam2.training.step import encode_grey
from napari_sam2.training.views import WholeFrames, Windows, middle_of, view_of
from napari_sam2.video import Video
from sam2_torch.config import CELL
from sam2_torch.network import SAM2
from sam2_torch.outputs import MaskPrediction, PointTokens

SIZE = 320


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return SAM2(CELL).eval()


@pytest.fixture(scope="module")
def frames():
    return np.random.default_rng(0).random((2, SIZE, SIZE), np.float32)


@pytest.fixture
def windows(model, frames):
    with torch.no_grad():
        encoded = encode_grey(model, torch.from_numpy(frames))
    return Windows(encoded, [0] * 5, CELL, tokens=12, image_size=SIZE)


def predicted(logits, score):
    count = len(logits)
    return MaskPrediction(logits, torch.ones(count), score, torch.zeros(count, 4), logits, torch.ones(count, 1))


@torch.no_grad()
def test_features_are_those_that_a_session_sees(model, frames, windows):
    corners = torch.tensor([[10.0, 10.0], [300, 15], [20, 310], [310, 300], [150, 170]])
    windows.look_at(corners)
    encoder = FrameEncoder(Video(frames, contrast=(0.0, 1.0)), model)
    for t in range(2):
        mine, session = windows.features(t), encoder.encode(t, windows.windows)
        assert mine.grid == session.grid == (12, 12)
        assert mine.frame == session.frame == (16, 16), "positions are told in a frame of 16 tokens"
        for level in ("stride16", "stride8", "stride4"):
            torch.testing.assert_close(getattr(mine, level), getattr(session, level), rtol=1e-4, atol=1e-4)


def test_windows_follow_what_is_found_and_wait_for_what_is_not(windows):
    windows.look_at(torch.full((5, 2), 160.0))
    before = list(windows.windows)
    assert {(w.y0, w.x0) for w in before} == {(64, 64)}
    logits = torch.full((5, 1, 48, 48), -5.0)
    logits[1, 0, 20:28, 36:44] = 5  # middle at x 40 * 4, y 24 * 4 of the window
    logits[2, 0, 20:28, 36:44] = 5
    windows.follow(predicted(logits, torch.tensor([5.0, 5, -5, 5, 5])))
    assert windows.windows[0] == before[0], "nothing was found"
    assert windows.windows[2] == before[2], "the object is said to be absent"
    moved = windows.windows[1]
    assert (moved.y0, moved.x0) == (64, 128)
    assert moved.y0 % 16 == moved.x0 % 16 == 0


def test_clicks_and_masks_are_told_in_the_window(windows):
    masks = torch.zeros(5, SIZE, SIZE, dtype=torch.bool)
    masks[:, 200:220, 100:140] = True
    windows.look_at(middle_of(masks))
    click = windows.told(PointTokens(torch.full((5, 1, 2), 210.0), torch.ones(5, 1)))
    window = windows.windows[0]
    assert click.xy[0, 0].tolist() == [210 - window.x0, 210 - window.y0]
    shown = windows.cut(masks)
    assert shown.shape == (5, 192, 192)
    assert shown[0].sum() == masks[0].sum()
    assert middle_of(shown)[0].tolist() == [119.5 - window.x0, 209.5 - window.y0]


def test_features_of_a_frame_are_made_once_for_each_place(windows):
    windows.look_at(torch.full((5, 2), 100.0))
    first = windows.features(0)
    assert windows.features(0) is first
    windows.look_at(torch.full((5, 2), 200.0))
    assert not torch.equal(windows.features(0).stride16, first.stride16)


def test_without_surroundings_the_whole_frame_is_shown(model, frames):
    with torch.no_grad():
        encoded = encode_grey(model, torch.from_numpy(frames))
    rng, rows = torch.Generator().manual_seed(0), torch.tensor([0, 0])
    view = view_of(encoded, rows, CELL, TrainSettings(), rng)
    assert isinstance(view, WholeFrames)
    assert torch.equal(view.features(1).stride16, encoded.stride16[[1, 1]])
    settings = TrainSettings(surroundings=32)
    sizes = {view_of(encoded, rows, CELL, settings, rng).windows[0].size for _ in range(20)}
    assert sizes == {(192, 192), (256, 256)}
