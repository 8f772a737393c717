"""What is known to go wrong in the original video predictor, and does not here.

Numbers are of issues of facebookresearch/sam2, unless another repository is named. Of the same kind, in other files:

- a correction's clicks, boxes and masks, box after clicks and clicks after a box (there: box first, in one call):
  test_prompt_steps.py
- everything that changes while a propagation runs, and what goes with a prompt: test_session_edits.py
- the numbers of the original: test_session_numbers.py, parity/
- checkpoints that do not fit (there: an empty RuntimeError): sam2_torch/test_checkpoint.py
- holes are filled without a compiled extension (#53, #131, #243, #613), and what a device gets wrong: with what does it
"""

import ast
import weakref

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from napari_sam2 import frame_encoder, propagation
from napari_sam2.prompts import MaskPrompt, PointPrompt
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.video import Video
from parity.networks import REDUCED, filled
from parity.reference import spec
from toy_scene import FAST, NUM_FRAMES, STILL, STILL_YX, click, discs, iou, open_scene, run, stored, truth

SIZE = 128


@pytest.fixture(scope="module")
def model():
    return filled(REDUCED)


@pytest.fixture
def counted(monkeypatch):
    """How many images and objects each function of the network was given, call by call."""
    calls = {"encode_frame": [], "segment": [], "track": [], "memorize": []}

    def counting(name, real):
        def call(model, first, *args, **kwargs):
            answer = real(model, first, *args, **kwargs)
            calls[name].append(len(first) if name == "encode_frame" else len(answer.pointer))
            return answer

        return call

    for name in calls:
        module = frame_encoder if name == "encode_frame" else propagation
        monkeypatch.setattr(module, name, counting(name, getattr(module, name)))
    return calls


# --- memory ---


def test_frames_are_read_when_they_are_needed_and_let_go_264_196_288_545_258_653_623(toy, monkeypatch):
    """There: all frames as float32, or float64 with the asynchronous loader, before anything starts."""
    read, alive, peak, real = [], set(), [], Video.part

    def part(video, t, rows, columns):
        pixels = real(video, t, rows, columns)
        read.append(t)
        alive.add(t)
        weakref.finalize(pixels, alive.discard, t)
        peak.append(len(alive))
        return pixels

    monkeypatch.setattr(Video, "part", part)
    session = open_scene(toy)
    assert read == []
    session.set_prompts([click(0, 1, STILL), click(0, 2, FAST)])
    run(session)
    assert read == list(range(NUM_FRAMES)), "each once, for all objects"
    assert max(peak) <= 3, "this one, the one before, and one that may be read ahead"


def test_what_is_kept_does_not_grow_with_the_movie_264_196_288_545_258_653(toy):
    """There: 0.75 MiB an object and a frame, for ever."""
    session = open_scene(toy)
    session.set_prompts([click(0, 1, STILL), click(0, 2, FAST)])
    sizes = []
    for _ in session.propagate("both"):
        kept = [session._objects[i].followed for i in (1, 2)]
        memories = [m for one in kept for m in (*one.bank.prompted.values(), *one.bank.recent.values())]
        features = sum(m.features.untyped_storage().nbytes() for m in memories if m.features is not None)
        cache = session._follower.encoder._cache
        sizes.append((len(memories), features, cache.nbytes <= cache.budget))
    assert max(size for size, _, _ in sizes[20:]) == sizes[20][0] == 2 * 16
    assert max(size for _, size, _ in sizes[20:]) == sizes[20][1]
    assert all(within for _, _, within in sizes)
    assert session.masklets[1].nbytes < 200 * NUM_FRAMES, "masks are kept as bits of their bounding boxes"


def test_prompted_memories_may_be_bounded_too(toy):
    """There: unbounded, each frame slower with each prompt; a limit of one fails an assertion (#321)."""
    for limit in (1, 2, 3):
        session = open_scene(toy, max_prompted=limit)
        session.set_prompts([click(t, 1, STILL) for t in range(0, 16, 3)])
        toy.log.clear()
        run(session, last=15)
        tracked = [frames for what, frames, _ in toy.log if what == "track"]
        assert max(len(frames) for frames in tracked) <= limit + 6
        assert discs(session) == dict.fromkeys(range(16), STILL)


