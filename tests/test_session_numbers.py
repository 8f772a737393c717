"""The session with a small SAM 2 whose weights are filled by name: the same numbers, whatever the way to them."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from napari_sam2 import visits
from napari_sam2.prompts import MaskPrompt, PointPrompt
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.video import Video
from parity.networks import REDUCED, filled
from parity.one_object import OneObject
from parity.reference import spec
from sam2_torch.memory_bank import BACKWARD, FORWARD, MemoryBank, MemoryRules
from sam2_torch.video_predictor import encode_frame
from toy_scene import run, stored

NUM_FRAMES, SIZE = 10, 128
CLICKS = [PointPrompt(0, 4, 40, 37), PointPrompt(0, 2, 55, 82), PointPrompt(3, 9, 95, 60)]


@pytest.fixture(scope="module")
def model():
    return filled(REDUCED)


@pytest.fixture(scope="module")
def frames():
    return np.stack([spec.frame(t, SIZE) for t in range(NUM_FRAMES)])


@pytest.fixture
def open_session(model, frames):
    return lambda **settings: TrackingSession(Video(frames, contrast=(0, 255)), model, **settings)


@pytest.fixture
def overlapping(monkeypatch):
    """Let objects keep what others claim too, so that the network alone is compared."""
    keep_all = lambda seen, shape_yx: {object_id: mask.logits > 0 for object_id, mask in seen.items()}  # noqa: E731
    monkeypatch.setattr(visits, "resolve_overlaps", keep_all)


def full(mask):
    labels = np.zeros((SIZE, SIZE), np.uint8)
    if mask is not None:
        mask.paint(labels, 1)
    return labels.astype(bool)


def differing(one, other):
    """Largest share of a frame's pixels in which two objects' masks differ."""
    frames = set(one) | set(other)
    return max(float((full(one.get(t)) != full(other.get(t))).mean()) for t in frames)


class TestAgainstTheFourFunctions:
    """`OneObject` does what the original does, step for step; the parity tests hold it to the recorded numbers."""

    @pytest.fixture
    def driver(self, model, frames):
        images = torch.from_numpy(frames / np.float32(255)).permute(0, 3, 1, 2)
        features = {}

        def encode(t):
            if t not in features:
                features[t] = encode_frame(model, images[t : t + 1])
            return features[t]

        with torch.inference_mode():
            one = OneObject(model, encode, NUM_FRAMES)
            # The driver is told the length of the movie, a session is not; and the original forgets nothing.
            one.bank = MemoryBank(MemoryRules())
            one.bank.prune = lambda frame: None
            yield one

    @staticmethod
    def masks(driver):
        shown = {}
        for t, prediction in driver.predictions.items():
            shown[t] = (F.interpolate(prediction.logits, size=(SIZE, SIZE), mode="bilinear") > 0)[0, 0].numpy()
        return shown

    def check(self, session, driver):
        for t, mask in self.masks(driver).items():
            assert np.array_equal(full(session.masklets[1].get(t)), mask), f"frame {t}"
        assert any(mask.any() for mask in self.masks(driver).values())

    def test_clicks_in_steps(self, open_session, driver):
        session = open_session()
        xy, labels = [(60.0, 95.0), (75.0, 102.0), (40.0, 30.0)], [1, 1, 0]
        for count in (1, 2, 3):
            x, y = xy[count - 1]
            session.add_prompts(PointPrompt(3, 1, y, x, positive=labels[count - 1] == 1))
            session.segment(3, 1)
            driver.points(3, xy[:count], labels[:count])
        run(session, "forward")
        driver.propagate(FORWARD)
        self.check(session, driver)

    def test_a_correction_on_a_tracked_frame_forward_again_and_backward(self, open_session, driver):
        session = open_session()
        session.add_prompts(PointPrompt(2, 1, 95, 60))
        run(session, "forward")
        session.add_prompts(PointPrompt(5, 1, 88, 66))
        session.segment(5, 1)
        run(session, "both")
        driver.points(2, [(60, 95)], [1])
        driver.propagate(FORWARD)
        driver.points(5, [(66, 88)], [1])
        driver.propagate(FORWARD)
        driver.propagate(BACKWARD)
        self.check(session, driver)

    def test_a_mask_and_a_click_on_a_later_frame(self, open_session, driver):
        ys, xs = np.mgrid[:SIZE, :SIZE]
        disc = np.hypot(ys - 95, xs - 60) < 16
        session = open_session()
        session.set_prompts([MaskPrompt(0, 1, disc), PointPrompt(6, 1, 90, 70)])
        run(session, "forward")
        driver.mask(0, torch.from_numpy(disc.astype(np.float32))[None, None])
        driver.points(6, [(70, 90)], [1])
        driver.propagate(FORWARD)
        shown = self.masks(driver)
        assert all(np.array_equal(full(session.masklets[1].get(t)), shown[t]) for t in range(1, NUM_FRAMES))
        assert np.array_equal(full(session.masklets[1][0]), disc), "what was painted is shown as it was painted"


def test_the_order_in_which_objects_are_added_does_not_matter(open_session):
    results = []
    for order in itertools.permutations(CLICKS):
        session = open_session()
        for click in order:
            session.add_prompts(click)
        run(session, "both", last=5)
        results.append(stored(session))
    assert all(result == results[0] for result in results)


def test_objects_together_are_the_objects_one_by_one(open_session, overlapping):
    together = open_session()
    together.set_prompts(CLICKS)
    run(together, "both")
    for click in CLICKS:
        alone = open_session()
        alone.set_prompts([click])
        run(alone, "both")
        assert differing(together.masklets[click.object_id], alone.masklets[click.object_id]) < 0.001


def test_removing_an_object_changes_nothing_for_the_others(open_session, overlapping):
    session = open_session()
    session.set_prompts(CLICKS)
    run(session, "forward")
    before = stored(session)
    session.remove_object(2)
    assert stored(session) == {i: before[i] for i in (4, 9)}
    run(session, "forward")
    for object_id in (4, 9):
        assert differing(session.masklets[object_id], before[object_id]) < 0.001


@pytest.mark.parametrize("stop", [1, 4, 7])
def test_stopping_and_going_on_is_running_through_bit_for_bit(open_session, stop):
    through, stopped = open_session(), open_session()
    for session in (through, stopped):
        session.set_prompts(CLICKS)
    run(through, "forward")
    for result in stopped.propagate("forward"):
        if result.frame == stop:
            break
    run(stopped, "forward", first=stop + 1)
    assert stored(stopped) == stored(through)


def test_the_same_again_is_the_same_bit_for_bit(open_session):
    session = open_session()
    session.set_prompts(CLICKS)
    run(session, "both")
    before = stored(session)
    run(session, "both")
    assert stored(session) == before


def test_a_session_that_was_corrected_and_cleared_is_as_good_as_new(open_session):
    new, used = open_session(), open_session()
    new.set_prompts(CLICKS)
    run(new, "forward")
    used.set_prompts(CLICKS)
    run(used, "forward")
    used.add_prompts(PointPrompt(6, 4, 100, 100), PointPrompt(6, 7, 20, 20))
    used.segment(6, 4)
    run(used, "both")
    used.set_prompts(CLICKS)
    used.remove_object(7)
    run(used, "forward")
    assert {i: {t: m for t, m in masks.items() if t in new.masklets[i]} for i, masks in stored(used).items()} == stored(
        new
    )


def test_the_closest_prompts_are_enough_where_there_are_many(open_session):
    many = [PointPrompt(t, 1, 40, 37) for t in range(0, NUM_FRAMES, 2)]
    results = {}
    for limit in (None, 5, 2):
        session = open_session(max_prompted=limit)
        session.set_prompts(many)
        run(session, "forward")
        assert session._objects[1].followed.bank.select(5).steps[0].tolist().count(0) == (limit or 5)
        results[limit] = stored(session)
    assert results[5] == results[None]
    assert results[2] != results[None]
    assert results[2][1].keys() == set(range(NUM_FRAMES))
