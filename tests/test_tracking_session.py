"""The session with the bundled model on small synthetic movies: prompts, propagation, corrections, memory."""

import numpy as np
import pytest

from napari_sam2.errors import PromptError, PropagationError
from napari_sam2.evaluation.overlap import measure_overlap, true_clicks
from napari_sam2.models import load_model
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt
from napari_sam2.synthetic import MovieSpec, render_movie
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.video import Video

SPEC = MovieSpec(
    seed=11,
    num_frames=10,
    shape_yx=(160, 180),
    diameter=30,
    num_cells=7,
    clustering=0.0,
    division_rate=0.0,
    speed=0.03,
    noise=0.02,
    debris=0,
)


@pytest.fixture(scope="module")
def model():
    return load_model("cell", device="cpu")


@pytest.fixture(scope="module")
def movie():
    return render_movie(SPEC)


@pytest.fixture
def session(model, movie):
    return TrackingSession(Video(movie.frames), model)


@pytest.fixture(scope="module")
def clicks(movie):
    """Clicks on cells that stay in view."""
    stays = [i for i in np.unique(movie.labels[0]) if i and all((frame == i).sum() > 200 for frame in movie.labels)]
    return [c for c in true_clicks(movie.labels[0]) if c.object_id in stays][:3]


def iou(mask, truth):
    full = np.zeros(truth.shape, np.uint8)
    if mask is not None:
        mask.paint(full, 1)
    return (full.astype(bool) & truth).sum() / max(1, (full.astype(bool) | truth).sum())


def collect(session, *args, **kwargs):
    return list(session.propagate(*args, **kwargs))


def test_a_click_gives_the_cell_under_it(session, movie, clicks):
    for click in clicks:
        assert session.set_prompts([click]) >= {(0, click.object_id)}
        mask = session.segment(0, click.object_id)
        assert iou(mask, movie.labels[0] == click.object_id) > 0.5
        assert mask.frame == 0
        assert mask.object_id == click.object_id
        assert 0 <= mask.predicted_iou <= 1
        session.remove_object(click.object_id)


def test_forward_follows_every_object_through_every_frame(session, movie, clicks):
    session.set_prompts(clicks)
    assert session.plan("forward") == 10
    results = collect(session, "forward")
    assert [r.frame for r in results] == list(range(10))
    labels = np.stack([session.labels(t) for t in range(10)])
    assert measure_overlap(movie.labels, labels, [c.object_id for c in clicks]).movie > 0.5
    for result in results:
        assert np.array_equal(
            session.labels(result.frame) > 0, np.isin(session.labels(result.frame), session.object_ids)
        )
        assert {m.object_id for m in result.masks} | set(result.absent) == set(session.object_ids)


def test_each_object_starts_at_its_own_prompt_in_both_directions(session, movie, clicks):
    second = next(c for c in true_clicks(movie.labels[5], frame=5) if c.object_id == clicks[1].object_id)
    session.set_prompts([clicks[0], second])
    assert session.plan("both") == 10 + 5
    results = collect(session, "both")
    assert [r.frame for r in results] == [*range(10), 4, 3, 2, 1, 0]
    assert session.masklets[clicks[0].object_id].frames[0] == 0
    assert session.masklets[second.object_id].frames == tuple(range(10))
    assert {m.object_id for m in results[2].masks} == {clicks[0].object_id}
    assert {m.object_id for m in results[-1].masks} == {second.object_id}


def test_bounds_limit_the_frames(session, clicks):
    session.set_prompts([clicks[0]])
    assert [r.frame for r in collect(session, "forward", last=3)] == [0, 1, 2, 3]
    assert [r.frame for r in collect(session, "forward", first=3, last=5)] == [3, 4, 5]
    late = PointPrompt(6, 9, clicks[0].y, clicks[0].x)
    session.add_prompts(late)
    assert [r.frame for r in collect(session, "backward", object_ids=[9], first=4)] == [6, 5, 4]
    with pytest.raises(PromptError, match="No frames from 8 to 4"):
        session.propagate("forward", first=8, last=4)


