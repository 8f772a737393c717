"""The temporal rules, without a network."""

import pytest
import torch

from sam2_torch.memory_bank import BACKWARD, FORWARD, MemoryBank, MemoryRules, stack_selections
from sam2_torch.outputs import FrameMemory


def memory(frame: int) -> FrameMemory:
    """A memory that tells its frame."""
    return FrameMemory(torch.full((1, 2, 3, 3), float(frame)), torch.full((1, 4), float(frame)))


def frames_of(tensors) -> list[int]:
    return [int(t.flatten()[0]) for t in tensors]


def bank_with(prompted=(), recent=(), **rules) -> MemoryBank:
    bank = MemoryBank(MemoryRules(**rules))
    for t in prompted:
        bank.add(t, memory(t), prompted=True)
    for t in recent:
        bank.add(t, memory(t), prompted=False)
    return bank


def test_nothing_to_look_at_without_a_prompt():
    assert bank_with(recent=[1, 2]).select(3) is None


def test_prompted_frames_come_first_then_recent_ones_from_far_to_near():
    selection = bank_with(prompted=[0], recent=range(1, 10)).select(10, FORWARD)
    assert frames_of(selection.features) == [0, 4, 5, 6, 7, 8, 9]
    assert selection.steps.tolist() == [[0, 1, 2, 3, 4, 5, 6]]


def test_pointers_go_from_near_to_far_with_their_distances():
    selection = bank_with(prompted=[0], recent=range(1, 5)).select(5, FORWARD)
    assert frames_of(selection.pointers) == [0, 4, 3, 2, 1]
    assert selection.distances.tolist() == [[5, 1, 2, 3, 4]]
    assert selection.max_distance == 15


def test_fewer_recent_frames_keep_their_places_and_all_their_pointers():
    bank = bank_with(prompted=[0], recent=range(1, 21), max_recent=3)
    selection = bank.select(21, FORWARD)
    assert frames_of(selection.features) == [0, 18, 19, 20]
    assert selection.steps.tolist() == [[0, 4, 5, 6]], "counted as the model was trained"
    assert len(selection.pointers) == 1 + 15
    assert [t for t, kept in bank.recent.items() if kept.features is not None] == [18, 19, 20]


@pytest.mark.parametrize("more", [6, 7, 100])
def test_no_more_recent_frames_than_the_model_was_trained_with(more):
    bank = bank_with(prompted=[0], recent=range(1, 10), max_recent=more)
    assert frames_of(bank.select(10, FORWARD).features) == [0, 4, 5, 6, 7, 8, 9]


def test_backward_looks_at_later_frames():
    selection = bank_with(prompted=[10], recent=[9, 8, 7]).select(6, BACKWARD)
    assert frames_of(selection.features) == [10, 9, 8, 7]
    assert selection.steps.tolist() == [[0, 4, 5, 6]]
    assert frames_of(selection.pointers) == [10, 7, 8, 9]
    assert selection.distances.tolist() == [[4, 1, 2, 3]]


def test_a_future_prompt_is_looked_at_but_its_pointer_is_not():
    selection = bank_with(prompted=[0, 20], recent=[1, 2]).select(3, FORWARD)
    assert frames_of(selection.features) == [0, 20, 1, 2]
    assert frames_of(selection.pointers) == [0, 2, 1]


def test_a_missing_frame_is_skipped_and_the_others_keep_their_places():
    selection = bank_with(prompted=[0], recent=[2, 4]).select(5, FORWARD)
    assert frames_of(selection.features) == [0, 2, 4]
    assert selection.steps.tolist() == [[0, 4, 6]]


def test_at_most_the_closest_prompts_and_the_others_count_as_recent():
    bank = bank_with(prompted=[0, 7, 9, 30], max_prompted=2)
    selection = bank.select(10, FORWARD)
    assert sorted(frames_of(selection.features)[:2]) == [9, 30]
    assert frames_of(selection.features)[2:] == [7]
    assert frames_of(selection.pointers) == [9, 7, 0]


@pytest.mark.parametrize(("direction", "closest"), [(FORWARD, 9), (BACKWARD, 30)])
def test_a_single_prompt_is_the_last_one_passed(direction, closest):
    bank = bank_with(prompted=[0, 9, 30, 50], max_prompted=1)
    assert bank.select(20, direction).steps[0].tolist().count(0) == 1
    assert frames_of(bank.select(20, direction).features)[0] == closest
    assert frames_of(bank.select(60, direction).features)[0] == 50
    assert frames_of(bank.select(60 if direction == BACKWARD else -5, direction).features)[0] in (0, 50)


