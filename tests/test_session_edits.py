"""Prompts and objects added, corrected, moved, cleared and removed at any time, also while a propagation runs."""

import pytest

import napari_sam2.propagation as propagation
from napari_sam2.errors import PromptError, PropagationError
from napari_sam2.prompts import MaskPrompt
from toy_scene import FAST, NUM_FRAMES, STILL, click, discs, iou, open_scene, run, stored, truth
from toy_session import again, begin


def looked_at(toy):
    """The frames whose memories each tracked frame looked at."""
    return [frames for what, frames, _ in toy.log if what == "track"]


# --- what came from a prompt goes with it ---


def test_a_cleared_correction_takes_the_memories_that_came_from_it(session, toy):
    session.set_prompts([click(0, 1, STILL)])
    run(session, last=10)
    session.add_prompts(click(5, 1, FAST))
    run(session, last=10)
    session.set_prompts([click(0, 1, STILL)])
    assert session.masklets[1].frames == tuple(range(11)), "what was tracked stays to be seen"
    toy.log.clear()
    session.add_prompts(click(8, 1, STILL))
    session.segment(8, 1)
    assert toy.log == [("segment", [], [])], "nothing that is left says where the object was"


def test_a_cleared_correction_leaves_no_trace_in_the_next_propagation(session, toy):
    session.set_prompts([click(0, 1, STILL)])
    run(session, last=10)
    before, memories = stored(session), looked_at(toy)
    session.add_prompts(click(5, 1, FAST))
    run(session, last=10)
    assert discs(session)[10] == FAST
    session.set_prompts([click(0, 1, STILL)])
    toy.log.clear()
    run(session, last=10)
    assert stored(session) == before
    assert looked_at(toy) == memories


def test_a_moved_correction_takes_the_memories_that_came_from_it(session, toy):
    session.set_prompts([click(0, 1, STILL), click(5, 1, FAST)])
    run(session, last=9)
    session.set_prompts([click(0, 1, STILL), click(5, 1, STILL)])
    session.segment(5, 1)
    toy.log.clear()
    run(session, first=9, last=9)
    assert looked_at(toy) == [[0, 5]], "frames 6 to 8 were tracked from the click that was moved"


def test_the_mask_of_a_cleared_correction_is_not_remembered_as_if_it_were_tracked(session, toy):
    session.set_prompts([click(0, 1, STILL)])
    run(session, last=10)
    session.add_prompts(click(5, 1, FAST))
    session.segment(5, 1)
    session.set_prompts([click(0, 1, STILL), click(20, 1, FAST)])
    toy.log.clear()
    run(session, first=11, last=11)
    assert looked_at(toy) == [[0, 20, 6, 7, 8, 9, 10]]
    session.set_prompts([click(0, 1, STILL), click(8, 1, STILL)])
    toy.log.clear()
    session.segment(8, 1)
    assert looked_at(toy) == [[0, 2, 3, 4, 6, 7]], "all but frame 5"


def test_a_correction_that_came_of_a_moved_prompt_is_made_anew(session, toy):
    """It corrected a mask that is no more; now both prompts are answered by themselves."""
    session.set_prompts([click(0, 1, STILL)])
    run(session, last=10)
    session.add_prompts(click(5, 1, STILL, dy=2))
    session.segment(5, 1)
    session.set_prompts([click(0, 1, FAST), click(5, 1, STILL, dy=2)])
    toy.log.clear()
    run(session, last=3)
    assert [entry for entry in toy.log if entry[0] == "segment"] == [("segment", [], [])] * 2
    assert all(seen in ([0, 5], [0, 5, 1], [0, 5, 1, 2]) for seen in looked_at(toy))


def test_adding_clicks_to_a_prompt_keeps_what_was_tracked_from_it(session, toy):
    session.set_prompts([click(0, 1, STILL)])
    run(session, last=10)
    session.add_prompts(click(0, 1, STILL, dy=3))
    session.segment(0, 1)
    toy.log.clear()
    run(session, first=11, last=11)
    assert looked_at(toy) == [[0, 5, 6, 7, 8, 9, 10]]


# --- while a propagation is under way ---


def test_an_object_removed_on_the_way_is_gone_and_the_others_go_on(session):
    session.set_prompts([click(0, 1, STILL), click(0, 2, FAST)])
    for result in session.propagate(last=8):
        if result.frame == 3:
            session.remove_object(1)
        elif result.frame > 3:
            assert [m.object_id for m in result.masks] == [2]
    assert set(session.masklets) == {2}
    assert discs(session, 2) == dict.fromkeys(range(9), FAST)