def test_the_same_again_gives_the_same_masks(model, movie, clicks):
    runs = []
    for _ in range(2):
        session = TrackingSession(Video(movie.frames), model)
        session.set_prompts(clicks)
        collect(session, "forward", last=4)
        runs.append(np.stack([session.labels(t) for t in range(5)]))
    assert np.array_equal(*runs)


def test_boxes_and_masks_are_prompts_too(session, movie, clicks):
    first, second = (c.object_id for c in clicks[:2])
    ys, xs = np.nonzero(movie.labels[0] == first)
    box = BoxPrompt(0, first, float(ys.min()), float(xs.min()), float(ys.max()), float(xs.max()))
    given = MaskPrompt(0, second, movie.labels[0] == second)
    session.set_prompts([box, given])
    assert iou(session.segment(0, first), movie.labels[0] == first) > 0.5
    assert iou(session.segment(0, second), given.mask) == 1
    collect(session, "forward", last=2)
    assert iou(session.masklets[second][0], given.mask) == 1, "a painted mask stays as it was painted"
    assert iou(session.masklets[second][2], movie.labels[2] == second) > 0.5


def test_a_correction_holds(model, movie, clicks):
    """The hardest one there is: the object was another cell all along."""
    object_id, other = clicks[0].object_id, clicks[1].object_id
    session = TrackingSession(Video(movie.frames), model, restart_at_prompts=True)
    session.set_prompts([clicks[0]])
    collect(session, "forward")
    session.add_prompts(MaskPrompt(6, object_id, movie.labels[6] == other))
    session.segment(6, object_id)
    collect(session, "forward")
    assert iou(session.masklets[object_id][6], movie.labels[6] == other) == 1
    assert iou(session.masklets[object_id][7], movie.labels[7] == other) > 0.5, "later frames follow the correction"


def test_a_corrective_click_on_a_tracked_frame_uses_memory_and_is_kept(session, movie, clicks):
    click = clicks[0]
    session.set_prompts([click])
    collect(session, "forward")
    before = session.masklets[click.object_id][7]
    y, x = before.centroid
    session.add_prompts(PointPrompt(7, click.object_id, y, x))
    corrected = session.segment(7, click.object_id)
    assert iou(corrected, movie.labels[7] == click.object_id) > 0.5
    collect(session, "forward")
    kept = session.masklets[click.object_id][7]
    assert (kept.box, kept.area) == (corrected.box, corrected.area)


def test_rebuilt_memory_serves_a_correction_as_well_as_memory_that_was_kept(model, movie, clicks):
    """The bounded bank has forgotten frames 5 to 10 by the end of a longer movie; a bank without bounds has not."""
    frames = np.concatenate([movie.frames, movie.frames[::-1], movie.frames])
    object_id = clicks[0].object_id
    masks = {}
    for bounded in (True, False):
        session = TrackingSession(Video(frames), model)
        session.set_prompts([clicks[0]])
        followed = session._objects[object_id].followed
        if not bounded:
            keep_everything(followed.bank)
        collect(session, "forward")
        has_frame = {t for t, m in followed.bank.recent.items() if m.features is not None}
        assert (10 in has_frame) == (not bounded)
        y, x = session.masklets[object_id][11].centroid
        session.add_prompts(PointPrompt(11, object_id, y + 3, x))
        masks[bounded] = session.segment(11, object_id)
    kept = np.zeros(frames.shape[1:], np.uint8)
    masks[False].paint(kept, 1)
    assert iou(masks[True], kept.astype(bool)) > 0.9


def keep_everything(bank):
    add = bank.add

    def add_and_keep(frame, memory, *, prompted):
        before = dict(bank.recent)
        add(frame, memory, prompted=prompted)
        bank.recent.update({t: old for t, old in before.items() if t != frame and t not in bank.prompted})

    bank.add = add_and_keep


def test_masks_do_not_overlap(session, clicks):
    twice = PointPrompt(0, 99, clicks[0].y + 1, clicks[0].x + 1)
    session.set_prompts([*clicks, twice])
    for result in collect(session, "forward", last=2):
        total = np.zeros(session.video.shape_yx, int)
        for mask in result.masks:
            layer = np.zeros_like(total)
            mask.paint(layer, 1)
            total += layer
        assert total.max() == 1


