"""What is stored is what is read again."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2.api import open_session
from napari_sam2.cleaning import Cleaning
from napari_sam2.confidence import Signs
from napari_sam2.followed_object import PromptedFrame
from napari_sam2.frame_record import Answer, FrameRecord
from napari_sam2.masklets import FrameMask
from napari_sam2.memory_policy import MemoryPolicy
from napari_sam2.prompts import BoxPrompt, MaskPrompt, ObjectPrompts, PointPrompt
from napari_sam2.runs import Run
from napari_sam2.session_files import schema, values
from napari_sam2.session_files.database import Database
from napari_sam2.session_files.store import SessionStore, read_meta
from napari_sam2.session_files.stored_masklet import StoredMasklet
from napari_sam2.session_settings import SessionSettings
from sam2_torch.outputs import MaskPrediction
from sam2_torch.windows import Window
from toy_scene import FAST, STILL, STILL_YX, click, truth
from toy_session import again, begin, movie, shown

SHAPE, NUM_FRAMES = (20, 30), 9
ids, frames = st.integers(1, 2**32 - 1), st.integers(0, NUM_FRAMES - 1)
ys, xs = st.floats(-0.5, 19, width=64), st.floats(-0.5, 29, width=64)
positive = st.floats(0, 1e6, width=32)
signs = st.builds(
    Signs, st.none() | positive, st.none() | positive, st.floats(0, 1, width=32), st.none() | ids, st.booleans()
)


@st.composite
def masks(draw):
    mask = np.random.default_rng(draw(st.integers(0, 99))).random(SHAPE) < draw(st.sampled_from([0.002, 0.5, 1.0]))
    mask[draw(st.integers(0, 19)), draw(st.integers(0, 29))] = True
    return mask


@st.composite
def prompts(draw, object_id, frame):
    points = [PointPrompt(frame, object_id, y, x, p) for y, x, p in draw(st.lists(st.tuples(ys, xs, st.booleans())))]
    box = draw(st.none() | st.builds(lambda y, x: BoxPrompt(frame, object_id, y, x, y + 0.25, x + 0.25), ys, xs))
    mask = draw(st.none() | masks().map(lambda m: MaskPrompt(frame, object_id, m)))
    return ObjectPrompts((*points, PointPrompt(frame, object_id, 1, 2)), box, mask)


def prediction(seed, side):
    rng = torch.Generator().manual_seed(seed)
    logits, iou = torch.randn(1, 1, side, side + 4, generator=rng), torch.rand(1, generator=rng)
    pointer = torch.randn(1, 8, generator=rng)
    return MaskPrediction(logits, iou, torch.randn(1, generator=rng), pointer, logits, iou[:, None])


@st.composite
def records(draw, object_id, frame):
    given_prompts = draw(st.none() | prompts(object_id, frame))
    answer = prompted = None
    if given_prompts is not None and draw(st.booleans()):
        count = draw(st.integers(0, len(given_prompts.points)))
        sources = draw(st.frozensets(frames))
        step, was_tracked = draw(st.sampled_from([None, 1, -1])), draw(st.booleans())
        answered = replace(given_prompts, points=given_prompts.points[:count])
        answer = Answer(answered, step, sources, was_tracked)
        prompted = PromptedFrame(Window(-3, 5, 40, 50, (128, 160)), prediction(draw(st.integers(0, 9)), 8))
    diameter = draw(st.none() | st.floats(1, 999)) if answer else None
    score = draw(st.floats(-9, 9))
    mask = draw(st.none() | masks())
    shown_mask = (
        mask
        if mask is None
        else FrameMask.from_full(mask, frame=frame, object_id=object_id, score=score, predicted_iou=score / 9)
    )
    if shown_mask is not None:
        shown_mask = replace(shown_mask, signs=draw(signs))
    absent = mask is None and draw(st.booleans())
    origin = draw(st.none() | st.tuples(st.sampled_from([1, -1]), st.frozensets(frames)))
    approved = shown_mask is not None and draw(st.booleans())
    outdated = draw(st.frozensets(st.sampled_from([1, -1])))
    doubtful = draw(st.booleans())
    return FrameRecord(
        given_prompts, answer, prompted, diameter, shown_mask, absent, origin, doubtful, approved, outdated
    )


def store_in(folder):
    return SessionStore(Database.create(Path(folder) / "s.sam2", schema.create), NUM_FRAMES, SHAPE)


def same_prediction(one, other):
    names = ("logits", "predicted_iou", "object_score", "pointer", "candidates", "candidate_ious")
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in names)


@st.composite
def cases(draw):
    """An object ID, and on some frames two records."""
    object_id, chosen = draw(ids), draw(st.lists(frames, max_size=4, unique=True))
    return object_id, [(t, draw(records(object_id, t)), draw(records(object_id, t))) for t in chosen]


@settings(max_examples=40)
@given(cases())
def test_row34_records_come_back_as_they_were_written(case):
    """Each is written over another one first."""
    object_id, both = case
    with tempfile.TemporaryDirectory() as folder:
        store = store_in(folder)
        for which in (1, 2):
            with store.database.transaction() as connection:
                store.write(connection, [(object_id, row[0], row[which]) for row in both])
        found = store.prompts(torch.device("cpu"), answered=True).get(object_id, {})
        masklet, trail = StoredMasklet(object_id, store), dict(store.trail(object_id))
        doubtful = store.doubtful().get(object_id, set())
        for t, _, wrote in both:
            read = found.get(t, FrameRecord())
            assert read.prompts == wrote.prompts
            assert read.answer == wrote.answer
            assert read.diameter == wrote.diameter
            assert (read.prompted is None) == (wrote.prompted is None)
            if wrote.prompted is not None:
                assert read.prompted.window == wrote.prompted.window
                assert same_prediction(read.prompted.prediction, wrote.prompted.prediction)
            assert masklet.get(t) == wrote.mask
            assert (t in masklet) == (wrote.mask is not None)
            assert masklet.is_absent(t) == wrote.is_absent
            assert trail.get(t) == wrote.origin
            assert (t in doubtful) == wrote.is_doubtful
        assert masklet.frames == tuple(sorted(t for t, _, r in both if r.mask is not None))
        assert masklet.absent == tuple(sorted(t for t, _, r in both if r.is_absent))
        assert store.object_ids() == ([object_id] if both else [])
        store.database.close()


policies = st.builds(
    MemoryPolicy,
    st.just(-np.inf) | st.floats(-9, 9),
    st.floats(0, 1),
    st.booleans(),
    st.none() | st.floats(0, 99),
    st.none() | st.floats(1, 99),
    st.integers(0, 9),
    st.integers(1, 99),
)
cleanings = st.builds(Cleaning, st.integers(0, 999), st.integers(0, 999), st.booleans())


@given(st.none() | st.floats(1, 10_000), st.none() | st.integers(1, 99), st.booleans(), policies, cleanings)
def test_row34_settings_come_back_as_they_were(diameter, max_prompted, restart, policy, cleaning):
    known = SessionSettings(diameter, max_prompted, restart, policy, cleaning)
    assert values.settings_from_json(values.settings_to_json(known)) == known


@given(
    st.sampled_from(["forward", "backward", "both"]),
    st.lists(ids).map(tuple),
    st.none() | frames,
    st.none() | st.sampled_from(["first", "last", "before"]),
    st.booleans(),
)
def test_row34_runs_come_back_as_they_were(direction, object_ids, frame, start, is_done):
    run = Run(direction, object_ids, frame, None, frame, start, frame, is_done)
    assert values.run_from_json(values.run_to_json(run)) == run


def test_row34_a_session_comes_back_as_it_was(toy, tmp_path):
    session = begin(toy, tmp_path / "s.sam2", max_prompted=3, cleaning=Cleaning(fill_holes=4))
    session.add_prompts(click(0, 1, FAST), click(4, 7, STILL), MaskPrompt(2, 3, truth()[2] == STILL))
    session.add_prompts(BoxPrompt(6, 3, 170, 310, 210, 350), PointPrompt(0, 1, *STILL_YX, positive=False))
    session.segment(0, 1)
    for result in session.propagate("both"):
        if result.frame == 9:
            break
    session.cleaning = Cleaning(remove_pieces=5)
    before = shown(session)
    session.close()
    opened = again(toy, tmp_path / "s.sam2")
    assert shown(opened) == before
    assert opened.run.frame == 9
    for i, known in opened.objects.items():
        then = session.objects[i]
        assert known.followed.diameter_from == then.followed.diameter_from
        for t in then.frames:
            assert known.record(t).origin == then.record(t).origin
            assert known.record(t).answer == then.record(t).answer
    opened.close()


def test_row34_what_is_removed_stays_removed(toy, tmp_path):
    session = begin(toy, tmp_path / "s.sam2")
    session.add_prompts(click(0, 1, FAST), click(0, 2, STILL))
    for _ in session.propagate("forward"):
        pass
    session.remove_object(1)
    session.set_prompts([])
    before = shown(session)
    session.close()
    opened = again(toy, tmp_path / "s.sam2")
    assert shown(opened) == before
    assert list(opened.masklets) == [2]
    assert opened.object_ids == ()
    opened.remove_object(2)
    assert opened.masklets == {}
    opened.close()
    last = again(toy, tmp_path / "s.sam2")
    assert last.masklets == {}
    last.close()


def test_changes_are_shown_over_what_is_stored_whether_or_not_they_are_stored_too(toy, tmp_path):
    session = begin(toy, tmp_path / "s.sam2")
    session.add_prompts(click(0, 1, FAST))
    for _ in session.propagate("forward", last=6):
        pass
    masks = dict(session.masklets[1])
    session.close()
    opened = again(toy, tmp_path / "s.sam2")
    masklet = opened.masklets[1]
    masklet.remove(2)
    masklet.mark_absent(3)
    masklet.add(replace(masks[4], frame=9))
    masklet.remove(8)
    assert masklet.frames == tuple(masklet) == (0, 1, 4, 5, 6, 9)
    assert masklet.absent == (3,)
    assert len(masklet) == 6
    assert [t for t in range(12) if t in masklet] == [0, 1, 4, 5, 6, 9]
    assert [t for t in range(12) if masklet.is_absent(t)] == [3]
    assert masklet.get(2) is masklet.get(3) is None
    assert masklet[5] == masks[5]
    masklet.load()
    opened.close()
    assert masklet.frames == (0, 1, 4, 5, 6, 9)
    assert masklet.absent == (3,)
    assert masklet[5] == masks[5]


def test_row34_an_object_that_was_only_stored_can_be_put_back(toy, tmp_path):
    session = begin(toy, tmp_path / "s.sam2")
    session.add_prompts(click(0, 1, FAST))
    for _ in session.propagate("forward"):
        pass
    before = shown(session)
    session.close()
    opened = again(toy, tmp_path / "s.sam2")
    known = opened.objects[1]
    opened.remove_object(1)
    opened.objects.put(known)
    assert shown(opened) == before
    opened.close()
    last = again(toy, tmp_path / "s.sam2")
    assert shown(last) == before
    last.close()


def test_row34_the_transforms_of_a_layer_are_kept(toy, tmp_path):
    class Layer:
        data, rgb, name = movie(), False, "cells"
        scale, translate, units, axis_labels = (
            np.array([60, 0.5, 0.5]),
            (0, 3, 4),
            ("second", "um", "um"),
            ("t", "y", "x"),
        )

    session = open_session(Layer(), model=toy, contrast=(0, 1), autosave=tmp_path / "layer.sam2")
    session.close()
    opened = again(toy, tmp_path / "layer.sam2")
    opened.close()
    database = Database.open(tmp_path / "layer.sam2")
    assert read_meta(database)["movie"]["transforms"] == {
        "scale": [60, 0.5, 0.5],
        "translate": [0, 3, 4],
        "units": ["second", "um", "um"],
        "axis_labels": ["t", "y", "x"],
    }
    database.close()


def test_whole_numbers_of_numpy_are_stored_as_whole_numbers(toy, tmp_path):
    """`np.unique` of labels, or a frame of a table, as frames and object IDs."""
    session = begin(toy, tmp_path / "s.sam2")
    one, two, three = np.unique([1, 2, 3])
    session.add_prompts(replace(click(0, 1, FAST), object_id=one, frame=one - 1), click(0, 2, STILL))
    assert session.plan(first=one, count=two) == 2
    asked = {"object_ids": [one, two], "first": one, "last": three}
    assert [r.frame for r in session.propagate(**asked)] == [1, 2, 3]
    assert session.run.asks_for_the_same(Run("forward", (1, 2), 1, 3))
    assert len(list(session.propagate(object_ids=[two], first=one + 3, count=two))) == 2
    session.add_prompts(click(1, 2, STILL))
    for _ in session.update([two]):
        break
    before = shown(session), session.objects.facts.updating
    assert session.objects.facts.updating == {2: False}
    session.close()
    opened = again(toy, tmp_path / "s.sam2")
    assert (shown(opened), opened.objects.facts.updating) == before
    opened.close()
    with pytest.raises(TypeError, match="float"):
        opened.propagate(first=1.5)
