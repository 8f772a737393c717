"""While nothing is to be done, what clicks would need is encoded; nothing else changes with it."""

import numpy as np
import pytest
import torch

from napari_sam2 import frame_encoder
from napari_sam2.api import open_session
from napari_sam2.models import load_model
from napari_sam2.prompts import PointPrompt
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.tuning import Tuning
from napari_sam2.video import Video
from sam2_torch.build import build
from sam2_torch.config import CELL

PLACES = [(40, 40), (40, 160), (150, 90)]


def movie(num_frames=6):
    noise = np.random.default_rng(0).integers(0, 40, (num_frames, 200, 200))
    yy, xx = np.mgrid[:200, :200]
    for y, x in PLACES:
        for t in range(num_frames):
            noise[t][np.hypot(yy - y, xx - x - t) < 12] += 150
    return noise.astype(np.uint8)


@pytest.fixture
def passes(monkeypatch):
    """How many passes of the image encoder there were."""
    calls = []
    real = frame_encoder.encode_frame
    monkeypatch.setattr(frame_encoder, "encode_frame", lambda m, x: calls.append(x.shape) or real(m, x))
    return calls


@pytest.fixture(scope="module")
def model():
    return load_model("cell")


def tracked(model, **settings):
    session = open_session(movie(), model=model, diameter=24, **settings)
    session.add_prompts(*(PointPrompt(0, i, *yx) for i, yx in enumerate(PLACES, start=1)))
    for _ in session.propagate(last=4):
        pass
    # As if there had been many more frames since.
    session._follower.encoder.forget()
    return session


def correction(session, object_id, frame):
    y, x = session.masklets[object_id][frame].centroid
    return PointPrompt(frame, object_id, y + 3, x + 2)


def test_clicks_on_a_frame_and_its_neighbors_find_everything_encoded(model, passes):
    session = tracked(model)
    assert [*dict.fromkeys(session.look_ahead(2))] == [2, 3, 1]
    passes.clear()
    for frame, object_id in ((2, 1), (3, 2), (1, 3)):
        session.add_prompts(correction(session, object_id, frame))
        assert session.segment(frame, object_id) is not None
    # What a correction remembers of other frames may have to be encoded again; its own frame is there.
    assert not passes


def test_what_comes_of_clicks_and_propagation_is_the_same(model):
    without, ahead = tracked(model), tracked(model)
    for frame in (0, 2, 3):
        list(ahead.look_ahead(frame))
    for session in (without, ahead):
        session.add_prompts(correction(session, 1, 2))
        session.segment(2, 1)
        for _ in session.propagate(first=1):
            pass
    for frame in range(6):
        np.testing.assert_array_equal(without.labels(frame), ahead.labels(frame))


def test_it_is_done_once_and_in_the_order_asked_for(model, passes):
    session = tracked(model)
    list(session.look_ahead(2))
    passes.clear()
    list(session.look_ahead(2))
    assert not passes
    list(session.look_ahead(3))
    few = len(passes)
    assert 0 < few <= len(PLACES), "frames 2 and 3 were there"
    steps = session.look_ahead(1, first=[3])
    assert next(steps) == 1, "the frame was read"
    next(steps)
    passes.clear()
    session.add_prompts(correction(session, 3, 1))
    session.segment(1, 3)
    assert not passes


def test_it_can_be_stopped_after_each_pass(model, passes):
    session = tracked(model)
    passes.clear()
    steps = session.look_ahead(2)
    next(steps)
    for done in (1, 2):
        next(steps)
        assert len(passes) == done
    steps.close()


def test_it_keeps_within_half_of_the_memory_for_features(model, passes):
    budget = 3 * 2**20
    session = tracked(model, tuning=Tuning(cache_bytes=budget))
    cache = session._follower.encoder._cache
    list(session.look_ahead(2))
    kept = sum(cache._frames[t][region].nbytes for t, region in cache._ahead)
    assert 0 < kept <= budget / 2 and cache.nbytes <= budget
    nothing = tracked(model, tuning=Tuning(cache_bytes=0))
    passes.clear()
    list(nothing.look_ahead(2))
    assert len(passes) <= 1


def test_without_objects_the_frame_is_read(model, passes):
    reads = []

    class Noting:
        shape, dtype, ndim = (6, 200, 200), np.dtype(np.uint8), 3

        def __getitem__(self, key):
            reads.append(key if isinstance(key, int) else key[0])
            return movie()[key]

    session = TrackingSession(Video(Noting(), contrast=(0, 200)), model)
    assert list(session.look_ahead(2)) == [2] and not passes
    assert reads == [2]
    session.add_prompts(PointPrompt(2, 1, 40, 42))
    assert session.segment(2, 1) is not None
    assert reads == [2]


def test_whole_frames_are_encoded_without_any_object(passes):
    whole = build(
        CELL.__class__(**{**{f: getattr(CELL, f) for f in CELL.__dataclass_fields__}, "object_diameter": None})
    )
    session = open_session(movie(), model=whole.requires_grad_(False))
    assert list(session.look_ahead(5)) == [5, 5, 4], "the movie ends there"
    passes.clear()
    with torch.inference_mode():
        session.add_prompts(PointPrompt(5, 1, 40, 42))
        session.segment(5, 1)
    assert not passes
