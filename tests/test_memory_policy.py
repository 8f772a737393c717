"""Which masks are trusted enough to be remembered."""

import math

import numpy as np
import pytest

from napari_sam2.errors import PromptError
from napari_sam2.memory_policy import CELLS, ORIGINAL, POLICIES, MemoryPolicy, find_policy
from napari_sam2.overlaps import SeenMask


def square(side=10, at=(0, 0), score=5.0, iou=0.9):
    """A square mask with its corner at a place."""
    return SeenMask(np.ones((side, side), np.float32), at, score, iou)


NOTHING = SeenMask(np.empty((0, 0), np.float32), (0, 0), -5.0, 0.1)


@pytest.mark.parametrize("last", [None, square(), NOTHING])
@pytest.mark.parametrize("seen", [square(), square(80, (500, 500), -20, 0), NOTHING])
@pytest.mark.parametrize("policy", [ORIGINAL, CELLS])
def test_without_rules_everything_is_trusted(policy, seen, last):
    assert policy.trusts(seen, last)


def test_an_object_that_is_not_seen_is_not_trusted():
    policy = MemoryPolicy(min_score=0.0)
    assert policy.trusts(square(score=0.1), None)
    assert not policy.trusts(square(score=0.0), None)
    assert not policy.trusts(NOTHING, square())


def test_a_mask_that_the_model_thinks_bad_is_not_trusted():
    policy = MemoryPolicy(min_iou=0.7)
    assert policy.trusts(square(iou=0.7), square())
    assert not policy.trusts(square(iou=0.69), square())
    assert not policy.trusts(square(iou=0.69), None)


@pytest.mark.parametrize(("side", "trusted"), [(10, True), (14, True), (15, False), (8, True), (7, False), (30, False)])
def test_a_mask_that_grows_or_shrinks_at_once_is_not_trusted(side, trusted):
    policy = MemoryPolicy(max_change=2)
    assert policy.trusts(square(side), square()) == trusted


def test_a_mask_that_jumps_is_not_trusted():
    policy, diameter = MemoryPolicy(max_jump=1.5), 2 * math.sqrt(100 / math.pi)
    assert policy.trusts(square(at=(0, int(1.5 * diameter))), square())
    assert not policy.trusts(square(at=(0, int(1.5 * diameter) + 1)), square())
    assert not policy.trusts(square(at=(12, 12)), square()), "both ways count"
    assert policy.trusts(square(30, at=(0, 0)), square()), "growing is no jump"


@pytest.mark.parametrize(("seen", "last"), [(square(90, (400, 0)), None), (square(), NOTHING), (NOTHING, square())])
def test_there_is_nothing_to_compare_an_empty_mask_with(seen, last):
    assert MemoryPolicy(max_jump=0.1, max_change=1.1).trusts(seen, last)


def test_policies_have_names():
    assert find_policy("original") is ORIGINAL
    assert find_policy("cells") is CELLS
    assert set(POLICIES) == {"original", "cells"}
    assert CELLS.competes and not ORIGINAL.competes
    own = MemoryPolicy(max_change=3)
    assert find_policy(own) is own


def test_a_name_that_is_none_is_answered_with_those_there_are():
    with pytest.raises(PromptError, match="there is no memory policy 'cell'; choose from: original, cells"):
        find_policy("cell")