@pytest.mark.parametrize("direction", [FORWARD, BACKWARD])
def test_as_many_prompts_as_are_allowed_on_either_side(direction):
    """`select_closest_cond_frames`: one before, one after, then the nearest."""
    bank = bank_with(prompted=[0, 1, 2, 30, 60], max_prompted=3)
    assert set(frames_of(bank.select(10, direction).features)) == {2, 30, 1}
    assert set(frames_of(bank.select(50, direction).features)) == {60, 30, 2}
    assert bank.select(10, direction).steps[0].tolist() == [0, 0, 0]


def test_a_prompt_hides_what_was_tracked_before_it_if_asked_to():
    bank = bank_with(prompted=[0, 7], recent=[4, 5, 6, 8, 9], restart_at_prompts=True)
    assert frames_of(bank.select(10, FORWARD).features) == [0, 7, 8, 9]
    assert bank.select(10, FORWARD).distances.tolist() == [[10, 3, 1, 2]]
    assert frames_of(bank.select(7, FORWARD).features) == [0, 7, 4, 5, 6], "on the frame itself it hides nothing"
    assert frames_of(bank.select(4, BACKWARD).features) == [0, 7, 6, 5]
    assert bank.missing(10, FORWARD) == []
    assert bank.missing(3, BACKWARD) == [], "frames beyond the prompt would not be looked at"
    as_in_the_original = bank_with(prompted=[0, 7], recent=[4, 5, 6, 8, 9])
    assert frames_of(as_in_the_original.select(10, FORWARD).features) == [0, 7, 4, 5, 6, 8, 9]


def test_what_is_needed_to_go_the_other_way_is_kept_until_then():
    bank, unbounded = bank_with(prompted=[20]), bank_with(prompted=[20])
    bank.turn = 19
    for t in range(21, 90):
        bank.add(t, memory(t), prompted=False)
        unbounded.recent[t] = memory(t)
    assert len(bank.recent) == 14 + 15
    for t in range(19, 0, -1):
        a, b = bank.select(t, BACKWARD), unbounded.select(t, BACKWARD)
        assert frames_of(a.features) == frames_of(b.features)
        assert a.distances.tolist() == b.distances.tolist()
        bank.turn = None
        bank.add(t, memory(t), prompted=False)
        unbounded.recent[t] = memory(t)
    assert len(bank.recent) == 15


def test_size_does_not_grow_with_the_movie():
    bank = bank_with(prompted=[0])
    sizes = []
    for t in range(1, 200):
        bank.add(t, memory(t), prompted=False)
        with_features = [m for m in bank.recent.values() if m.features is not None]
        sizes.append((len(bank), len(with_features)))
    assert max(size for size, _ in sizes) == 16
    assert max(size for _, size in sizes) == 6


def test_bounded_bank_selects_what_an_unbounded_one_would():
    bounded, unbounded = bank_with(prompted=[0]), bank_with(prompted=[0])
    for t in range(1, 60):
        a, b = bounded.select(t, FORWARD), unbounded.select(t, FORWARD)
        assert frames_of(a.features) == frames_of(b.features)
        assert frames_of(a.pointers) == frames_of(b.pointers)
        bounded.add(t, memory(t), prompted=False)
        unbounded.recent[t] = memory(t)


def test_a_prompt_replaces_what_was_tracked_and_is_forgotten_whole():
    bank = bank_with(prompted=[0], recent=[1, 2])
    bank.add(2, memory(2), prompted=True)
    assert sorted(bank.prompted) == [0, 2]
    assert sorted(bank.recent) == [1]
    bank.forget(2)
    assert frames_of(bank.select(3).features) == [0, 1]


def test_missing_tells_the_frames_to_rebuild():
    bank = bank_with(prompted=[0], recent=range(1, 51))
    assert bank.missing(51, FORWARD) == []
    assert bank.missing(20, FORWARD) == list(range(5, 20))
    assert bank.missing(3, FORWARD)[-2:] == [1, 2]
    assert bank.missing(38, BACKWARD) == [53, 52, 51, *range(44, 38, -1)], "those beyond need their pointers only"


