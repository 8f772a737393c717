"""Doubts, and approvals: which masks to look at, and which to leave alone."""

import numpy as np
import pytest
import tifffile

from napari_sam2.api import TrackResult
from napari_sam2.errors import PromptError
from napari_sam2.prompts import MaskPrompt
from test_history import known
from toy_scene import FAST, STILL, STILL_YX, click, discs, open_scene, run, stored, truth
from toy_session import again, begin


@pytest.fixture
def tracked(session):
    session.add_prompts(click(0, 1, FAST), click(0, 2, STILL))
    run(session, last=11)
    return session


# --- doubts ---


def test_confidence_is_told_for_each_frame_with_a_mask(tracked):
    frames, values = tracked.confidence(2)
    assert frames.tolist() == list(range(12))
    assert ((values > 0.85) & (values <= 1)).all()
    with pytest.raises(PromptError, match="there is no object 9"):
        tracked.confidence(9)


def test_a_disc_that_leaps_is_in_doubt_and_the_reason_is_told(tracked):
    # The fast disc moves by more than its diameter from frame to frame.
    doubts = tracked.doubtful()
    assert {doubt.object_id for doubt in doubts} == {1}
    assert {doubt.frame for doubt in doubts} == set(range(1, 12))
    assert [d.confidence for d in doubts] == sorted(d.confidence for d in doubts)
    assert all(doubt.reason.startswith("moved 1.1 diameters") for doubt in doubts)
    assert tracked.doubtful([2]) == ()
    assert tracked.doubtful(below=0.1) == ()


def test_doubts_are_gone_through_in_both_directions(tracked):
    assert tracked.next_doubtful(4).frame == 5
    assert tracked.next_doubtful(4, -1).frame == 3
    assert tracked.next_doubtful(11) is None
    assert tracked.next_doubtful(0, object_ids=[2]) is None


def test_frames_that_were_looked_at_are_in_doubt_no_more(tracked):
    tracked.approve(1, [3, 4])
    tracked.add_prompts(click(6, 1, FAST))
    assert {doubt.frame for doubt in tracked.doubtful()} == {1, 2, 5, 7, 8, 9, 10, 11}
    frames, values = tracked.confidence(1)
    assert values[np.isin(frames, [3, 4])].tolist() == [1, 1]


def test_a_frame_on_which_an_object_got_lost_comes_first(toy):
    session = open_scene(toy, hidden=range(5, 8))
    session.add_prompts(click(0, 1, STILL))
    run(session, last=9)
    worst = session.doubtful()[0]
    assert (worst.frame, worst.confidence, worst.reason) == (5, 0.0, "not found, though it is there on frame 4")


def test_the_worst_mask_is_told_with_the_reason(tracked):
    worst, values = tracked.worst(1), tracked.confidence(1).values
    assert worst == tracked.doubtful([1])[0]
    assert worst.confidence == values.min()
    assert tracked.worst(2).confidence == tracked.confidence(2).values.min()
    tracked.approve(2)
    assert (tracked.worst(2).confidence, tracked.worst(2).reason) == (1, "")
    tracked.add_prompts(click(20, 3, STILL))
    assert tracked.worst(3) is None


def test_painted_masks_are_certain(session):
    session.add_prompts(MaskPrompt(0, 1, truth()[0] == FAST))
    session.segment(0, 1)
    assert session.confidence(1).values.tolist() == [1]


# --- approvals ---


def test_approved_masks_are_not_overwritten_whatever_is_propagated(tracked):
    assert tracked.approve(1, range(3, 6)) == (3, 4, 5)
    before = stored(tracked)[1]
    tracked.set_prompts([click(0, 1, STILL), click(0, 2, STILL)])
    run(tracked, "both", last=11)
    assert [tracked.masklets[1][t] for t in (3, 4, 5)] == [before[t] for t in (3, 4, 5)]
    assert discs(tracked, 1)[2] == STILL
    assert tracked.approved(1) == (3, 4, 5)


def test_an_approved_mask_keeps_its_pixels_against_others(session):
    session.add_prompts(click(0, 1, STILL), click(0, 2, STILL))
    run(session, object_ids=[2], last=5)
    session.approve(2, 4)
    for result in session.propagate(object_ids=[1], last=5):
        if result.frame == 4:
            assert result.empty == (1,)
    assert session.labels(4)[STILL_YX] == 2
    assert session.labels(3)[STILL_YX] == 1, "where masks overlap the smaller ID shows"


