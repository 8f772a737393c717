"""Windows in sessions: second looks, several scales, few passes; and what of it is remembered."""

from dataclasses import replace

import numpy as np
import pytest

from napari_sam2 import frame_encoder, propagation
from napari_sam2.cleaning import Cleaning
from napari_sam2.memory_policy import MemoryPolicy
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.video import Video
from sam2_torch.windows import STRIDE
from toy_scene import STILL, STILL_YX, WIDTH, iou, open_scene, run, truth

P = 12
"""Source pixels a token at a diameter of 26; a window has 144, a wide one 192."""
CENTER = 156
"""The middle of a window on a click there."""


def disc(shape, yx, radius):
    ys, xs = np.ogrid[: shape[0], : shape[1]]
    return np.hypot(ys - yx[0], xs - yx[1]) < radius


class Scene:
    """A movie of discs, given by their places on each frame and their radii on each frame."""

    def __init__(self, toy, shape, *tracks, diameter=26.0, **settings):
        self.masks = [[disc(shape, yx, radius) for yx, radius in track] for track in tracks]
        frames = np.array([np.any(masks, axis=0) for masks in zip(*self.masks, strict=True)], np.float32)
        self.session = TrackingSession(Video(frames, contrast=(0, 1)), toy, diameter=diameter, **settings)
        self.session.set_prompts([PointPrompt(0, i, *track[0][0]) for i, track in enumerate(tracks, 1)])

    def followed(self, object_id=1):
        return self.session._objects[object_id].followed

    def quality(self, object_id=1):
        """IoU with its disc by frame."""
        masklet = self.session.masklets[object_id]
        return [iou(masklet.get(t), mask) for t, mask in enumerate(self.masks[object_id - 1])]


def only_one_look(monkeypatch):
    monkeypatch.setattr(propagation.Follower, "_wider", lambda follower, sighting: None)


def tracked(toy):
    """How often the network was asked to track."""
    return sum(what == "track" for what, _, _ in toy.log)


@pytest.mark.parametrize(("shift", "radius"), [(84, 8), (72, 13)], ids=["lost", "cut by the edge"])
def test_an_object_that_leaves_its_window_is_looked_for_in_a_wider_one(toy, monkeypatch, shift, radius):
    places = [((CENTER, CENTER), radius), ((CENTER, CENTER + shift), radius)]
    scene = Scene(toy, (320, 420), places)
    (_, result) = scene.session.propagate()
    assert tracked(toy) == 2
    assert scene.quality()[1] > 0.8
    assert result.absent == ()
    only_one_look(monkeypatch)
    scene = Scene(toy, (320, 420), places)
    run(scene.session)
    assert scene.quality()[1] < 0.6


def test_an_object_that_is_nowhere_is_looked_for_around_where_it_was_last(toy):
    """It is back, further away than half a window, after some frames in which it was not to be seen."""
    away = ((CENTER, CENTER), 0)
    scene = Scene(toy, (320, 420), [((CENTER, CENTER), 8), away, away, ((CENTER, CENTER + 84), 8)])
    results = list(scene.session.propagate())
    assert [r.absent for r in results] == [(), (1,), (1,), ()]
    assert scene.quality()[3] > 0.8
    assert tracked(toy) == 4, "the second look on the first of them is the last one"


def test_a_disc_in_the_middle_of_its_window_is_looked_at_once(toy):
    scene = Scene(toy, (320, 420), [((CENTER, CENTER + 10 * t), 13) for t in range(5)])
    run(scene.session)
    assert tracked(toy) == 4
    assert min(scene.quality()) > 0.8


@pytest.mark.parametrize(("y", "first"), [(3, 0), (320, 324 - 144)], ids=["top", "bottom"])
def test_an_object_at_the_border_of_the_frame_is_followed_in_one_look(toy, y, first):
    """Beyond that edge of its window there is nothing to be seen."""
    scene = Scene(toy, (324, 420), [((y, 60 + 20 * t), 13) for t in range(10)])
    run(scene.session)
    assert tracked(toy) == 9
    assert min(scene.quality()) > 0.8
    assert scene.followed().window.y0 == first