def test_a_propagation_ends_when_its_last_object_is_removed(session):
    session.set_prompts([click(0, 1, STILL)])
    seen = []
    for result in session.propagate("both", last=8):
        seen.append(result.frame)
        if result.frame == 3:
            session.remove_object(1)
    assert seen == [0, 1, 2, 3]
    assert session.masklets == {}


def test_prompts_cleared_on_the_way_stop_their_object_alone(session):
    session.set_prompts([click(0, 1, STILL), click(0, 2, FAST)])
    for result in session.propagate(last=8):
        if result.frame == 3:
            session.set_prompts([click(0, 2, FAST)])
    assert session.masklets[1].frames == (0, 1, 2, 3), "what was tracked stays"
    assert session.masklets[2].frames == tuple(range(9))


def test_an_object_removed_before_the_first_step_is_left_out(session):
    session.set_prompts([click(0, 1, STILL), click(0, 2, FAST)])
    frames = session.propagate(last=3)
    session.remove_object(1)
    assert [[m.object_id for m in result.masks] for result in frames] == [[2]] * 4


def test_a_correction_given_on_the_way_holds_when_the_propagation_comes_to_it(session):
    session.set_prompts([click(0, 1, STILL)])
    for result in session.propagate(last=10):
        if result.frame == 3:
            session.add_prompts(click(6, 1, FAST))
    assert discs(session) == {t: STILL if t < 6 else FAST for t in range(11)}


def test_a_correction_behind_a_running_propagation_is_taken_up(session, toy):
    session.set_prompts([click(0, 1, STILL)])
    for result in session.propagate(last=10):
        if result.frame == 6:
            session.add_prompts(click(5, 1, FAST))
            session.segment(5, 1)
            toy.log.clear()
    assert looked_at(toy)[0] == [0, 5, 1, 2, 3, 4, 6]
    assert 5 in session._objects[1].followed.bank.prompted


def test_looking_at_another_frame_on_the_way_does_not_disturb(session):
    """A click far away moves the window and the bank of memories; the propagation puts them back."""
    session.set_prompts([click(0, 1, FAST)])
    run(session, last=40)
    undisturbed = stored(session)
    session.remove_object(1)
    session.set_prompts([click(0, 1, FAST)])
    run(session, last=40)
    for result in session.propagate(last=40):
        if result.frame == 30:
            session.add_prompts(click(9, 1, FAST))
            session.segment(9, 1)
    after = stored(session)
    assert {t: m for t, m in after[1].items() if t != 9} == {t: m for t, m in undisturbed[1].items() if t != 9}


def test_a_first_prompt_moved_ahead_of_a_running_propagation_is_waited_for(session):
    session.set_prompts([click(0, 1, STILL), click(0, 2, FAST)])
    for result in session.propagate(last=8):
        if result.frame == 3:
            session.remove_object(1)
            session.set_prompts([click(6, 1, STILL), click(0, 2, FAST)])
        elif result.frame > 3:
            assert [m.object_id for m in result.masks] == ([2] if result.frame < 6 else [1, 2])
    assert session.masklets[1].frames == (6, 7, 8)


def test_an_object_added_on_the_way_waits_for_the_next_propagation(session):
    session.set_prompts([click(0, 1, STILL)])
    for result in session.propagate(last=4):
        if result.frame == 2:
            session.add_prompts(click(0, 2, FAST))
        assert [m.object_id for m in result.masks] == [1]
    assert session.segment(0, 2) is not None
    assert session.masklets[2].frames == (0,)


def test_two_propagations_at_once_do_not_disturb_one_another(session):
    session.set_prompts([click(0, 1, FAST), click(11, 2, STILL)])
    forward, backward = session.propagate("forward", last=11), session.propagate("backward", last=11, object_ids=[2])
    for _ in range(11):
        next(forward), next(backward)
    assert discs(session, 1) == dict.fromkeys(range(11), FAST)
    assert discs(session, 2) == dict.fromkeys(range(1, 12), STILL)


def test_two_propagations_of_one_object_at_once_give_the_masks_of_either(session):
    session.set_prompts([click(5, 1, FAST)])
    forward, backward = session.propagate("forward", last=11), session.propagate("backward")
    for _ in range(6):
        next(forward), next(backward)
    assert discs(session) == dict.fromkeys(range(11), FAST)


# --- stopping and going on ---


@pytest.mark.parametrize(("direction", "rest"), [("forward", {"first": 6}), ("backward", {"last": 5})])
def test_stopping_and_going_on_gives_the_masks_of_running_through(toy, direction, rest):
    start = 0 if direction == "forward" else NUM_FRAMES - 1
    prompts = [click(start, 1, FAST), click(20, 2, STILL), click(8, 2, STILL)]
    through, stopped = open_scene(toy), open_scene(toy)
    for session in (through, stopped):
        session.set_prompts(prompts)
    run(through, direction)
    memories = looked_at(toy)
    toy.log.clear()
    for result in stopped.propagate(direction):
        if result.frame == (5 if direction == "forward" else 6):
            break
    run(stopped, direction, **rest)
    assert stored(stopped) == stored(through)
    assert looked_at(toy) == memories


