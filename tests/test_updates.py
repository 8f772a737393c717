"""A correction is carried on to the frames that it can change, and no further."""

import pytest

from napari_sam2.errors import PromptError
from napari_sam2.prompts import MaskPrompt, PointPrompt
from test_history import known
from toy_scene import FAST, STILL, STILL_YX, click, discs, open_scene, run, stored, truth
from toy_session import again, begin


def update(session, *args):
    return [result.frame for result in session.update(*args)]


def confused(session, at, until):
    """Object 1 is on the fast disc, but for frames `at` to `until`, where masks of the still one were accepted."""
    session.add_prompts(click(0, 1, FAST), click(0, 2, STILL))
    run(session, last=15)
    for t in range(at, until + 1):
        record, wrong = session.objects[1].record(t), session.objects[2].masklet[t]
        session.objects[1].restore(t, type(record)(mask=_of(wrong, 1), origin=record.origin))
    assert {t for t, disc in discs(session).items() if disc == STILL} == set(range(at, until + 1))


def _of(mask, object_id):
    return type(mask)(mask.frame, object_id, mask.box, mask.crop, mask.score, mask.predicted_iou)


def test_nothing_is_done_if_nothing_has_changed(session):
    session.add_prompts(click(0, 1, FAST))
    run(session, last=9)
    assert session.changed_ids == ()
    assert update(session) == []
    assert session.history.undo_name == "propagation"


def test_a_correction_goes_on_until_new_masks_agree_with_the_old(session):
    with session.logs.step("undo"):
        confused(session, 4, 8)
    session.add_prompts(click(6, 1, FAST))
    session.segment(6, 1)
    assert session.changed_ids == (1,)
    others = stored(session)[2]
    assert update(session) == [7, 8, 9, 10, 11, 5, 4, 3, 2, 1]
    assert set(discs(session).values()) == {FAST}
    assert stored(session)[2] == others
    assert session.changed_ids == ()


def test_a_correction_stops_at_frames_that_are_approved(session):
    with session.logs.step("undo"):
        confused(session, 4, 8)
    session.approve(1, [8, 4])
    session.add_prompts(click(6, 1, FAST))
    session.segment(6, 1)
    assert update(session) == [7, 5]
    assert discs(session)[8] == discs(session)[4] == STILL


def test_a_correction_stops_at_frames_that_have_prompts(session):
    session.add_prompts(click(0, 1, FAST), click(8, 1, FAST))
    run(session, last=12)
    session.add_prompts(click(4, 1, STILL))
    assert update(session) == [5, 6, 7, 3, 2, 1]
    assert discs(session)[8] == discs(session)[12] == FAST


def test_unanswered_prompts_are_answered_first(session):
    session.add_prompts(click(0, 1, FAST))
    run(session, last=9)
    session.add_prompts(click(5, 1, STILL))
    assert update(session) == [6, 7, 8, 9, 4, 3, 2, 1]
    assert discs(session)[9] == STILL


def test_an_answer_that_changes_nothing_is_no_correction(session, toy):
    toy.clicked_logit = toy.tracked_logit
    session.add_prompts(click(0, 1, FAST))
    run(session, last=9)
    session.add_prompts(click(5, 1, FAST))
    session.segment(5, 1)
    assert update(session) == []


def test_frames_that_were_not_visited_are_not_visited_by_an_update(session):
    session.add_prompts(click(4, 1, FAST))
    run(session, first=3, last=9)
    session.add_prompts(click(7, 1, STILL))
    assert update(session) == [8, 9, 6, 5]


def test_an_object_that_was_never_tracked_goes_both_ways(session):
    session.add_prompts(click(0, 2, STILL))
    run(session)
    session.add_prompts(click(45, 1, FAST))
    assert update(session) == [46, 47, *range(44, -1, -1)]
    assert set(discs(session).values()) == {FAST}


def test_an_object_that_was_never_tracked_is_looked_for_to_the_end_where_it_is_not_seen(toy):
    session = open_scene(toy, hidden=range(2, 40))
    session.add_prompts(click(0, 1, STILL))
    assert update(session) == list(range(1, 48))
    assert session.masklets[1].absent == tuple(range(2, 40))


