"""The rules of the session, with a stand-in for the network: windows, memories, corrections, who yields to whom."""

import numpy as np
import pytest

from napari_sam2.errors import PromptError
from napari_sam2.prompts import MaskPrompt, PointPrompt
from sam2_torch.config import CELL
from sam2_torch.windows import common_diameter
from toy_scene import FAST, HEIGHT, RADIUS, STILL, STILL_YX, WIDTH, fast_yx, iou, open_scene, run, truth


def quality(session, disc, object_id=1):
    """IoU with a disc by frame."""
    return {t: iou(mask, truth()[t] == disc) for t, mask in session.masklets[object_id].items()}


def test_a_moved_click_is_looked_for_where_it_is(session):
    session.set_prompts([PointPrompt(0, 1, *fast_yx(0))])
    assert iou(session.segment(0, 1), truth()[0] == FAST) > 0.8
    session.set_prompts([PointPrompt(0, 1, *STILL_YX)])
    assert iou(session.segment(0, 1), truth()[0] == STILL) > 0.8


@pytest.mark.parametrize(
    ("prompt", "arguments", "expected"),
    [
        (0, {"direction": "forward", "first": 3, "last": 8}, range(3, 9)),
        (9, {"direction": "backward", "first": 2, "last": 5}, range(2, 6)),
        (6, {"direction": "both", "first": 0, "last": 11}, range(12)),
        (6, {"direction": "both", "first": 0, "last": 8}, range(9)),
    ],
)
def test_an_object_is_looked_for_where_it_was_last_seen(session, prompt, arguments, expected):
    """The still disc: a window over the whole frame, or over the other end of the movie, would not show it."""
    session.set_prompts([PointPrompt(prompt, 1, *STILL_YX)])
    run(session, **arguments)
    found = quality(session, STILL)
    assert all(found[t] > 0.8 for t in expected)


def test_both_ways_follow_a_fast_object_from_the_middle(session):
    session.set_prompts([PointPrompt(6, 1, *fast_yx(6))])
    run(session, "both", first=0, last=11)
    found = quality(session, FAST)
    assert sorted(found) == list(range(12))
    assert min(found.values()) > 0.8


def test_going_on_later_takes_up_the_object_where_it_was(session):
    session.set_prompts([PointPrompt(0, 1, *fast_yx(0))])
    run(session, "forward", last=5)
    run(session, "forward", first=6, last=11)
    assert min(quality(session, FAST).values()) > 0.8


@pytest.mark.parametrize(("start", "direction", "there", "step"), [(0, "forward", 20, 1), (40, "backward", 20, -1)])
def test_a_correction_far_back_remembers_what_a_bank_without_bounds_would(session, toy, start, direction, there, step):
    session.set_prompts([PointPrompt(start, 1, *STILL_YX)])
    run(session, direction)
    toy.log.clear()
    session.add_prompts(PointPrompt(there, 1, *STILL_YX))
    session.segment(there, 1)
    _, frames, distances = next(entry for entry in toy.log if entry[0] == "track")
    assert frames == [start, *(there - step * k for k in range(6, 0, -1))]
    assert distances == [abs(there - start), *range(1, 16)]


def test_a_second_click_on_a_corrected_frame_remembers_the_same(session, toy):
    session.set_prompts([PointPrompt(40, 1, *STILL_YX)])
    run(session, "backward")
    session.add_prompts(PointPrompt(20, 1, *STILL_YX))
    session.segment(20, 1)
    toy.log.clear()
    session.add_prompts(PointPrompt(20, 1, STILL_YX[0] + 2, STILL_YX[1]))
    session.segment(20, 1)
    assert toy.log[-1][1] == [40, 26, 25, 24, 23, 22, 21]


def test_nothing_of_a_superseded_prompt_is_remembered(session, toy):
    session.set_prompts([PointPrompt(0, 1, *fast_yx(0))])
    run(session, "forward", last=6)
    session.set_prompts([PointPrompt(5, 1, *STILL_YX)])
    toy.log.clear()
    run(session, "forward", last=7)
    looked_at = [frames for what, frames, _ in toy.log if what == "track"]
    assert looked_at == [[5], [5, 6]]
    assert all(quality(session, STILL)[t] > 0.8 for t in (5, 6, 7))


def test_nothing_of_a_moved_prompt_is_remembered(session, toy):
    session.set_prompts([PointPrompt(5, 1, *fast_yx(5))])
    run(session, "both", first=0, last=9)
    session.set_prompts([PointPrompt(5, 1, *STILL_YX)])
    toy.log.clear()
    run(session, "forward", last=6)
    assert [frames for what, frames, _ in toy.log if what == "track"] == [[5]]