def test_the_same_again_looks_at_the_same(session, toy):
    session.set_prompts([click(5, 1, FAST)])
    run(session, "both", last=12)
    memories, masks = looked_at(toy), stored(session)
    toy.log.clear()
    run(session, "both", last=12)
    assert looked_at(toy) == memories
    assert stored(session) == masks


def test_a_frame_that_failed_is_done_again_from_what_was_there_before(session, toy, monkeypatch):
    session.set_prompts([click(0, 1, FAST), click(0, 2, STILL)])
    frames = session.propagate()
    for _ in range(4):
        next(frames)

    def remembers_and_fails(*args, **kwargs):
        toy.memorize(*args, **kwargs)
        raise MemoryError("out of memory")

    monkeypatch.setattr(propagation, "memorize", remembers_and_fails)
    with pytest.raises(PropagationError, match="failed on frame 4"):
        next(frames)
    monkeypatch.setattr(propagation, "memorize", toy.memorize)
    toy.log.clear()
    run(session, first=4, last=6, object_ids=[1])
    assert looked_at(toy) == [[0, 1, 2, 3], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5]]
    assert discs(session) == dict.fromkeys(range(7), FAST)


# --- prompts that only correct ---


def test_a_negative_click_ahead_waits_for_the_mask_that_it_corrects(session, toy):
    session.set_prompts([click(0, 1, STILL), click(5, 1, FAST, positive=False)])
    with pytest.raises(PromptError, match="where there is no mask to correct"):
        session.segment(5, 1)
    run(session, last=7)
    assert ("segment", [0, 1, 2, 3, 4], [5, 1, 2, 3, 4]) in toy.log, "when the propagation came to it"
    assert toy.asked[-1] == ([0], True), "with the mask that tracking found fed back"
    assert looked_at(toy)[-1] == [0, 5, 1, 2, 3, 4, 6], "and it is remembered from then on"


def test_a_negative_click_before_the_first_prompt_corrects_the_mask_there(session, toy):
    session.add_prompts(click(6, 1, FAST))
    run(session, "both", last=9)
    wrong = click(3, 1, FAST, positive=False)
    toy.log.clear()
    session.add_prompts(wrong)
    session.segment(3, 1)
    assert {6, 5, 4} <= set(toy.log[-1][1]), "with memories of the frames that led there"
    assert toy.asked[-1] == ([0], True), "and the mask that tracking found fed back"
    assert session.prompts[1, 3].points == (wrong,)


def test_a_negative_click_before_the_first_prompt_waits_where_there_is_no_mask(session):
    session.add_prompts(click(6, 1, FAST), click(3, 1, FAST, 4, positive=False))
    with pytest.raises(PromptError, match="only negative points on frame 3, where there is no mask to correct"):
        session.segment(3, 1)
    run(session, "both", last=9)
    assert set(discs(session).values()) == {FAST}
    assert session.segment(3, 1) is not None


def test_a_negative_click_corrects_a_mask_whose_prompts_are_gone(session, toy):
    session.add_prompts(click(0, 1, STILL))
    run(session, last=5)
    session.set_prompts([])
    shown = session.masklets[1][3]
    toy.log.clear()
    session.add_prompts(click(3, 1, STILL, 4, positive=False))
    corrected = session.segment(3, 1)
    assert corrected is not None
    assert toy.asked[-1] == ([0], True), "with the mask that is there fed back"
    assert discs(session)[3] == STILL
    assert shown.box == corrected.box
    assert session.object_ids == (1,)
    with pytest.raises(PromptError, match="object 1 has only negative points on frame 7"):
        session.set_prompts([click(7, 1, STILL, 4, positive=False)])


def test_without_its_last_positive_click_an_object_has_nothing_to_correct(session):
    lone = click(0, 1, STILL, 4, positive=False)
    session.add_prompts(click(0, 1, STILL), lone)
    session.segment(0, 1)
    with pytest.raises(PromptError, match="object 1 has only negative points on frame 0"):
        session.set_prompts([lone])


def test_a_negative_click_corrects_an_approved_mask(session):
    session.add_prompts(click(5, 1, STILL))
    run(session, "both", last=7)
    session.approve(1)
    session.set_prompts([])
    session.add_prompts(click(2, 1, STILL, 4, positive=False))
    assert session.segment(2, 1) is not None
    assert session.approved(1) == (0, 1, 3, 4, 5, 6, 7)


