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