def test_a_prompted_mask_does_not_yield_to_a_tracked_one(session):
    session.set_prompts([PointPrompt(0, 1, *STILL_YX)])
    run(session, "forward", last=6)
    session.add_prompts(PointPrompt(5, 2, *STILL_YX))
    session.segment(5, 2)
    run(session, "forward", last=6)
    assert iou(session.masklets[2][5], truth()[5] == STILL) > 0.8
    rest = session.masklets[1].get(5)
    assert rest is None or rest.area < 0.1 * session.masklets[2][5].area


def test_a_painted_mask_keeps_every_pixel(session):
    session.set_prompts([PointPrompt(0, 1, *STILL_YX)])
    run(session, "forward", last=6)
    painted = (truth()[5] == STILL) & (np.arange(WIDTH) < STILL_YX[1] + 4)
    session.add_prompts(MaskPrompt(5, 2, painted), PointPrompt(5, 3, *STILL_YX))
    run(session, "forward", last=6)
    assert np.array_equal(session.labels(5) == 2, painted)
    results = session.propagate("forward", first=5, last=5)
    total = np.zeros((HEIGHT, WIDTH), np.uint8)
    for mask in next(results).masks:
        layer = np.zeros_like(total)
        mask.paint(layer, 1)
        total += layer
    assert total.max() == 1


def test_masks_may_be_dropped_as_they_come(session):
    session.set_prompts([MaskPrompt(0, 1, truth()[0] == STILL)])
    for _ in range(2):
        for result in session.propagate("forward", last=4):
            assert iou(result.masks[0], truth()[result.frame] == STILL) > 0.8
            session.masklets[1].remove(result.frame)


def test_the_mask_of_a_prompt_goes_with_it_unless_it_was_tracked(session):
    session.set_prompts([PointPrompt(0, 1, *STILL_YX)])
    run(session, "forward", last=3)
    for frame, expected in ((9, (0, 1, 2, 3)), (2, (0, 1, 2, 3))):
        session.set_prompts([PointPrompt(0, 1, *STILL_YX), PointPrompt(frame, 1, *STILL_YX)])
        session.segment(frame, 1)
        session.set_prompts([PointPrompt(0, 1, *STILL_YX)])
        assert session.masklets[1].frames == expected


def test_a_click_where_the_object_was_absent_uses_memory(toy):
    session = open_scene(toy, hidden=range(4, 6))
    session.set_prompts([PointPrompt(0, 1, *STILL_YX)])
    results = list(session.propagate("forward", last=6))
    assert [r.absent for r in results] == [(), (), (), (), (1,), (1,), ()]
    toy.log.clear()
    session.add_prompts(PointPrompt(5, 1, *STILL_YX))
    session.segment(5, 1)
    assert toy.log[0][1], "memories of the frames before"


def test_only_negative_points_need_a_mask_to_correct(session):
    session.set_prompts([PointPrompt(0, 1, *STILL_YX), PointPrompt(30, 1, 10, 10, positive=False)])
    with pytest.raises(PromptError, match="only negative points on frame 30, where there is no mask to correct"):
        session.segment(30, 1)
    session.set_prompts([PointPrompt(0, 1, *STILL_YX)])
    run(session, "forward", last=31)
    session.add_prompts(PointPrompt(30, 1, 10, 10, positive=False))
    session.segment(30, 1)


def test_an_estimated_diameter_is_told_anew_by_what_replaces_its_prompt(toy):
    session = open_scene(toy, diameter=None)
    session.set_prompts([PointPrompt(0, 1, *STILL_YX)])
    session.segment(0, 1)
    assert session._objects[1].followed.diameter == pytest.approx(2 * RADIUS, rel=0.2)
    large = np.zeros((HEIGHT, WIDTH), bool)
    large[40:200, 200:360] = True
    session.set_prompts([MaskPrompt(0, 1, large)])
    assert session.segment(0, 1).area == large.sum()
    assert session._objects[1].followed.diameter == common_diameter(2 * (large.sum() / np.pi) ** 0.5, CELL)


def test_a_disc_at_the_border_is_followed(session):
    session.set_prompts([PointPrompt(0, 1, *fast_yx(0))])
    run(session, "forward")
    assert min(quality(session, FAST).values()) > 0.8


def test_an_object_added_after_tracking_leaves_the_others_as_they_are(session):
    session.set_prompts([PointPrompt(0, 1, *fast_yx(0))])
    run(session, "forward", last=11)
    before = {t: mask.box for t, mask in session.masklets[1].items()}
    session.add_prompts(PointPrompt(3, 2, *STILL_YX))
    run(session, "both", object_ids=[2], last=11)
    assert {t: mask.box for t, mask in session.masklets[1].items()} == before
    assert min(quality(session, STILL, object_id=2).values()) > 0.8
