"""Which frames a propagation visits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2.errors import PromptError
from napari_sam2.sweeps import plan_sweeps


def frames(sweeps):
    return [list(sweep.frames) for sweep in sweeps]


def test_forward_starts_at_the_first_prompt_and_backward_at_the_last():
    prompted = {1: [2, 4]}
    assert frames(plan_sweeps("forward", prompted, num_frames=6)) == [[2, 3, 4, 5]]
    assert frames(plan_sweeps("backward", prompted, num_frames=6)) == [[4, 3, 2, 1, 0]]
    assert frames(plan_sweeps("both", prompted, num_frames=6)) == [[2, 3, 4, 5], [1, 0]]


def test_objects_join_at_their_own_prompts():
    (sweep,) = plan_sweeps("forward", {1: [0], 2: [3]}, num_frames=5)
    assert [sweep.active(t) for t in sweep.frames] == [[1], [1], [1], [1, 2], [1, 2]]
    assert sweep.joins == {1: 0, 2: 3}


def test_bounds():
    assert frames(plan_sweeps("forward", {1: [0]}, num_frames=9, first=3, last=5)) == [[3, 4, 5]]
    assert frames(plan_sweeps("backward", {1: [8]}, num_frames=9, first=3, last=5)) == [[5, 4, 3]]
    assert frames(plan_sweeps("forward", {1: [0]}, num_frames=3, last=99)) == [[0, 1, 2]]


def test_so_many_frames_each_way_whatever_lies_between_the_objects():
    prompted = {1: [0], 2: [50]}
    forward, before = plan_sweeps("both", prompted, num_frames=99, count=10)
    assert frames([forward, before]) == [[*range(10)], [*range(49, 39, -1)]]
    assert (forward.joins, before.joins) == ({1: 0}, {2: 49})
    assert frames(plan_sweeps("backward", prompted, num_frames=99, last=30, count=3)) == [[30, 29, 28]]
    assert frames(plan_sweeps("forward", prompted, num_frames=99, first=60, count=3)) == [[60, 61, 62]]
    assert frames(plan_sweeps("both", {1: [1]}, num_frames=3, count=10)) == [[1, 2], [0]]


def test_nothing_lies_before_the_first_frame():
    assert frames(plan_sweeps("both", {1: [0]}, num_frames=3)) == [[0, 1, 2]]


def test_prompts_that_move_on_the_way_move_the_start():
    forward, before = plan_sweeps("both", {1: [2], 2: [2]}, num_frames=6)
    (backward,) = plan_sweeps("backward", {1: [5], 2: [5]}, num_frames=6)
    moved = {1: [1, 4], 2: [3]}
    assert [forward.replan(moved).active(t) for t in forward.frames] == [[1], [1, 2], [1, 2], [1, 2]]
    assert [before.replan(moved).active(t) for t in before.frames] == [[2], [1, 2]]
    assert [backward.replan(moved).active(t) for t in backward.frames] == [[], [1], [1, 2], [1, 2], [1, 2], [1, 2]]
    assert forward.replan(moved).frames == forward.frames


def test_nothing_to_visit_is_an_error():
    with pytest.raises(PromptError, match=r"Nothing to follow forward on frames 0 to 5: the prompts are on \[7\]"):
        plan_sweeps("forward", {1: [7]}, num_frames=9, last=5)


def test_errors():
    with pytest.raises(PromptError, match="expected 'forward', 'backward' or 'both'"):
        plan_sweeps("up", {1: [0]}, num_frames=3)
    with pytest.raises(PromptError, match="No frames from 2 to 1: the movie has the frames 0 to 8"):
        plan_sweeps("forward", {1: [0]}, num_frames=9, first=2, last=1)
    with pytest.raises(PromptError, match="0 frames are none: ask for 1 or more"):
        plan_sweeps("forward", {1: [0]}, num_frames=9, count=0)


@given(
    prompted=st.dictionaries(st.integers(1, 5), st.lists(st.integers(0, 19), min_size=1), min_size=1),
    direction=st.sampled_from(["forward", "backward", "both"]),
)
def test_both_ways_visit_every_frame_once_for_each_object(prompted, direction):
    sweeps = plan_sweeps(direction, prompted, num_frames=20)
    for object_id, prompts in prompted.items():
        visited = [t for sweep in sweeps for t in sweep.frames if object_id in sweep.active(t)]
        assert len(visited) == len(set(visited))
        expected = {
            "forward": range(min(prompts), 20),
            "backward": range(max(prompts) + 1),
            "both": range(20),
        }[direction]
        assert sorted(visited) == list(expected)