def test_a_restored_bank_selects_what_one_that_forgot_nothing_would():
    unbounded, bounded = bank_with(prompted=[0]), bank_with(prompted=[0], recent=range(1, 50))
    unbounded.recent = {t: memory(t) for t in range(1, 50)}
    for direction, here in ((FORWARD, 20), (BACKWARD, 12)):
        for t in bounded.missing(here, direction):
            kept = memory(t) if bounded.reads_features(t, here) else memory(t).pointer_only()
            bounded.restore(t, kept)
        bounded.prune(here - direction)
        a, b = bounded.select(here, direction), unbounded.select(here, direction)
        assert frames_of(a.features) == frames_of(b.features)
        assert a.distances.tolist() == b.distances.tolist()
        assert len(bounded.recent) <= 15 + 14


def test_stacked_selections_keep_the_objects_apart():
    first, second = bank_with(prompted=[0], recent=[1]).select(2), bank_with(prompted=[5], recent=[1]).select(2)
    assert first.layout == bank_with(prompted=[0], recent=[1]).select(2).layout
    stacked = stack_selections([first, first])
    assert stacked.features[0].shape == (2, 2, 3, 3)
    assert stacked.steps.tolist() == [[0, 6], [0, 6]]
    assert first.layout != second.layout  # the second's prompt lies ahead, so it has one pointer fewer


@pytest.mark.parametrize("direction", [FORWARD, BACKWARD])
def test_the_first_step_away_from_a_prompt(direction):
    selection = bank_with(prompted=[10]).select(10 + direction, direction)
    assert frames_of(selection.features) == [10]
    assert selection.distances.tolist() == [[1]]


def test_anchors_are_far_apart_and_the_latest():
    bank = bank_with(prompted=[0], anchors=2, anchor_every=10)
    kept = []
    for t in range(1, 50):
        bank.add(t, memory(t), prompted=False)
        kept.append(list(bank.anchors))
    assert kept[-1] == [30, 40]
    assert [20, 30] in kept and [10, 20] in kept
    assert all(len(anchors) <= 2 for anchors in kept)


def test_the_original_has_no_anchors():
    bank = bank_with(prompted=[0], recent=range(1, 50))
    assert bank.anchors == {}


def test_an_anchor_is_looked_at_like_a_prompted_frame_once_it_is_recent_no_more():
    bank = bank_with(prompted=[0], recent=range(1, 17), anchors=3, anchor_every=5)
    assert list(bank.anchors) == [5, 10]
    selection = bank.select(17)
    assert frames_of(selection.features) == [0, 5, 10, 11, 12, 13, 14, 15, 16]
    assert selection.steps.tolist() == [[0, 0, 0, 1, 2, 3, 4, 5, 6]]
    assert frames_of(selection.pointers) == [0, *range(16, 1, -1)], "no pointer of its own"
    bank.restore(10, memory(10))
    near = bank.select(12)
    assert frames_of(near.features) == [0, 5, 10, 11]
    assert near.steps.tolist() == [[0, 0, 5, 6]], "a recent one has its own place"


def test_no_frame_is_looked_at_twice_with_anchors():
    bank = bank_with(prompted=[0], anchors=4, anchor_every=1)
    for t in range(1, 60):
        frames = frames_of(bank.select(t).features)
        assert len(frames) == len(set(frames))
        bank.add(t, memory(t), prompted=False)
    assert len(bank.anchors) == 4


def test_a_prompted_frame_keeps_anchors_away():
    bank = bank_with(prompted=[0, 12], recent=[*range(1, 12), *range(13, 40)], anchors=9, anchor_every=10)
    assert list(bank.anchors) == [22, 32]


def test_anchors_are_forgotten_with_their_frames():
    bank = bank_with(prompted=[0], recent=range(1, 40), anchors=3, anchor_every=10)
    assert list(bank.anchors) == [10, 20, 30]
    bank.forget(20)
    assert list(bank.anchors) == [10, 30]
    bank.clear_recent()
    assert bank.anchors == bank.recent == {}
    assert sorted(bank.prompted) == [0]


def test_a_skipped_frame_leaves_the_others():
    bank = bank_with(prompted=[0], recent=[1, 2, 3])
    bank.skip(4)
    assert frames_of(bank.select(5).features) == [0, 1, 2, 3]
    assert bank.select(5).steps.tolist() == [[0, 3, 4, 5]], "each at its own distance"
    bank.skip(3)
    assert frames_of(bank.select(5).features) == [0, 1, 2], "and is forgotten if it was known"


def test_what_is_too_long_ago_is_forgotten_though_frames_are_skipped():
    bank = bank_with(prompted=[0], recent=[1, 2])
    for t in range(3, 8):
        bank.skip(t)
    assert [m.features is None for m in bank.recent.values()] == [True, False]
    for t in range(8, 20):
        bank.skip(t)
    assert bank.recent == {}
    assert frames_of(bank.select(20).features) == [0]
