"""How sure a mask is, and why it is not: the formula, without a network."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2.confidence import SIGNS, UNKNOWN, Signs, confidences, reason, row_of, signs_of
from napari_sam2.masklets import FrameMask, Masklet
from napari_sam2.overlaps import SeenMask, lost_shares, resolve_overlaps

SHAPE = (100, 100)


def block(y0, x0, y1, x1, *, score=6.0, iou=0.95, signs=UNKNOWN, frame=0):
    return FrameMask(frame, 1, (y0, x0, y1, x1), np.ones((y1 - y0, x1 - x0), bool), score, iou, signs)


def why(mask):
    return reason(np.array([row_of(mask)], SIGNS), 0)


def test_a_steady_mask_of_a_sure_model_is_sure():
    mask = block(40, 40, 60, 60)
    steady = replace(mask, signs=signs_of(mask, block(41, 42, 61, 61), SHAPE))
    assert steady.confidence == pytest.approx(0.95, abs=0.01)
    assert why(steady) == ""


@pytest.mark.parametrize(
    ("mask", "before", "text"),
    [
        (block(40, 40, 48, 60), block(40, 40, 60, 60), "area fell to 0.4 times that before"),
        (block(40, 40, 60, 60), block(40, 40, 48, 60), "area grew to 2.5 times that before"),
        (block(40, 70, 60, 90), block(40, 40, 60, 60), "moved 1.3 diameters"),
        (block(40, 40, 60, 60, score=-0.5), None, "object score -0.5"),
        (block(40, 40, 60, 60, iou=0.4), None, "predicted IoU 0.40"),
    ],
)
def test_what_is_wrong_is_named(mask, before, text):
    mask = replace(mask, signs=signs_of(mask, before, SHAPE))
    assert why(mask).split("; ")[0] == text
    assert mask.confidence < 0.7


def test_the_worst_cause_comes_first():
    mask = block(40, 40, 60, 60, iou=0.8, signs=Signs(area_change=0.2, jump=1.0, lost=0.35, lost_to=7))
    assert (
        why(mask)
        == "area fell to 0.2 times that before; moved 1.0 diameters; lost 35 % to object 7; predicted IoU 0.80"
    )


def test_masks_at_the_border_are_a_little_less_sure():
    inside, outside = (replace(m, signs=signs_of(m, None, SHAPE)) for m in (block(1, 1, 9, 9), block(0, 1, 9, 9)))
    assert 0.9 * inside.confidence < outside.confidence < inside.confidence


numbers = st.floats(0.01, 100)


@given(score=st.floats(-9, 9), iou=st.floats(0, 1), change=numbers, jump=numbers, lost=st.floats(0, 1))
def test_no_cause_makes_a_mask_surer(score, iou, change, jump, lost):
    mask = block(0, 0, 4, 4, score=score, iou=iou, signs=Signs(change, jump, lost))
    worse = [
        replace(mask, score=score - 1),
        replace(mask, predicted_iou=iou / 2),
        replace(mask, signs=Signs(change / 2 if change <= 1 else 2 * change, jump, lost)),
        replace(mask, signs=Signs(change, 2 * jump, lost)),
        replace(mask, signs=Signs(change, jump, (1 + lost) / 2)),
        replace(mask, signs=Signs(change, jump, lost, at_border=True)),
    ]
    assert 0 <= mask.confidence <= 1
    assert all(other.confidence <= mask.confidence + 1e-12 for other in worse)


def test_many_masks_at_once_are_as_sure_as_one_by_one():
    masklet = Masklet(1)
    for t, lost in ((3, 0.5), (1, 0.0), (8, 0.25)):
        masklet.add(block(4, 4, 9, 9, frame=t, signs=Signs(0.5 + t, None, lost, 2)))
    table = masklet.signs()
    assert table["frame"].tolist() == [1, 3, 8]
    assert confidences(table).tolist() == [mask.confidence for mask in masklet.values()]
    assert [mask.signs.lost for mask in masklet.values()] == [0.0, 0.5, 0.25]


def test_no_masks():
    assert confidences(Masklet(1).signs()).tolist() == []


def test_pixels_lost_to_others_are_counted():
    seen = {
        1: SeenMask(np.ones((1, 10), np.float32), (0, 0), 3, 0.9),
        2: SeenMask(np.full((1, 4), 2, np.float32), (0, 7), 3, 0.9),
        3: SeenMask(np.full((2, 1), 3, np.float32), (0, 0), 3, 0.9),
    }
    won = resolve_overlaps(seen, (5, 20))
    assert lost_shares(seen, won) == {1: (0.4, 2)}