def test_an_object_that_fills_its_window_is_looked_for_in_a_wider_one(toy):
    scene = Scene(toy, (420, 420), [((200, 200), 13), ((200, 200), 40), ((200, 200), 50)])
    run(scene.session, last=1)
    assert scene.followed().window.height == 12 * P
    run(scene.session, first=2, last=2)
    assert scene.followed().window.height == 16 * P


def test_a_disc_is_expected_where_it_was(toy):
    scene = Scene(toy, (320, 420), [((CENTER, CENTER + 12 * t), 13) for t in range(6)])
    run(scene.session)
    y, x = scene.followed().place
    assert abs(x - (CENTER + 60)) <= P / 2
    assert abs(y - CENTER) <= P / 2


def test_objects_of_very_different_sizes_are_followed_in_one_session(toy, monkeypatch):
    passes = passes_by_frame(toy, monkeypatch)
    shape = 520, 640
    small = [((80, 100 + 6 * t), 10) for t in range(5)]
    large = [((330, 300 + 20 * t), 70) for t in range(5)]
    scene = Scene(toy, shape, small, large, diameter=None)
    scene.session.set_prompts([BoxPrompt(0, 1, 70, 90, 90, 110), BoxPrompt(0, 2, 260, 230, 400, 370)])
    run(scene.session)
    assert min(scene.quality(1)) > 0.8
    assert min(scene.quality(2)) > 0.8
    scales = [scene.followed(i).window.height * STRIDE // scene.followed(i).window.size[0] for i in (1, 2)]
    assert scales[1] > 5 * scales[0]
    assert [passes[t] for t in range(1, 5)] == [2, 2, 2, 2], "one for each scale"


def test_objects_of_about_one_size_share_a_scale(toy):
    tracks = [[((100, 100), 13)] * 2, [((100, 250), 15)] * 2]
    scene = Scene(toy, (320, 420), *tracks, diameter=None)
    boxes = [BoxPrompt(0, i, 100 - r, x - r, 100 + r, x + r) for i, x, r in ((1, 100, 12), (2, 250, 13.5))]
    scene.session.set_prompts(boxes)
    run(scene.session)
    assert scene.followed(1).diameter == scene.followed(2).diameter == pytest.approx(25.46, abs=0.01)


def passes_by_frame(toy, monkeypatch):
    """How often the network encoded something of a frame."""
    passes = {}
    real_prepare = frame_encoder.FrameEncoder.prepare

    def prepare(encoder, frame, windows, **named):
        toy.encoding = frame
        real_prepare(encoder, frame, windows, **named)

    def encode_frame(model, image):
        passes[toy.encoding] = passes.get(toy.encoding, 0) + 1
        return toy.encode_frame(model, image)

    monkeypatch.setattr(frame_encoder.FrameEncoder, "prepare", prepare)
    monkeypatch.setattr(frame_encoder, "encode_frame", encode_frame)
    return passes


def test_a_frame_of_many_objects_is_encoded_in_one_pass(toy, monkeypatch):
    passes = passes_by_frame(toy, monkeypatch)
    tracks = [[((90 + 36 * i, 90 + 36 * j + t), 11) for t in range(4)] for i in range(5) for j in range(6)]
    scene = Scene(toy, (330, 370), *tracks)
    run(scene.session)
    assert [passes[t] for t in (1, 2, 3)] == [1, 1, 1]
    assert min(min(scene.quality(i)) for i in range(1, 31)) > 0.8
    assert tracked(toy) == 3, "and they are tracked together"


def test_objects_far_apart_are_encoded_apart_and_tracked_together(toy, monkeypatch):
    images = []
    monkeypatch.setattr(frame_encoder, "encode_frame", lambda m, x: images.append(x.shape) or toy.encode_frame(m, x))
    tracks = [[((y, x), 11)] * 2 for y, x in ((168, 168), (168, 600), (600, 168))]
    scene = Scene(toy, (780, 780), *tracks)
    run(scene.session)
    assert images[-1] == (3, 3, 256, 256), "three regions of one size in one pass"
    assert tracked(toy) == 1
    assert min(min(scene.quality(i)) for i in (1, 2, 3)) > 0.8


# --- what is remembered ---

GROWS = [((CENTER, CENTER), 26 if t == 3 else 13) for t in range(12)]
"""A disc that has four times its area on frame 3."""


def test_a_doubtful_mask_is_shown_and_named_and_not_remembered(toy):
    scene = Scene(toy, (320, 420), GROWS, memory_policy=MemoryPolicy(max_change=1.5))
    results = list(scene.session.propagate(last=6))
    assert [r.doubtful for r in results] == [(), (), (), (1,), (), (), ()]
    assert min(scene.quality()[:7]) > 0.8
    assert [m.frame for m in results[3].masks] == [3]
    assert sorted(scene.followed().bank.recent) == [1, 2, 4, 5, 6]
    assert all(3 not in frames for _, frames, _ in toy.log)


def test_what_the_model_thinks_bad_is_not_remembered(toy):
    scene = Scene(toy, (320, 420), GROWS, memory_policy=MemoryPolicy(min_iou=0.95))
    results = list(scene.session.propagate(last=4))
    assert [r.doubtful for r in results] == [(), (1,), (1,), (1,), (1,)], "the stand-in says 0.9"
    assert scene.followed().bank.recent == {}
    assert all(frames == [0] for what, frames, _ in toy.log if what == "track")


@pytest.mark.parametrize("policy", ["original", "cells", None])
def test_by_default_all_is_remembered(toy, policy):
    scene = Scene(toy, (320, 420), GROWS, memory_policy=policy)
    results = list(scene.session.propagate(last=6))
    assert all(r.doubtful == () for r in results)
    assert sorted(scene.followed().bank.recent) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("policy", "looked_at"), [(MemoryPolicy(competes=True), True), (MemoryPolicy(max_change=1.5), False)]
)
def test_a_distrusted_frame_is_not_remembered_when_a_propagation_goes_on_later(toy, policy, looked_at):
    track = [((CENTER, CENTER), 26 if t == 3 else 13) for t in range(40)]
    scene = Scene(toy, (320, 420), track, memory_policy=policy)
    run(scene.session)
    assert 3 not in scene.followed().bank.recent, "forgotten, as it is long ago"
    toy.log.clear()
    run(scene.session, first=7, last=7)
    (frames,) = (frames for what, frames, _ in toy.log if what == "track")
    assert [t for t in frames if t != 3] == [0, 1, 2, 4, 5, 6]
    assert (3 in frames) == looked_at