@pytest.mark.parametrize("way", ["approved", "painted"])
def test_a_fixed_mask_keeps_its_pixels_whenever_it_became_so(session, tmp_path, way):
    session.add_prompts(click(0, 1, STILL), click(0, 2, STILL))
    for object_id in (1, 2):
        run(session, object_ids=[object_id], last=5)
    if way == "approved":
        session.approve(2, 4)
    else:
        session.add_prompts(MaskPrompt(4, 2, truth()[4] == STILL))
        session.segment(4, 2)
    assert [session.labels(t)[STILL_YX] for t in range(6)] == [1, 1, 1, 1, 2, 1]
    TrackResult(session).save(tmp_path)
    assert (tifffile.imread(tmp_path / "labels.tif")[4] == session.labels(4)).all()
    session.approve(1, 4)
    assert session.labels(4)[STILL_YX] == 1, "among equals the smaller ID shows"


def test_an_approved_mask_is_remembered_as_a_prompted_one(tracked, toy):
    toy.log.clear()
    tracked.approve(2, [2, 9])
    run(tracked, object_ids=[2], last=6)
    looked = [frames for what, frames, _ in toy.log if what == "track"]
    assert looked[0][:3] == [0, 2, 9]
    assert len(looked) == 5, "frames 1, 3, 4, 5, 6"


def test_only_the_nearest_approved_masks_are_remembered(tracked):
    tracked.approve(2)
    tracked.disapprove(2, 6)
    run(tracked, object_ids=[2], first=6, last=6)
    assert set(tracked.objects[2].followed.bank.prompted) == {0, 4, 5, 7, 8}


def test_an_object_can_be_followed_from_approved_masks_alone(tracked):
    tracked.approve(1, 4)
    tracked.set_prompts([click(0, 2, STILL)])
    assert 1 in tracked.object_ids
    assert run(tracked, "both", object_ids=[1], last=8) == [4, 5, 6, 7, 8, 3, 2, 1, 0]
    assert set(discs(tracked).values()) == {FAST}


def test_a_new_prompt_takes_the_approval_back(tracked):
    tracked.approve(1, [3, 4])
    tracked.add_prompts(click(3, 1, STILL))
    tracked.segment(3, 1)
    assert tracked.approved(1) == (4,)
    assert discs(tracked)[3] == STILL


def test_removing_a_prompt_leaves_the_approved_mask_there(tracked):
    tracked.approve(2, 0)
    tracked.set_prompts([click(0, 1, FAST)])
    assert 0 in tracked.masklets[2]
    assert tracked.approved(2) == (0,)


def test_what_was_tracked_from_an_approval_that_is_taken_back_is_not_remembered(tracked):
    tracked.approve(2, 5)
    run(tracked, object_ids=[2], last=11)
    assert tracked.disapprove(2) == (5,)
    assert all(tracked.objects[2].record(t).origin is None for t in range(1, 12) if t != 5)
    assert tracked.masklets[2].frames == tuple(range(12)), "but it is shown"


def test_approvals_can_be_undone_and_done_again(tracked):
    before = known(tracked)
    tracked.approve(1)
    after = known(tracked)
    assert tracked.undo() == "approval of object 1"
    assert known(tracked) == before
    tracked.redo()
    assert known(tracked) == after
    tracked.disapprove(1, 7)
    assert tracked.undo() == "disapproval of object 1"
    assert known(tracked) == after


def test_an_approval_that_makes_no_sense_is_refused(tracked):
    with pytest.raises(PromptError, match="object 1 has no mask on frame 20 to be approved, and was not"):
        tracked.approve(1, [3, 20])
    assert tracked.approved(1) == ()
    with pytest.raises(PromptError, match="there is no object 5"):
        tracked.approve(5)


def test_approvals_and_signs_are_stored(toy, tmp_path):
    session = begin(toy, tmp_path / "s.sam2")
    session.add_prompts(click(0, 1, FAST), click(0, 2, STILL))
    run(session, last=6)
    session.approve(1, [2, 3])
    session.add_prompts(click(5, 2, STILL, 4))
    session.segment(5, 2)
    before, doubts, sure = known(session)[0].keys(), session.doubtful(), session.confidence(1)
    session.close()
    session = again(toy, tmp_path / "s.sam2")
    assert known(session)[0].keys() == before
    assert session.approved(1) == (2, 3)
    assert session.doubtful() == doubts
    assert session.confidence(1).values.tolist() == sure.values.tolist()
    assert session.objects[1].masklet[4].signs.jump == pytest.approx(1.08, abs=0.05)
    run(session, last=6)
    assert session.approved(1) == (2, 3)
    session.close()


# --- absences ---


