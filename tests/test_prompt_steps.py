"""Clicks, boxes and masks on one frame, given in several steps: what is asked of the network (a stand-in)."""

import numpy as np
import pytest

from napari_sam2.prompts import BoxPrompt, MaskPrompt
from toy_scene import FAST, RADIUS, STILL, STILL_YX, click, discs, iou, open_scene, run, truth

POSITIVE, NEGATIVE, FIRST, LAST = 1, 0, 2, 3
Y, X = STILL_YX
BOX = BoxPrompt(0, 1, Y - RADIUS, X - RADIUS, Y + RADIUS, X + RADIUS)


def test_each_further_click_corrects_the_mask_before(session, toy):
    for number, prompt in enumerate(
        [click(0, 1, STILL), click(0, 1, STILL, 3), click(0, 1, STILL, 20, positive=False)]
    ):
        session.add_prompts(prompt)
        session.segment(0, 1)
        assert toy.asked[number] == ([POSITIVE, POSITIVE, NEGATIVE][: number + 1], number > 0)
    assert all(memories == [] for _, memories, _ in toy.log), "memories have no part in it before anything is tracked"


def test_clicks_given_at_once_are_answered_at_once(session, toy):
    session.set_prompts([click(0, 1, STILL), click(0, 1, STILL, 3)])
    session.segment(0, 1)
    assert toy.asked == [([POSITIVE, POSITIVE], False)]


def test_asking_again_for_the_same_gives_the_mask_there_is(session, toy):
    session.set_prompts([click(0, 1, STILL)])
    first = session.segment(0, 1)
    assert session.segment(0, 1) == first
    assert len(toy.asked) == 1


def test_a_click_that_was_taken_back_is_forgotten(session, toy):
    session.set_prompts([click(0, 1, STILL)])
    alone = session.segment(0, 1)
    session.add_prompts(click(0, 1, STILL, 20, positive=False))
    session.segment(0, 1)
    session.set_prompts([click(0, 1, STILL)])
    assert session.segment(0, 1) == alone
    assert toy.asked[-1] == ([POSITIVE], False)


def test_box_and_clicks_together(session, toy):
    session.set_prompts([click(0, 1, STILL), BOX])
    session.segment(0, 1)
    assert toy.asked == [([FIRST, LAST, POSITIVE], False)], "the corners first, as the network was trained"


def test_clicks_after_a_box_correct_its_mask(session, toy):
    session.set_prompts([BOX])
    session.segment(0, 1)
    session.add_prompts(click(0, 1, STILL, 5))
    session.segment(0, 1)
    assert toy.asked == [([FIRST, LAST], False), ([FIRST, LAST, POSITIVE], True)]


def test_a_box_after_clicks_begins_anew_with_both(session, toy):
    session.set_prompts([click(0, 1, STILL)])
    session.segment(0, 1)
    session.add_prompts(BOX)
    session.segment(0, 1)
    assert toy.asked[-1] == ([FIRST, LAST, POSITIVE], False)


def test_another_box_replaces_the_one_before(session, toy):
    session.set_prompts([BOX, BoxPrompt(0, 1, 40, 20, 80, 60)])
    session.segment(0, 1)
    assert session.prompts[1, 0].box.y0 == 40
    assert toy.asked == [([FIRST, LAST], False)]


def test_a_painted_mask_is_the_answer(session, toy):
    painted = (truth()[0] == STILL) & (np.arange(truth().shape[2]) < X)
    session.set_prompts([MaskPrompt(0, 1, painted)])
    assert iou(session.segment(0, 1), painted) == 1
    assert toy.asked == []


def test_a_click_after_a_mask_corrects_it(session, toy):
    """The original drops the mask, but goes on from its logits; a click must not go unheard."""
    painted = (truth()[0] == STILL) & (np.arange(truth().shape[2]) < X)
    session.set_prompts([MaskPrompt(0, 1, painted)])
    session.segment(0, 1)
    session.add_prompts(click(0, 1, STILL, 5))
    assert iou(session.segment(0, 1), truth()[0] == STILL) > 0.8
    assert toy.asked == [([POSITIVE], True)]


def test_a_mask_and_a_click_given_at_once_are_the_same_as_one_after_the_other(toy):
    prompts = [MaskPrompt(0, 1, truth()[0] == STILL), click(0, 1, STILL, 5)]
    at_once, in_steps = open_scene(toy), open_scene(toy)
    at_once.set_prompts(prompts)
    for prompt in prompts:
        in_steps.add_prompts(prompt)
        answer = in_steps.segment(0, 1)
    assert at_once.segment(0, 1) == answer
    assert toy.asked == [([POSITIVE], True)] * 2


def test_a_mask_after_clicks_replaces_them(session, toy):
    painted = (truth()[0] == STILL) & (np.arange(truth().shape[2]) < X)
    session.set_prompts([click(0, 1, FAST)])
    session.segment(0, 1)
    session.add_prompts(MaskPrompt(0, 1, painted))
    assert iou(session.segment(0, 1), painted) == 1
    assert session.prompts[1, 0].points == ()


def test_adding_prompts_leaves_those_of_other_frames_as_they_were(session):
    given = [MaskPrompt(0, 1, truth()[0] == STILL), click(0, 1, STILL, 5), BoxPrompt(3, 1, 40, 20, 80, 60)]
    session.set_prompts(given)
    before = dict(session.prompts)
    assert session.add_prompts(click(7, 2, FAST)) == {(7, 2)}
    assert {key: group for key, group in session.prompts.items() if key[0] == 1} == before


def test_prompts_on_several_frames_are_all_remembered_everywhere(session, toy):
    session.set_prompts([click(0, 1, STILL), click(4, 1, STILL), MaskPrompt(8, 1, truth()[8] == STILL)])
    run(session, last=9)
    assert discs(session) == dict.fromkeys(range(10), STILL)
    looked_at = {
        frames[-1] + 1: frames[:3] for what, frames, _ in toy.log if what == "track" and frames[-1] not in (4, 8)
    }
    assert all(frames == [0, 4, 8] for frames in looked_at.values())


@pytest.mark.parametrize(
    "prompt", [click(5, 1, FAST), BoxPrompt(5, 1, 47, 167, 73, 193), MaskPrompt(5, 1, truth()[5] == FAST)]
)
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_any_kind_of_prompt_corrects_a_tracked_frame(session, toy, prompt, direction):
    start, end = (0, 9) if direction == "forward" else (9, 0)
    session.set_prompts([click(start, 1, STILL)])
    run(session, direction, last=9)
    session.add_prompts(prompt)
    corrected = session.segment(5, 1)
    assert iou(corrected, truth()[5] == FAST) > 0.8
    if not isinstance(prompt, MaskPrompt):
        assert toy.asked[-1][1], "what tracking says of the frame is fed back"
        assert toy.log[-1][1], "and memories have part in it"
    run(session, direction, last=9)
    assert session.masklets[1][5] == corrected
    assert discs(session)[end] == FAST, "what follows is tracked from the correction"
    assert discs(session)[start] == STILL


def test_a_second_click_on_a_corrected_frame_goes_on_from_the_first(session, toy):
    session.set_prompts([click(0, 1, STILL)])
    run(session, last=9)
    session.add_prompts(click(5, 1, FAST))
    session.segment(5, 1)
    memories = toy.log[-1]
    session.add_prompts(click(5, 1, FAST, 3))
    session.segment(5, 1)
    assert toy.asked[-1] == ([POSITIVE, POSITIVE], True)
    assert toy.log[-1] == memories