def test_a_mask_that_is_believed_again_is_remembered_again(toy):
    """The frame is no more distrusted once it was tracked anew and found good."""
    scene = Scene(toy, (320, 420), GROWS, memory_policy=MemoryPolicy(max_change=1.5))
    run(scene.session, last=6)
    assert scene.followed().distrusted == {3}
    follower = scene.session._follower
    follower.policy = replace(follower.policy, max_change=None)
    run(scene.session, last=6)
    assert scene.followed().distrusted == set()
    assert 3 in scene.followed().bank.recent


def test_a_doubtful_frame_that_was_remembered_before_is_forgotten(toy):
    scene = Scene(toy, (320, 420), GROWS, memory_policy=MemoryPolicy())
    run(scene.session, last=6)
    scene.session._follower.policy = MemoryPolicy(min_iou=0.95)
    run(scene.session, first=5, last=6)
    assert sorted(scene.followed().bank.recent) == [1, 2, 3, 4]


def cells_of(window):
    """Source rows and columns of the middles of the logits of a window, and how many source pixels a logit has."""
    k = 4 * window.height // window.size[0]
    n = window.size[0] // 4
    return window.y0 + k * np.arange(n) + k // 2, window.x0 + k * np.arange(n) + k // 2, k


def memorized(toy, monkeypatch, frame):
    """Logits that are made a memory of, of objects tracked to a frame."""
    kept = []

    def memorize(model, features, prediction, *, prompted, **more):
        if toy.frame == frame and not prompted:
            kept.extend(prediction.logits[:, 0].numpy())
        return toy.memorize(model, features, prediction, prompted=prompted, **more)

    monkeypatch.setattr(propagation, "memorize", memorize)
    return kept


