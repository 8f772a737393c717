"""Whatever is done to a session can be undone and done again; edits of whole objects among it."""

import gc
import os
import signal
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from napari_sam2.errors import HistoryError, SessionError
from napari_sam2.prompts import BoxPrompt, MaskPrompt
from toy_scene import FAST, STILL, click, discs, open_scene, run, truth
from toy_session import again, begin, shown


def known(session):
    """All that a session knows, to be compared."""
    names = (
        "prompts",
        "answer",
        "prompted",
        "mask",
        "is_absent",
        "origin",
        "is_doubtful",
        "is_approved",
        "outdated",
        "diameter",
    )
    found = {}
    for i, one in session.objects.items():
        for t in one.frames:
            record = one.record(t)
            found[i, t] = {name: getattr(record, name) for name in names}
    return found, set(session.objects), session.objects.facts, session.run


def name_of_next(session):
    return session.history.undo_name


# --- what is one step ---


def test_all_frames_of_a_propagation_are_one_step_also_when_it_is_stopped(session):
    session.add_prompts(click(0, 1, FAST), click(0, 2, STILL))
    before = known(session)
    run(session, "both", last=9)
    through = known(session)
    for result in session.propagate(first=10):
        if result.frame == 13:
            break
    stopped = known(session)
    assert session.undo() == "propagation"
    assert known(session) == through
    assert session.undo() == "propagation"
    assert known(session) == before
    assert session.redo() == session.redo() == "propagation"
    assert known(session) == stopped
    assert not session.can_redo
    assert next(session.resume()).frame == 14, "and it can be taken up again"


def test_two_propagations_one_after_the_other_are_two_steps(session):
    session.add_prompts(click(0, 1, FAST))
    run(session, last=4)
    run(session, first=5, last=8)
    session.undo()
    assert session.masklets[1].frames == (0, 1, 2, 3, 4)


def test_an_edit_while_a_propagation_runs_is_a_step_of_its_own(session):
    session.add_prompts(click(0, 1, STILL))
    for result in session.propagate(last=6):
        if result.frame == 3:
            halfway = known(session)
            session.add_prompts(click(0, 2, FAST))
    assert session.undo() == "propagation"
    assert session.undo() == "click on object 2"
    assert known(session) == halfway
    assert session.undo() == "propagation"
    assert not session.masklets[1]


def test_the_answer_that_follows_belongs_to_its_click(session):
    session.add_prompts(click(0, 1, FAST))
    session.segment(0, 1)
    run(session, last=5)
    before = known(session)
    session.add_prompts(click(4, 1, STILL))
    session.segment(4, 1)
    assert session.undo() == "click on object 1"
    assert known(session) == before
    session.redo()
    assert discs(session)[4] == STILL
    session.undo(), session.undo(), session.undo()
    assert (dict(session.objects), session.can_undo) == ({}, False)


def test_an_answer_to_earlier_prompts_is_a_step_of_its_own(session):
    session.add_prompts(click(0, 1, FAST))
    session.add_prompts(click(0, 2, STILL))
    session.segment(0, 1)
    assert session.undo() == "answer for object 1"
    assert session.object_ids == (1, 2)


def test_what_changes_nothing_is_no_step_and_leaves_what_was_undone(session):
    session.add_prompts(click(0, 1, FAST))
    session.segment(0, 1)
    session.add_prompts(click(0, 2, STILL))
    session.undo()
    session.set_prompts([click(0, 1, FAST)])
    session.segment(0, 1)
    session.remove_object(9)
    assert session.can_redo
    assert session.undo() == "click on object 1"


def test_steps_have_names(session):
    def name(*prompts):
        session.add_prompts(*prompts)
        return name_of_next(session)

    assert name_of_next(session) is None
    assert name(click(0, 3, FAST)) == "click on object 3"
    assert name(click(0, 3, FAST, 2)) == "click on object 3"
    assert name(BoxPrompt(0, 4, 170, 310, 210, 350)) == "box on object 4"
    assert name(MaskPrompt(2, 5, truth()[2] == FAST)) == "painted mask on object 5"
    assert name(click(3, 3, FAST), click(3, 5, STILL)) == "prompts of objects 3 and 5"
    session.set_prompts([p for p in session.objects.all_prompts() if p.object_id != 4])
    assert name_of_next(session) == "prompts of object 4"
    run(session, last=6)
    assert name_of_next(session) == "propagation"
    session.remove_object(3)
    assert name_of_next(session) == "removal of object 3"
    new_id = session.split(5, 4)
    assert name_of_next(session) == "split of objects 5 and 6"
    session.merge(5, new_id)
    assert name_of_next(session) == "merge of objects 5 and 6"


# --- undo and redo ---


def test_an_edit_after_undo_leaves_nothing_to_do_again(session):
    session.add_prompts(click(0, 1, FAST))
    session.undo()
    session.add_prompts(click(0, 2, FAST))
    assert not session.can_redo
    with pytest.raises(HistoryError, match="nothing to redo: ask `can_redo` first"):
        session.redo()