def test_a_negative_click_corrects_a_stored_mask(toy, tmp_path):
    session = begin(toy, tmp_path / "s.sam2")
    session.add_prompts(click(5, 1, STILL))
    run(session, "both")
    session.close()
    session = again(toy, tmp_path / "s.sam2")
    session.add_prompts(click(2, 1, STILL, 4, positive=False))
    assert session.segment(2, 1) is not None
    session.close()
    session = again(toy, tmp_path / "s.sam2")
    assert (1, 2) in session.prompts
    session.close()


def test_a_negative_click_ahead_does_not_stop_the_others(session):
    session.set_prompts([click(0, 1, STILL), click(9, 1, FAST, positive=False), click(0, 2, FAST)])
    run(session, last=4)
    assert session.masklets[1].frames == session.masklets[2].frames == tuple(range(5))


def test_backward_starts_at_the_last_prompt_that_says_where_the_object_is(session):
    session.set_prompts([click(3, 1, STILL), click(9, 1, FAST, positive=False)])
    assert session.plan("backward") == 4
    assert run(session, "backward") == [3, 2, 1, 0]


# --- objects ---


def test_removing_an_object_leaves_the_masks_of_the_others_bit_for_bit(session):
    session.set_prompts([click(0, 1, STILL), click(0, 2, FAST), click(0, 3, STILL)])
    run(session, last=5)
    before = stored(session)
    session.remove_object(3)
    assert stored(session) == {i: before[i] for i in (1, 2)}


def test_an_object_removed_and_clicked_again_starts_from_nothing(session, toy):
    session.set_prompts([click(0, 1, STILL)])
    run(session, last=5)
    session.remove_object(1)
    assert session.object_ids == ()
    session.set_prompts([click(3, 1, FAST)])
    toy.log.clear()
    run(session, "both", last=5)
    assert discs(session) == dict.fromkeys(range(6), FAST)
    assert looked_at(toy)[0] == [3]


@pytest.mark.parametrize("ids", [(1, 2), (7, 3), (4_294_967_295, 70_000)])
def test_ids_are_the_users_own_with_gaps(session, ids):
    still, fast = ids
    session.set_prompts([click(0, still, STILL), click(0, fast, FAST)])
    run(session, last=2)
    assert session.object_ids == tuple(sorted(ids))
    assert discs(session, still)[2] == STILL
    assert discs(session, fast)[2] == FAST
    shown = session.labels(2)
    assert set(shown[truth()[2] == STILL]) <= {0, still}
    assert (shown == fast).sum() > 100


def test_an_object_is_not_tracked_before_its_own_prompt(session):
    session.set_prompts([click(0, 1, STILL), click(6, 2, FAST)])
    for result in session.propagate("forward", last=8):
        ids = [m.object_id for m in result.masks]
        assert ids == ([1] if result.frame < 6 else [1, 2])
        assert not result.absent, "it is not looked for, rather than looked for in vain"
    assert session.masklets[2].frames == (6, 7, 8)


# --- present, absent, hidden ---


def test_an_absent_object_is_kept_as_absent_and_shown_again_when_it_is_back(toy):
    session = open_scene(toy, hidden=range(3, 6))
    session.set_prompts([click(0, 1, STILL)])
    results = list(session.propagate(last=8))
    assert [r.frame for r in results if r.absent == (1,)] == [3, 4, 5]
    assert not any(r.empty for r in results)
    assert session.masklets[1].absent == (3, 4, 5)
    assert session.masklets[1].frames == (0, 1, 2, 6, 7, 8)
    assert discs(session) == dict.fromkeys((0, 1, 2, 6, 7, 8), STILL)
    assert not session.labels(4).any()


def test_absence_is_told_from_frames_that_nobody_looked_at(toy):
    session = open_scene(toy, hidden=range(3, 6))
    session.set_prompts([click(0, 1, STILL)])
    run(session, last=4)
    assert session.masklets[1].absent == (3, 4), "nothing is known of frame 5"
    session.set_prompts([click(0, 1, STILL), MaskPrompt(4, 1, truth()[0] == STILL)])
    session.segment(4, 1)
    assert session.masklets[1].absent == (3,)


def test_an_object_whose_pixels_another_holds_is_not_absent(session):
    session.set_prompts([click(0, 1, STILL), MaskPrompt(0, 2, truth()[0] == STILL)])
    result = next(session.propagate())
    full = [mask.object_id for mask in result.masks]
    assert full == [2] or iou(result.masks[0], truth()[0] == STILL) < 0.3
    session.set_prompts([MaskPrompt(0, 2, truth()[0] == STILL), MaskPrompt(0, 3, truth()[0] == STILL)])
    result = next(session.propagate())
    assert [mask.object_id for mask in result.masks] == [2]
    assert result.empty == (3,)
    assert result.absent == ()
    assert session.masklets[3].absent == ()
