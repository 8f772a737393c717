import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2.errors import NapariSam2Error, PromptError, PropagationError
from napari_sam2.prompts import (
    BoxPrompt,
    MaskPrompt,
    ObjectPrompts,
    PointPrompt,
    check_corrections,
    check_prompts,
    group_prompts,
    nearest_frame,
)

SHAPE = (20, 30)


def check(*prompts):
    check_prompts(prompts, num_frames=5, shape_yx=SHAPE)


def test_error_tree():
    assert issubclass(PromptError, NapariSam2Error) and issubclass(PromptError, ValueError)
    assert issubclass(PropagationError, NapariSam2Error)
    assert not issubclass(PropagationError, RuntimeError)


def test_prompts_are_values():
    assert PointPrompt(1, 2, 3.0, 4.0) == PointPrompt(1, 2, 3.0, 4.0, positive=True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        PointPrompt(1, 2, 3.0, 4.0).y = 5.0


def test_mask_prompts_compare_by_pixels_and_keep_their_own():
    mask = np.zeros(SHAPE, bool)
    mask[3:6, 4:9] = True
    prompt = MaskPrompt(0, 1, mask)
    assert prompt == MaskPrompt(0, 1, mask.copy())
    assert hash(prompt) == hash(MaskPrompt(0, 1, mask.copy()))
    assert prompt != MaskPrompt(0, 2, mask)
    assert prompt != MaskPrompt(0, 1, mask.reshape(30, 20))
    assert prompt != PointPrompt(0, 1, 3, 4)
    mask[0, 0] = True
    assert not prompt.mask[0, 0]
    assert prompt != MaskPrompt(0, 1, mask)
    with pytest.raises(ValueError, match="read-only"):
        prompt.mask[0, 0] = True
    assert ObjectPrompts(mask=prompt) == ObjectPrompts(mask=MaskPrompt(0, 1, prompt.mask))


def test_group_keeps_the_order_of_points_and_the_last_box():
    points = [PointPrompt(0, 7, y, 1.0, positive=y != 2) for y in (3, 2, 1)]
    boxes = [BoxPrompt(0, 7, 0, 0, 4, 4), BoxPrompt(0, 7, 1, 1, 5, 5)]
    other = PointPrompt(4, 2, 0, 0)
    groups = group_prompts([points[0], boxes[0], other, points[1], boxes[1], points[2]])
    assert list(groups) == [(7, 0), (2, 4)]
    assert groups[7, 0] == ObjectPrompts(tuple(points), boxes[1])
    assert groups[2, 4] == ObjectPrompts((other,))


def test_a_mask_replaces_what_came_before_it_and_is_corrected_by_what_comes_after():
    before, after = PointPrompt(0, 7, 3, 1.0), PointPrompt(0, 7, 2, 1.0, positive=False)
    box = BoxPrompt(0, 7, 0, 0, 4, 4)
    masks = [MaskPrompt(0, 7, np.ones(SHAPE, bool)), MaskPrompt(0, 7, np.eye(*SHAPE, dtype=bool))]
    assert group_prompts([before, box, *masks]) == {(7, 0): ObjectPrompts(mask=masks[1])}
    assert group_prompts([before, *masks]).popitem()[1].is_painted
    corrected = group_prompts([before, *masks, after]).popitem()[1]
    assert corrected == ObjectPrompts((after,), mask=masks[1])
    assert not corrected.is_painted
    assert corrected.extends(ObjectPrompts(mask=masks[1]))
    assert not corrected.extends(ObjectPrompts(mask=masks[0]))
    assert not corrected.extends(corrected)


def test_only_negative_points_do_not_say_where_an_object_is():
    negative = PointPrompt(0, 7, 2, 1.0, positive=False)
    assert not ObjectPrompts((negative,)).says_where
    assert ObjectPrompts((negative, PointPrompt(0, 7, 2, 5))).says_where
    assert ObjectPrompts((negative,), box=BoxPrompt(0, 7, 0, 0, 4, 4)).says_where
    assert ObjectPrompts((negative,), mask=MaskPrompt(0, 7, np.ones(SHAPE, bool))).says_where


def test_group_takes_numpy_numbers_and_returns_plain_keys():
    groups = group_prompts([PointPrompt(np.int64(3), np.uint8(4), 0, 0)])
    assert groups.keys() == {(4, 3)}
    assert all(type(number) is int for key in groups for number in key)


@pytest.mark.parametrize("object_id", [0, -1, 2**32])
def test_ids_out_of_range_are_refused(object_id):
    with pytest.raises(PromptError, match=r"object IDs go from 1 to 4294967295 \(0 is background\)"):
        group_prompts([PointPrompt(0, object_id, 1, 1)])
    with pytest.raises(PromptError, match=f"of object {object_id} on frame 0"):
        check(PointPrompt(0, object_id, 1, 1))


@pytest.mark.parametrize(("frame", "object_id"), [(1.0, 1), (1, 1.5), (math.nan, 1)])
def test_fractions_are_refused(frame, object_id):
    with pytest.raises(PromptError, match="whole numbers"):
        check(PointPrompt(frame, object_id, 1, 1))


@pytest.mark.parametrize(("y", "x"), [(-0.5, -0.5), (19.49, 29.49), (0, 0), (7, 12.25)])
def test_points_inside_pass(y, x):
    check(PointPrompt(0, 1, y, x))


@pytest.mark.parametrize(
    ("y", "x"), [(-0.51, 0), (0, -0.51), (19.5, 0), (0, 29.5), (math.nan, 1), (1, math.nan), (math.inf, 1), (-30, 500)]
)
def test_row17_points_outside_are_named(y, x):
    with pytest.raises(PromptError) as info:
        check(PointPrompt(2, 3, y, x))
    assert str(info.value) == (
        f"point (y={y:g}, x={x:g}) of object 3 on frame 2 lies outside the image of 20 x 30 pixels: "
        "move it inside or delete it"
    )


@given(
    frame=st.integers(-3, 8),
    object_id=st.integers(-1, 3),
    y=st.floats(allow_nan=True, allow_infinity=True),
    x=st.floats(allow_nan=True, allow_infinity=True),
    positive=st.booleans(),
)
def test_any_point_is_accepted_or_refused(frame, object_id, y, x, positive):
    try:
        check(PointPrompt(frame, object_id, y, x, positive))
    except PromptError:
        return
    assert 0 <= frame < 5 and object_id >= 1
    assert 0 <= math.floor(y + 0.5) < 20 and 0 <= math.floor(x + 0.5) < 30


@pytest.mark.parametrize("frame", [-1, 5])
def test_frames_outside_are_refused(frame):
    with pytest.raises(PromptError, match=f"frame {frame}: the movie has the frames 0 to 4; correct the frame"):
        check(PointPrompt(frame, 1, 1, 1))


def test_boxes():
    check(BoxPrompt(0, 1, -0.5, -0.5, 19.5, 29.5))
    for corners in [(4, 4, 4, 8), (4, 8, 6, 7), (math.nan, 0, 5, 5), (0, 0, 5, math.nan)]:
        with pytest.raises(PromptError, match="is empty: expected y0 < y1 and x0 < x1"):
            check(BoxPrompt(0, 1, *corners))
    for corners in [(-1, 0, 5, 5), (0, -1, 5, 5), (0, 0, 20, 5), (0, 0, 5, math.inf)]:
        with pytest.raises(PromptError, match="reaches outside the image of 20 x 30 pixels: cut it"):
            check(BoxPrompt(0, 1, *corners))


def test_boxes_are_clipped_at_the_border():
    box = BoxPrompt(0, 1, -4, 25, 3, 40).clip(SHAPE)
    assert box == BoxPrompt(0, 1, -0.5, 25, 3, 29.5)
    check(box)
    for corners in [(-9, 0, -3, 5), (0, 29.5, 5, 40), (math.nan, 0, 5, 5)]:
        with pytest.raises(PromptError, match="lies outside the image of 20 x 30 pixels: draw it again"):
            BoxPrompt(0, 1, *corners).clip(SHAPE)


def test_masks():
    check(MaskPrompt(0, 1, np.ones(SHAPE, bool)))
    with pytest.raises(PromptError, match=r"mask of object 1 on frame 0 has the shape \(30, 20\), expected \(20, 30\)"):
        check(MaskPrompt(0, 1, np.ones((30, 20), bool)))
    with pytest.raises(PromptError, match="mask of object 1 on frame 0 is empty: paint"):
        check(MaskPrompt(0, 1, np.zeros(SHAPE, bool)))


def test_negative_points_need_a_mask_or_a_prompt_that_says_where_the_object_is():
    def refuse(*prompts, masks=()):
        check_corrections(prompts, lambda object_id, frame: (object_id, frame) in masks)

    negative = PointPrompt(1, 4, 5, 5, positive=False)
    with pytest.raises(PromptError) as info:
        refuse(PointPrompt(3, 5, 5, 5), negative)
    assert str(info.value) == (
        "object 4 has only negative points on frame 1, where there is no mask to correct, and no prompt elsewhere: "
        "add a positive point, a box or a mask"
    )
    with pytest.raises(PromptError, match="object 4 has only negative points on frame 2"):
        refuse(negative, PointPrompt(2, 4, 5, 5, positive=False), masks={(4, 1)})
    refuse(negative, masks={(4, 1)})
    for t in (0, 1, 3):
        refuse(negative, PointPrompt(t, 4, 6, 6))
    refuse(negative, BoxPrompt(1, 4, 2, 2, 8, 8))
    refuse(negative, MaskPrompt(1, 4, np.ones(SHAPE, bool)))


def test_nothing_is_a_fine_prompt():
    check()
    assert group_prompts([]) == {}


@pytest.mark.parametrize(
    ("t", "frame"), [(0, 0), (2.4, 2), (2.5, 3), (1.5, 2), (0.49, 0), (-0.5, 0), (-0.51, -1), (np.float32(6.6), 7)]
)
def test_row16_time_snaps_to_the_nearest_frame(t, frame):
    assert nearest_frame(t) == frame


@pytest.mark.parametrize("t", [math.nan, math.inf])
def test_time_that_is_no_number(t):
    with pytest.raises(PromptError, match=f"the time of a prompt is {t}, expected a number"):
        nearest_frame(t)