def test_nothing_is_undone_while_a_propagation_runs(session):
    session.add_prompts(click(0, 1, FAST))
    frames = session.propagate()
    assert session.can_undo, "it has not begun"
    next(frames)
    before = known(session)
    assert not session.can_undo
    for way in (session.undo, session.redo):
        with pytest.raises(HistoryError, match=r"a propagation is under way.*frames\.close"):
            way()
    assert known(session) == before
    frames.close()
    assert session.undo() == "propagation"


def test_a_correction_that_tells_the_diameter_anew_gives_the_old_one_back(toy):
    session = open_scene(toy, diameter=None)
    session.add_prompts(click(0, 1, FAST))
    session.segment(0, 1)
    told = session.objects[1].followed
    before = told.diameter, told.diameter_from
    assert before == (told.diameter, 0)
    session.add_prompts(BoxPrompt(3, 1, 10, 10, 110, 110))
    session.segment(3, 1)
    assert told.diameter_from == 3
    session.undo()
    assert (told.diameter, told.diameter_from) == before


def test_after_undo_a_propagation_gives_what_it_gave(session):
    session.add_prompts(click(0, 1, FAST), click(2, 2, STILL))
    run(session, "both", last=12)
    masks = shown(session)[1]
    session.add_prompts(click(6, 1, STILL))
    run(session, "both", last=12)
    assert shown(session)[1] != masks
    session.undo(), session.undo()
    run(session, "both", last=12)
    assert shown(session)[1] == masks


# --- what it takes ---


def test_the_oldest_steps_go_when_there_are_too_many_bytes(session):
    session.history.max_bytes = 40_000
    for object_id in range(1, 100):
        session.add_prompts(click(0, object_id, STILL))
    assert session.history.nbytes <= 40_000
    undone = 0
    while session.can_undo:
        session.undo()
        undone += 1
    assert 5 < undone < 60
    assert session.history.nbytes <= 40_000
    assert session.object_ids[:3] == (1, 2, 3), "what was dropped stays done"


def test_a_propagation_that_takes_too_much_cannot_be_undone_by_half(session):
    session.add_prompts(click(0, 1, FAST))
    session.history.max_bytes = 2_000
    run(session, last=30)
    assert not session.can_undo
    session.history.max_bytes = 10**6
    session.add_prompts(click(0, 2, STILL))
    session.undo()
    assert not session.can_undo
    assert len(session.masklets[1]) == 31


def test_the_history_can_be_off(toy):
    session = open_scene(toy, history_bytes=0)
    assert not session.logs, "nobody listens"
    session.add_prompts(click(0, 1, FAST))
    assert not session.can_undo
    with pytest.raises(HistoryError, match=r"nothing to undo; the history is off \(history_bytes=0\)"):
        session.undo()


def test_the_history_does_not_keep_the_session_alive(toy):
    session = open_scene(toy)
    session.add_prompts(click(0, 1, FAST))
    run(session, last=3)
    session.remove_object(1)
    gc.collect()
    gc.disable()
    try:
        gone = weakref.ref(session)
        del session
        assert gone() is None
    finally:
        gc.enable()


# --- in stored sessions ---


def test_an_undone_state_is_what_is_stored(toy, tmp_path):
    session = begin(toy, tmp_path / "s.sam2")
    session.add_prompts(click(0, 1, FAST), click(0, 2, STILL))
    run(session, last=5)
    before = shown(session)
    session.remove_object(1)
    run(session, last=8)
    session.undo(), session.undo()
    assert shown(session) == before
    session.close()
    assert not session.can_undo
    session = again(toy, tmp_path / "s.sam2")
    assert shown(session) == before
    assert not session.can_undo, "opening it is no step"
    session.remove_object(2)
    session.undo()
    assert shown(session) == before
    session.close()


KILLED = """
import os, signal, sys
import pytest
from toy_model import ToyModel
from toy_scene import FAST, STILL, click, run
from toy_session import begin
session = begin(ToyModel().install(pytest.MonkeyPatch()), sys.argv[1])
session.add_prompts(click(0, 1, FAST), click(0, 2, STILL))
run(session, last=4)
session.end(2, 3)
session.split(1, 2)
session.undo()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_session_killed_after_undo_opens_as_it_was_then(toy, tmp_path):
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = os.environ | {"PYTHONPATH": paths}
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "s.sam2")], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    session = again(toy, tmp_path / "s.sam2")
    assert session.masklets[1].frames == (0, 1, 2, 3, 4)
    assert session.masklets[2].frames == (0, 1, 2)
    assert (set(session.objects), session.next_object_id) == ({1, 2}, 4), "3 was the piece split off"
    run(session, "forward", first=5, last=7)
    assert session.masklets[1].frames[-1] == 7
    assert session.masklets[2].frames[-1] == 2, "it has ended"
    session.close()


def test_a_session_that_can_only_be_looked_at_is_not_undone(toy, tmp_path):
    session = begin(toy, tmp_path / "s.sam2")
    session.add_prompts(click(0, 1, FAST))
    session.close()
    session = again(toy, tmp_path / "s.sam2", read_only=True)
    with pytest.raises(SessionError, match="can only be looked at"):
        session.remove_object(1)
    assert not session.can_undo
    assert set(session.objects) == {1}
    session.close()