@pytest.mark.parametrize("policy", ["cells", "original"])
def test_pixels_that_went_to_another_object_are_not_remembered(toy, monkeypatch, policy):
    """Half of the disc is painted as another object."""
    kept = memorized(toy, monkeypatch, frame=5)
    session = open_scene(toy, memory_policy=policy)
    painted = (truth()[5] == STILL) & (np.arange(WIDTH) < STILL_YX[1])
    session.set_prompts([PointPrompt(0, 1, *STILL_YX), MaskPrompt(5, 2, painted)])
    run(session, last=5)
    (logits,) = kept
    window = session._objects[1].followed.window
    rows, columns, k = cells_of(window)
    assert logits.shape == (len(rows), len(columns)) == (48, 48)
    inside = np.hypot(rows[:, None] - STILL_YX[0], columns - STILL_YX[1]) < 13 - k
    lost = inside & (columns < STILL_YX[1] - k)
    assert lost.sum() > 5
    assert (logits[inside & (columns >= STILL_YX[1] + k)] == 15).all()
    assert (logits[lost] <= -10).all() if policy == "cells" else (logits[lost] == 15).all()
    assert session.masklets[1][5].area < 0.6 * (truth()[5] == STILL).sum(), "it is shown without them either way"


@pytest.mark.parametrize(("policy", "doubtful"), [("cells", (2,)), ("original", ())])
def test_an_object_that_got_no_pixel_is_not_remembered(toy, policy, doubtful):
    """Two objects on one disc: the first has it, and the second would learn that it is the first."""
    session = open_scene(toy, memory_policy=policy)
    session.set_prompts([PointPrompt(0, 1, *STILL_YX), PointPrompt(0, 2, *STILL_YX)])
    results = list(session.propagate(last=3))
    assert [r.doubtful for r in results[1:]] == [doubtful] * 3
    assert [r.empty for r in results[1:]] == [(2,)] * 3
    assert sorted(session._objects[1].followed.bank.recent) == [1, 2, 3]
    assert sorted(session._objects[2].followed.bank.recent) == ([] if doubtful else [1, 2, 3])


def test_masks_that_are_not_kept_apart_are_remembered_as_they_are(toy):
    session = open_scene(toy, memory_policy="cells", cleaning=Cleaning(separate=False))
    session.set_prompts([PointPrompt(0, 1, *STILL_YX), PointPrompt(0, 2, *STILL_YX)])
    results = list(session.propagate(last=3))
    assert all(r.doubtful == () and len(r.masks) == 2 for r in results)
    assert sorted(session._objects[2].followed.bank.recent) == [1, 2, 3]


def test_anchors_of_the_policy_are_looked_at(toy):
    scene = Scene(toy, (320, 420), [((CENTER, CENTER), 13)] * 40, memory_policy=MemoryPolicy(anchors=2, anchor_every=8))
    run(scene.session)
    assert toy.log[-1][1] == [0, 24, 32, *range(33, 39)]


@pytest.mark.parametrize(("policy", "recent"), [("cells", [6, 7, 8]), ("original", [3, 4, 5, 6, 7, 8])])
def test_by_the_rules_for_cells_three_recent_frames_are_looked_at(toy, policy, recent):
    scene = Scene(toy, (320, 420), [((CENTER, CENTER), 13)] * 10, memory_policy=policy)
    run(scene.session)
    *_, last = (frames for what, frames, _ in toy.log if what == "track")
    assert last == [0, *recent]