def test_frames_looked_at_before_are_not_encoded_again(model, counted):
    """There: the features of one frame are kept, so clicks on two frames in turn encode each time."""
    session = TrackingSession(Video(np.stack([spec.frame(t, SIZE) for t in range(4)]), contrast=(0, 255)), model)
    for dy in range(3):
        for frame in (0, 3):
            session.add_prompts(PointPrompt(frame, 1, 40 + dy, 37))
            session.segment(frame, 1)
    assert len(counted["encode_frame"]) == 2
    run(session)
    assert len(counted["encode_frame"]) == 4
    cache = session._follower.encoder._cache
    assert cache.nbytes == 4 * cache.get(0, session._objects[1].followed.window).nbytes <= cache.budget


# --- corrections and directions ---


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_correction_on_a_tracked_frame_holds_731_719_321(session, direction):
    """There: kept as a tracked frame, it is overwritten by the next propagation."""
    start, end = (0, 10) if direction == "forward" else (10, 0)
    session.set_prompts([click(start, 1, STILL)])
    run(session, direction, last=10)
    session.add_prompts(click(5, 1, FAST))
    corrected = session.segment(5, 1)
    for _ in range(2):
        run(session, direction, last=10)
        assert session.masklets[1][5] == corrected
        assert discs(session) == {t: STILL if abs(t - start) < 5 else FAST for t in range(11)}
    run(session, "both", last=10)
    assert session.masklets[1][5] == corrected, "whichever way it is propagated over"
    assert discs(session)[end] in (STILL, FAST)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_memories_around_a_correction_can_be_left_out_571_625(toy, direction):
    """There: `clear_non_cond_mem_around_input` calls a method that does not exist."""
    session = open_scene(toy, restart_at_prompts=True)
    start, step = (0, 1) if direction == "forward" else (10, -1)
    session.set_prompts([click(start, 1, STILL), click(0, 2, FAST)])
    run(session, direction, last=10)
    session.add_prompts(click(5, 1, FAST))
    session.segment(5, 1)
    toy.log.clear()
    run(session, direction, object_ids=[1], last=10)
    looked_at = [frames for what, frames, _ in toy.log if what == "track"]
    prompted = sorted([start, 5])
    assert looked_at[4:] == [prompted + [5 + step * k for k in range(1, n)] for n in range(1, 6)]
    assert looked_at[3] == prompted + [start + step * k for k in range(1, 4)], "up to it, all is as ever"


def test_each_object_starts_at_its_own_prompt_253_638_and_muggled_sam_33(session, toy):
    """There: all start at the earliest prompt of any, and pick up something else before their own."""
    session.set_prompts([click(1, 1, STILL), click(5, 2, FAST)])
    run(session, "forward", last=8)
    assert session.masklets[1].frames == tuple(range(1, 9))
    assert session.masklets[2].frames == tuple(range(5, 9))
    run(session, "backward", last=8)
    assert discs(session, 2) == dict.fromkeys(range(9), FAST), "the frames before are tracked when they are asked for"
    assert session.masklets[1].frames == tuple(range(9))


def test_a_range_has_the_frames_it_names(session):
    """There: N frames to track are N + 1 frames."""
    session.set_prompts([click(2, 1, STILL)])
    assert run(session, "forward", first=3, last=6) == [3, 4, 5, 6]
    assert run(session, "forward", first=5, last=5) == [5]
    assert run(session, "both", first=1, last=3) == [2, 3, 1]
    assert session.plan("both", first=1, last=3) == 3
    assert session.masklets[1].frames == tuple(range(1, 7))


# --- objects ---


def test_objects_share_encoded_frames_and_run_as_one_batch_382_636_593_367(model, counted):
    """There: the time is linear in the number of objects, each is tracked by itself."""
    session = TrackingSession(Video(np.stack([spec.frame(t, SIZE) for t in range(4)]), contrast=(0, 255)), model)
    session.set_prompts([PointPrompt(0, i, 10.0 * i, 10.0 * i) for i in range(1, 11)])
    run(session)
    assert counted["encode_frame"] == [1] * 4
    assert counted["track"] == [10] * 3
    assert counted["memorize"] == [10] * 4, "the prompted frame, then the tracked ones"