def test_what_came_from_a_prompt_that_is_gone_is_followed_anew(session):
    session.add_prompts(click(0, 1, FAST), click(6, 1, STILL))
    run(session, last=9)
    session.set_prompts([click(0, 1, FAST)])
    assert session.changed_ids == (1,)
    assert update(session) == list(range(1, 10))
    assert set(discs(session).values()) == {FAST}
    assert update(session) == []


def test_only_the_objects_chosen_are_followed(session):
    session.add_prompts(click(0, 1, FAST), click(0, 2, STILL))
    run(session, last=5)
    session.set_prompts([click(0, 1, STILL), PointPrompt(0, 2, 60, 40)])
    for result in session.update([2]):
        assert [mask.object_id for mask in result.masks] == [2]
    assert session.changed_ids == (1,)


def test_an_update_that_is_stopped_is_gone_on_with(session):
    session.add_prompts(click(0, 1, FAST))
    run(session, last=12)
    session.add_prompts(click(6, 1, STILL))
    for result in session.update():
        if result.frame == 8:
            break
    assert update(session) == [9, 10, 11, 12, 5, 4, 3, 2, 1]
    assert discs(session)[12] == STILL


@pytest.mark.parametrize("stop", [46, 20], ids=["forward", "backward"])
@pytest.mark.parametrize("way", ["update", "resume"])
def test_an_object_never_tracked_before_is_gone_on_with(session, stop, way):
    session.add_prompts(click(45, 1, FAST))
    for result in session.update():
        if result.frame == stop:
            break
    rest = [47, *range(44, -1, -1)] if stop == 46 else list(range(19, -1, -1))
    assert session.changed_ids == (1,)
    assert session.remaining() == len(rest)
    assert [result.frame for result in (session.update() if way == "update" else session.resume())] == rest
    assert set(discs(session).values()) == {FAST}
    assert session.changed_ids == ()
    with pytest.raises(PromptError, match="No propagation was stopped half way"):
        session.resume()


def test_an_update_of_new_objects_that_was_stopped_can_be_undone(session):
    session.add_prompts(click(4, 1, FAST))
    session.segment(4, 1)
    before = known(session)
    for result in session.update():
        if result.frame == 7:
            break
    assert session.undo() == "propagation"
    assert known(session) == before
    assert session.run is None
    assert update(session)[:3] == [5, 6, 7]


def test_a_new_object_that_is_stopped_is_gone_on_with_after_reopening(toy, tmp_path):
    session = begin(toy, tmp_path / "s.sam2")
    session.add_prompts(click(6, 1, FAST))
    for result in session.update():
        if result.frame == 8:
            break
    session.close()
    session = again(toy, tmp_path / "s.sam2")
    assert [result.frame for result in session.resume()] == [9, 10, 11, 5, 4, 3, 2, 1, 0]
    session.close()
    session = again(toy, tmp_path / "s.sam2")
    assert session.changed_ids == ()
    session.close()


def test_a_propagation_that_is_stopped_leaves_the_rest_to_an_update(session):
    session.add_prompts(click(0, 1, FAST))
    run(session, last=12)
    session.add_prompts(click(6, 1, STILL))
    run(session, "forward", first=6, last=9)
    assert update(session) == [10, 11, 12, 5, 4, 3, 2, 1]


def test_an_update_is_one_step_to_undo(session):
    session.add_prompts(click(0, 1, FAST))
    run(session, last=9)
    session.add_prompts(click(5, 1, STILL))
    session.segment(5, 1)
    before = known(session)
    update(session)
    after = known(session)
    assert session.undo() == "propagation"
    assert known(session) == before
    session.redo()
    assert known(session) == after
    session.undo()
    assert update(session) == [6, 7, 8, 9, 4, 3, 2, 1], "what was undone is to be done again"


def test_painted_masks_of_others_keep_their_pixels(session):
    session.add_prompts(click(0, 1, FAST), MaskPrompt(3, 2, truth()[3] == STILL))
    session.segment(3, 2)
    run(session, object_ids=[1], last=5)
    session.add_prompts(click(2, 1, STILL))
    update(session, [1])
    assert session.labels(3)[STILL_YX] == 2
    assert session.labels(4)[STILL_YX] == 1