def test_stopping_keeps_what_is_done_and_going_on_works(session, clicks):
    session.set_prompts([clicks[0]])
    frames = session.propagate("forward")
    for _ in range(4):
        next(frames)
    frames.close()
    assert session.masklets[clicks[0].object_id].frames == (0, 1, 2, 3)
    collect(session, "forward", first=4)
    assert session.masklets[clicks[0].object_id].frames == tuple(range(10))


def test_changed_prompts_are_reported_and_removed_ones_forgotten(session, clicks):
    a, b = clicks[:2]
    assert session.set_prompts([a, b]) == {(0, a.object_id), (0, b.object_id)}
    assert session.set_prompts([a, b]) == set()
    session.segment(0, a.object_id)
    session.segment(0, b.object_id)
    assert session.set_prompts([a]) == {(0, b.object_id)}
    assert session.object_ids == (a.object_id,)
    assert b.object_id not in session.masklets


def test_propagated_masks_survive_the_loss_of_their_prompt(session, clicks):
    session.set_prompts([clicks[0]])
    collect(session, "forward", last=3)
    session.set_prompts([])
    assert session.masklets[clicks[0].object_id].frames == (0, 1, 2, 3)
    session.remove_object(clicks[0].object_id)
    assert session.masklets == {}


def test_bad_prompts_change_nothing(session, clicks):
    session.set_prompts([clicks[0]])
    session.segment(0, clicks[0].object_id)
    for bad, message in (
        (PointPrompt(0, 2, 900, 5), "outside the image of 160 x 180"),
        (PointPrompt(55, 2, 5, 5), "frames 0 to 9"),
        (PointPrompt(0, 2, 5, 5, positive=False), "object 2"),
        (MaskPrompt(0, 2, np.zeros((160, 180), bool)), "empty"),
    ):
        with pytest.raises(PromptError, match=message):
            session.add_prompts(bad)
    assert session.object_ids == (clicks[0].object_id,)
    assert session.masklets[clicks[0].object_id].frames == (0,)


def test_errors_say_the_way_out(session, clicks, movie, model):
    with pytest.raises(PromptError, match="there are no prompts"):
        session.propagate()
    session.set_prompts([clicks[0]])
    with pytest.raises(PromptError, match="object 77 has no prompts"):
        session.propagate(object_ids=[77])
    with pytest.raises(PromptError, match="expected 'forward', 'backward' or 'both'"):
        session.propagate("sideways")
    with pytest.raises(PromptError, match="no prompt on frame 3"):
        session.segment(3, clicks[0].object_id)
    with pytest.raises(PromptError, match="diameter is -4"):
        TrackingSession(Video(movie.frames), model, diameter=-4)


def test_a_runtime_error_of_the_network_names_the_frame_and_keeps_the_frames_before(session, clicks, monkeypatch):
    import napari_sam2.propagation as propagation

    real = propagation.track

    def fails_at_last(*args, **kwargs):
        if len(session.masklets[clicks[0].object_id]) >= 3:
            raise RuntimeError("out of memory")
        return real(*args, **kwargs)

    monkeypatch.setattr(propagation, "track", fails_at_last)
    session.set_prompts([clicks[0]])
    with pytest.raises(PropagationError, match=r"failed on frame 3 \(out of memory\). The masks found so far are kept"):
        collect(session, "forward")
    assert session.masklets[clicks[0].object_id].frames == (0, 1, 2)


def test_state_is_bounded_but_for_the_masklets(model, movie, clicks):
    frames = np.concatenate([movie.frames, movie.frames[::-1]] * 2)
    session = TrackingSession(Video(frames), model, diameter=30)
    session.set_prompts(clicks[:1])
    sizes = [len(session._objects[clicks[0].object_id].followed.bank) for _ in session.propagate("forward")]
    assert max(sizes) <= 16
    assert session._follower.encoder._cache.nbytes <= session._follower.encoder._cache.budget