def test_objects_can_be_added_after_tracking_224_185_249_462(session):
    """There, at first: an error. The others need not be tracked again."""
    session.set_prompts([click(0, 1, STILL)])
    run(session, last=6)
    before = stored(session)[1]
    session.add_prompts(click(4, 2, FAST))
    run(session, "both", object_ids=[2], last=6)
    assert stored(session)[1] == before
    assert discs(session, 2) == dict.fromkeys(range(7), FAST)


def test_an_object_without_prompts_does_not_stop_the_others(session):
    """There: a RuntimeError at the next propagation."""
    session.set_prompts([click(0, 1, STILL), click(0, 2, FAST)])
    run(session, last=3)
    session.set_prompts([click(0, 2, FAST)])
    assert session.object_ids == (2,)
    assert run(session, last=5) == list(range(6))
    assert session.masklets[1].frames == tuple(range(4)), "its masks stay to be seen"


def test_clearing_the_prompts_of_a_frame_leaves_no_memory_of_them(session, toy):
    """There: what they gave stays as a tracked frame, and what was tracked from them stays too."""
    session.set_prompts([click(0, 1, STILL), click(4, 1, FAST)])
    run(session, last=8)
    session.set_prompts([click(0, 1, STILL)])
    bank = session._objects[1].followed.bank
    assert set(bank.prompted) == {0}
    assert not bank.recent
    toy.log.clear()
    run(session, last=8)
    assert not any(4 in frames[:1] for what, frames, _ in toy.log if what == "track")
    assert discs(session) == dict.fromkeys(range(9), STILL)


def test_removing_an_object_drops_all_of_it_and_nothing_else(session):
    """There: every dictionary is numbered anew."""
    session.set_prompts([click(0, 30, STILL), click(0, 7, FAST), click(2, 12, STILL)])
    run(session, last=4)
    before = stored(session)
    kept = {i: session._objects[i].followed.bank for i in (7, 12)}
    session.remove_object(30)
    session.remove_object(30)
    assert session.object_ids == (7, 12)
    assert stored(session) == {i: before[i] for i in (7, 12)}
    assert all(session._objects[i].followed.bank is bank for i, bank in kept.items())
    assert not np.isin(30, session.labels(3))


# --- what is seen ---


def test_a_lost_object_is_absent_and_not_the_whole_frame_242(toy):
    session = open_scene(toy, hidden=range(4, 8))
    session.set_prompts([click(0, 1, STILL)])
    run(session, last=9)
    assert session.masklets[1].absent == (4, 5, 6, 7)
    area = (truth()[0] == STILL).sum()
    assert all(mask.area < 2 * area for mask in session.masklets[1].values())
    assert discs(session)[9] == STILL, "and it is found again"


def test_a_small_object_in_a_large_frame_314(toy):
    """There: many small and similar objects get lost; a frame is 1024 pixels wide, whatever its size. The advice is to
    crop, which is what windows do."""
    ys, xs = np.mgrid[:1200, :1500]
    middles = [(600 + 2 * t, 700 + 3 * t) for t in range(5)]
    frames = np.stack([np.hypot(ys - y, xs - x) < 4.5 for y, x in middles])
    twin = np.hypot(ys - 640, xs - 640) < 4.5
    session = TrackingSession(Video((frames | twin).astype(np.float32), contrast=(0, 1)), toy, diameter=9)
    session.set_prompts([PointPrompt(0, 1, *middles[0])])
    run(session)
    assert all(iou(session.masklets[1].get(t), frames[t]) > 0.7 for t in range(5))


@pytest.mark.parametrize("shape", [(96, 160), (160, 64), (77, 131)])
def test_frames_need_not_be_square_570_and_muggled_sam_12(model, shape):
    """There: the frame is squeezed (as the network was trained), and other code fails on sides that do not fit."""
    ys, xs = np.mgrid[: shape[0], : shape[1]]
    ellipse = np.hypot((ys / shape[0] - 0.5) / 0.3, (xs / shape[1] - 0.4) / 0.25) < 1
    frames = np.stack([np.random.default_rng(t).random(shape, np.float32) for t in range(3)])
    session = TrackingSession(Video(frames, contrast=(0, 1)), model)
    session.set_prompts([MaskPrompt(0, 1, ellipse)])
    run(session)
    prompted = session._objects[1].followed.prompted[0]
    logits, (y, x) = propagation.paste(prompted.prediction.logits[0, 0], prompted.window, shape)
    given = np.zeros(shape, bool)
    given[y : y + logits.shape[0], x : x + logits.shape[1]] = logits.numpy() > 0
    assert (given != ellipse).mean() < 0.01, "what the network is given lies where it was painted"
    for mask in session.masklets[1].values():
        assert mask.box[2] <= shape[0]
        assert mask.box[3] <= shape[1]