def test_what_is_left_to_update_is_stored(toy, tmp_path):
    session = begin(toy, tmp_path / "s.sam2")
    session.add_prompts(click(0, 1, FAST))
    run(session)
    session.add_prompts(click(6, 1, STILL))
    for result in session.update():
        if result.frame == 8:
            break
    session.close()
    session = again(toy, tmp_path / "s.sam2")
    assert session.changed_ids == (1,)
    assert update(session) == [9, 10, 11, 5, 4, 3, 2, 1]
    session.close()
    session = again(toy, tmp_path / "s.sam2")
    assert session.changed_ids == ()
    session.close()


def test_so_many_frames(session):
    session.add_prompts(click(5, 1, FAST))
    assert run(session, "forward", count=3) == [5, 6, 7]
    assert run(session, "forward", first=8, count=2) == [8, 9]
    assert run(session, "both", count=3) == [5, 6, 7, 4, 3, 2]
    assert run(session, "backward", last=4, count=2) == [4, 3]
    assert session.plan("both", count=3) == 6
    assert session.run.is_done
    with pytest.raises(Exception, match="0 frames are none"):
        session.propagate(count=0)


def stop(results, frame):
    """Go through results up to a frame."""
    for result in results:
        if result.frame == frame:
            results.close()
            return


def half_way(session):
    """A propagation is stopped, then a correction is made, and the update that carries it on is stopped too."""
    session.add_prompts(click(0, 1, FAST), click(0, 2, STILL))
    stop(session.propagate(last=12), 8)
    session.add_prompts(click(4, 1, STILL))
    stop(session.update(), 6)


def test_a_stopped_update_leaves_the_stopped_propagation_to_be_gone_on_with_too(session):
    half_way(session)
    assert session.can_resume
    assert session.remaining() == 0, "nobody knows how far a correction goes"
    assert [result.frame for result in session.resume()] == [7, 8, 3, 2, 1, 9, 10, 11, 12]
    assert (session.changed_ids, session.can_resume, session.run.is_done) == ((), False, True)
    with pytest.raises(PromptError, match="No propagation was stopped half way"):
        session.resume()
    assert session.history.undo_name == "propagation"
    session.undo()
    assert session.can_resume, "what was undone is still to be done"
    assert [result.frame for result in session.resume()] == [7, 8, 3, 2, 1, 9, 10, 11, 12]


def test_resuming_can_be_stopped_and_resumed(session):
    half_way(session)
    frames = []
    while session.can_resume:
        results = session.resume()
        frames.append(next(results).frame)
        results.close()
    assert frames == [7, 8, 3, 2, 1, 9, 10, 11, 12]


def test_both_are_gone_on_with_after_reopening(toy, tmp_path):
    session = begin(toy, tmp_path / "s.sam2")
    session.add_prompts(click(0, 1, FAST), click(0, 2, STILL))
    stop(session.propagate(), 8)
    session.add_prompts(click(4, 1, STILL))
    stop(session.update(), 6)
    session.close()
    session = again(toy, tmp_path / "s.sam2")
    assert session.can_resume
    assert [result.frame for result in session.resume()] == [7, 8, 3, 2, 1, 9, 10, 11]
    session.close()
    session = again(toy, tmp_path / "s.sam2")
    assert not session.can_resume
    session.close()


def test_a_propagation_takes_the_place_of_the_update_of_its_objects(session):
    half_way(session)
    run(session, "forward", object_ids=[1], first=4, last=12)
    assert not session.can_resume
    assert update(session) == [3, 2, 1], "the way back is left to an update"


def test_another_update_goes_on_with_a_stopped_one(session):
    half_way(session)
    stopped = session.run
    assert update(session, [2]) == [], "of another object, in which nothing has changed"
    assert update(session) == [7, 8, 3, 2, 1]
    assert session.run == stopped
    assert [result.frame for result in session.resume()] == [9, 10, 11, 12]


def test_an_update_of_an_object_that_is_gone_is_not_gone_on_with(session):
    half_way(session)
    session.remove_object(1)
    assert [result.frame for result in session.resume()] == [9, 10, 11, 12]
    stop(session.propagate(last=12), 5)
    session.remove_object(2)
    assert not session.can_resume
    session.undo()
    assert session.can_resume


def test_a_propagation_whose_object_ends_before_is_done(session):
    session.add_prompts(click(0, 1, FAST))
    stop(session.propagate(last=12), 8)
    session.end(1, 6)
    assert [result.frame for result in session.resume()] == []
    assert not session.can_resume
