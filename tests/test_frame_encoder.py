"""Frames are read ahead and encoded once."""

import threading

import numpy as np
import pytest
import torch

from napari_sam2 import frame_encoder
from napari_sam2.errors import MovieError
from napari_sam2.frame_encoder import FrameEncoder
from napari_sam2.video import Video
from sam2_torch.build import build
from sam2_torch.config import CELL
from sam2_torch.windows import Window


class Watched:
    """A movie of four frames that notes who reads what; one of them can be broken."""

    def __init__(self, broken=None):
        self.shape, self.dtype, self.ndim, self.broken, self.reads = (4, 64, 64), np.dtype(np.uint8), 3, broken, []

    def __getitem__(self, key):
        t = key[0] if isinstance(key, tuple) else key
        self.reads.append((t, threading.current_thread().name))
        if t == self.broken:
            raise OSError("the disk is gone")
        return np.full((64, 64), 10 * int(t), np.uint8)


@pytest.fixture
def encoder(monkeypatch):
    def make(broken=None):
        movie = Watched(broken)
        calls = []
        real = frame_encoder.encode_frame
        monkeypatch.setattr(frame_encoder, "encode_frame", lambda m, x: calls.append(1) or real(m, x))
        return FrameEncoder(Video(movie, contrast=(0, 100)), build(CELL).requires_grad_(False)), movie.reads, calls

    return make


WINDOW = Window(0, 0, 64, 64, (64, 64))


@torch.inference_mode()
def test_the_next_frame_is_read_in_a_thread_and_only_once(encoder):
    frames, reads, calls = encoder()
    first = frames.encode(0, [WINDOW], then=1)
    assert torch.equal(frames.encode(0, [WINDOW], then=1).stride16, first.stride16)
    second = frames.encode(1, [WINDOW])
    assert [t for t, _ in reads] == [0, 1]
    assert "reader" in reads[1][1]
    assert not torch.equal(first.stride16, second.stride16)
    assert len(calls) == 2


@torch.inference_mode()
def test_a_frame_whose_features_are_kept_is_not_read_again_nor_one_beyond_the_movie(encoder):
    frames, reads, calls = encoder()
    for t in (0, 1):
        frames.encode(t, [WINDOW])
    for t in (0, -1, 4):
        frames.encode(0, [WINDOW], then=t)
    assert len(reads) == len(calls) == 2
    frames.forget()
    frames.encode(0, [WINDOW])
    assert len(calls) == 3


@torch.inference_mode()
def test_a_frame_that_cannot_be_read_is_an_error_when_its_turn_comes(encoder):
    frames, _, _ = encoder(broken=2)
    frames.encode(1, [WINDOW], then=2)
    with pytest.raises(MovieError, match="frame 2"):
        frames.encode(2, [WINDOW])


TOKENS = CELL.window_tokens


def window_at(top: int, left: int, tokens: int = TOKENS) -> Window:
    """At 4 source pixels a token."""
    return Window(4 * top, 4 * left, 4 * tokens, 4 * tokens, (16 * tokens, 16 * tokens))


class Large(Watched):
    """The same of 400 x 400 pixels."""

    def __init__(self):
        super().__init__()
        self.shape = (4, 400, 400)
        self.pixels = np.random.default_rng(0).integers(0, 100, self.shape).astype(np.uint8)

    def __getitem__(self, t):
        self.reads.append((t, ""))
        return self.pixels[t]


@pytest.fixture
def wide(monkeypatch):
    """An encoder of a large frame, and the shapes of the images it had encoded."""
    shapes = []
    real = frame_encoder.encode_frame
    monkeypatch.setattr(frame_encoder, "encode_frame", lambda m, x: shapes.append(tuple(x.shape)) or real(m, x))
    torch.manual_seed(0)
    return FrameEncoder(Video(Large(), contrast=(0, 100)), build(CELL).requires_grad_(False)), shapes


@torch.inference_mode()
def test_a_window_that_was_covered_costs_no_pass(wide):
    frames, shapes = wide
    frames.prepare(0, [window_at(20, 20), window_at(26, 30)])
    assert shapes == [(1, 3, 16 * 22, 16 * 26)], "both in one region, with context around it"
    features = frames.encode(0, [window_at(22, 25), window_at(26, 30)])
    assert features.stride16.shape == (2, CELL.width, TOKENS, TOKENS)
    assert len(shapes) == 1
    frames.encode(0, [window_at(60, 60)])
    assert shapes[1:] == [(1, 3, 256, 256)], "only what is missing"


@torch.inference_mode()
def test_windows_get_the_features_of_their_own_places(wide):
    frames, _ = wide
    windows = [window_at(20, 20), window_at(30, 26)]
    together = frames.encode(0, windows)
    for i, window in enumerate(windows):
        # The same region, so the very same numbers.
        assert torch.equal(frames.encode(0, [window]).stride4[0], together.stride4[i])
    assert not torch.equal(together.stride4[0], together.stride4[1])
    # Row 30, column 26 of the frame is ten rows and six columns into the first window.
    assert torch.equal(together.stride16[0, :, 10:, 6:], together.stride16[1, :, :2, :6])


@torch.inference_mode()
def test_a_window_that_all_share_is_not_copied(wide):
    frames, _ = wide
    assert len(frames.encode(0, [window_at(20, 20)] * 5).stride16) == 1


@torch.inference_mode()
def test_positions_are_told_in_a_frame_as_the_model_was_trained_on(wide):
    frames, _ = wide
    assert frames.encode(0, [window_at(20, 20)]).frame == (16, 16)
    assert frames.encode(0, [window_at(20, 20, 16)]).frame == (16, 16)
    assert frames.encode(0, [window_at(20, 20, 20)]).frame == (20, 20)


@torch.inference_mode()
def test_regions_of_one_size_are_encoded_together_as_far_as_memory_goes(wide, monkeypatch):
    frames, shapes = wide
    scattered = [window_at(top, left) for top in (2, 82) for left in (2, 42, 82)]
    frames.prepare(0, scattered)
    assert shapes == [(6, 3, 256, 256)]
    monkeypatch.setattr(frame_encoder, "PIXELS_AT_ONCE", 4 * 256 * 256)
    frames.prepare(1, scattered)
    assert shapes[1:] == [(4, 3, 256, 256), (2, 3, 256, 256)]


@torch.inference_mode()
def test_each_scale_has_its_regions(wide):
    frames, shapes = wide
    coarse = Window(80, 80, 8 * TOKENS, 8 * TOKENS, (16 * TOKENS, 16 * TOKENS))
    frames.prepare(0, [window_at(20, 20), coarse, window_at(20, 21)])
    assert sorted(shapes) == [(1, 3, 256, 256), (1, 3, 256, 288)]
    assert frames.encode(0, [coarse]).grid == (TOKENS, TOKENS)
    assert len(shapes) == 2


@torch.inference_mode()
def test_a_frame_read_in_parts_gives_the_same_features(wide, monkeypatch):
    frames, _ = wide
    pixels = frames.video._data.pixels
    windows = [window_at(0, 3), window_at(90, 88), window_at(50, 40)]
    expected = frames.encode(2, windows)
    monkeypatch.setattr("napari_sam2.video.LARGE", 1000)
    in_parts = FrameEncoder(Video(pixels, contrast=(0, 100)), frames.model)
    assert in_parts.video.reads_parts
    found = in_parts.encode(2, windows, then=3)
    for level in ("stride16", "stride8", "stride4"):
        assert torch.allclose(getattr(found, level), getattr(expected, level), atol=1e-5)