def test_the_aspect_of_an_object_is_kept_in_its_window_570(toy):
    session = open_scene(toy, diameter=18)  # two source pixels for one of the mask logits
    session.set_prompts([click(0, 1, STILL)])
    y0, x0, y1, x1 = session.segment(0, 1).box
    assert abs((y1 - y0) - (x1 - x0)) <= 2


def test_a_mask_of_several_pieces_is_one_object_and_several_masks_are_several_147_327(session):
    both = truth()[0] > 0
    session.set_prompts([MaskPrompt(0, 1, both)])
    assert iou(session.segment(0, 1), both) == 1
    session.set_prompts([MaskPrompt(0, label, truth()[0] == label) for label in (FAST, STILL)])
    run(session, last=3)
    assert discs(session, FAST) == dict.fromkeys(range(4), FAST)
    assert discs(session, STILL) == dict.fromkeys(range(4), STILL)


def test_the_mask_given_is_the_mask_shown_479(session, model):
    """There: it comes back from a quarter of the resolution, and what is smaller than a pixel there is lost."""
    speck = np.zeros(truth().shape[1:], bool)
    speck[STILL_YX[0], STILL_YX[1] : STILL_YX[1] + 2] = True
    session.set_prompts([MaskPrompt(0, 1, speck)])
    assert iou(session.segment(0, 1), speck) == 1
    next(session.propagate())
    assert iou(session.masklets[1][0], speck) == 1
    whole = TrackingSession(Video(np.stack([spec.frame(t, SIZE) for t in range(2)]), contrast=(0, 255)), model)
    whole.set_prompts([MaskPrompt(0, 1, speck[100:228, 250:378])])
    assert iou(whole.segment(0, 1), speck[100:228, 250:378]) == 1


# --- the rest ---


def test_the_length_of_the_movie_does_not_change_the_masks(model):
    """There: distances of pointers are divided by the number of frames, where that is below 16."""
    frames = np.stack([spec.frame(t, SIZE) for t in range(9)])
    results = []
    for length in (5, 9):
        session = TrackingSession(Video(frames[:length], contrast=(0, 255)), model)
        session.set_prompts([PointPrompt(0, 1, 40, 37)])
        run(session, last=4)
        results.append(stored(session))
    assert results[0] == results[1]


class NoDoubles(TorchDispatchMode):
    """Notes every operation that makes a tensor of float64."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        answer = func(*args, **kwargs or {})
        made = answer if isinstance(answer, (tuple, list)) else [answer]
        if any(isinstance(x, torch.Tensor) and x.dtype == torch.float64 for x in made):
            self.found.add(str(func))
        return answer


def test_nothing_is_computed_in_float64_487_687(model):
    """There: the asynchronous loader makes frames of float64, which an Apple GPU does not know."""
    frames = np.stack([spec.frame(t, SIZE) for t in range(3)]).astype(np.float64)
    with NoDoubles() as mode:
        session = TrackingSession(Video(frames, contrast=(0, 255)), model)
        session.set_prompts([PointPrompt(0, 1, 40, 37), MaskPrompt(1, 2, frames[1, :, :, 0] > 200)])
        run(session, "both")
        session.add_prompts(PointPrompt(2, 1, 42, 37))
        session.segment(2, 1)
    assert mode.found == set()


def test_nothing_is_written_to_the_terminal(model, capfd):
    """There: progress bars that cannot be turned off."""
    session = TrackingSession(Video(np.stack([spec.frame(t, SIZE) for t in range(3)]), contrast=(0, 255)), model)
    session.set_prompts([PointPrompt(0, 1, 40, 37)])
    session.segment(0, 1)
    run(session, "both")
    assert capfd.readouterr() == ("", "")


def test_progress_bars_are_for_the_terminal_alone(repository):
    """There: tqdm in the middle of the predictor."""
    users = set()
    for path in [*(repository / "src").rglob("*.py"), *(repository / "model").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] == "tqdm" for name in names):
                users.add(path.stem.split("_")[0])
    assert users <= {"cli", "terminal"}