@pytest.fixture
def lost(toy):
    """A disc that nothing is to be seen of on frames 5 to 7, followed to frame 11."""
    session = open_scene(toy, hidden=range(5, 8))
    session.add_prompts(click(0, 1, STILL))
    run(session, last=11)
    assert session.masklets[1].absent == (5, 6, 7)
    return session


def test_an_absence_is_approved_and_is_in_doubt_no_more(lost):
    assert lost.doubtful()[0].frame == 5
    assert lost.approve(1, [5, 6]) == (5, 6)
    assert lost.approved(1) == (5, 6)
    assert not [doubt for doubt in lost.doubtful() if doubt.frame == 5]
    assert 5 not in lost.confidence(1).frames
    assert lost.approve(1) == (0, 1, 2, 3, 4, 7, 8, 9, 10, 11)
    assert lost.disapprove(1) == tuple(range(12))
    assert lost.masklets[1].absent == (5, 6, 7)


def test_an_approved_absence_is_not_overwritten_and_the_object_is_found_again(session, toy):
    session.add_prompts(click(0, 1, STILL))
    run(session, last=9)
    shown = session.masklets[1][4]
    session.masklets[1].mark_absent(4)
    session.approve(1, 4)
    toy.log.clear()
    results = list(session.propagate("both", last=9))
    assert [r.absent for r in results if r.frame == 4] == [(1,)]
    assert session.masklets[1].absent == (4,)
    assert set(discs(session).values()) == {STILL} and len(discs(session)) == 9
    assert 4 not in session.objects[1].followed.bank.prompted
    assert 4 not in session.objects[1].starts
    session.disapprove(1, 4)
    run(session, first=4, last=4)
    assert session.masklets[1][4].box == shown.box


def test_a_correction_is_not_carried_on_over_an_approved_absence(lost):
    lost.approve(1, 6)
    lost.add_prompts(click(9, 1, STILL, 4))
    lost.segment(9, 1)
    frames = [result.frame for result in lost.update()]
    assert 7 in frames
    assert not {6, 5, 4} & set(frames)


def test_where_an_object_has_ended_its_absence_is_approved(tracked):
    tracked.end(1, 6)
    with pytest.raises(PromptError, match="no mask on frame 48"):
        tracked.approve(1, 48)
    assert tracked.approve(1, [6, 30]) == (6, 30)
    assert tracked.masklets[1].absent == (6, 30)
    tracked.disapprove(1, 30)
    assert tracked.masklets[1].absent == (6,)
    # Somebody clicks on it after its end, so that it is there again, but for the frame that was approved.
    tracked.add_prompts(click(4, 1, FAST), click(8, 1, FAST))
    run(tracked, object_ids=[1], last=9)
    assert tracked.masklets[1].absent == (6,)
    assert {7, 8, 9} <= set(tracked.masklets[1].frames)


def test_a_prompt_takes_the_approval_of_an_absence_back(lost):
    lost.approve(1, [5, 6])
    lost.add_prompts(click(5, 1, STILL))
    lost.segment(5, 1)
    assert lost.approved(1) == (6,)


def test_approvals_of_absences_can_be_undone_and_done_again(lost):
    before = known(lost)
    lost.approve(1, [4, 5])
    lost.end(1, 9)
    lost.approve(1, 10)
    after = known(lost)
    for name in ("approval of object 1", "end of object 1", "approval of object 1"):
        assert lost.undo() == name
    assert known(lost) == before
    for _ in range(3):
        lost.redo()
    assert known(lost) == after
    assert lost.objects[1].marks.absences == {5, 10}


def test_what_is_approved_moves_along_with_pieces(lost):
    lost.approve(1, [4, 5])
    new = lost.split(1, 5)
    assert (lost.approved(1), lost.approved(new)) == ((4,), (5,))
    assert lost.objects[new].marks.absences == {5}
    lost.merge(1, new)
    assert lost.approved(1) == (4, 5)
    assert lost.objects[1].marks.absences == {5}


def test_approved_absences_are_stored_in_the_format_as_it_was(toy, tmp_path):
    session = begin(toy, tmp_path / "s.sam2")
    session.add_prompts(click(0, 1, FAST))
    run(session, last=6)
    session.end(1, 5)
    session.approve(1, [4, 5, 8])
    before = known(session)[0].keys()
    session.close()
    session = again(toy, tmp_path / "s.sam2")
    assert known(session)[0].keys() == before
    assert session.approved(1) == (4, 5, 8)
    assert session.objects[1].marks.absences == {5, 8}
    assert session.masklets[1].absent == (5, 8)
    session.disapprove(1, [4, 8])
    session.close()
    session = again(toy, tmp_path / "s.sam2")
    assert (session.approved(1), session.masklets[1].absent) == ((5,), (5,))
    session.close()
