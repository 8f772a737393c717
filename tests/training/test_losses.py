"""The losses: what they reward."""

import pytest
import torch

from napari_sam2.training.losses import balanced_cross_entropy, dice, intersection_over_union, prediction_loss
from sam2_torch.outputs import MaskPrediction


def prediction(logits, ious, score):
    return MaskPrediction(
        logits=logits[:, :1],
        predicted_iou=ious[:, 0],
        object_score=torch.full((len(logits),), float(score)),
        pointer=torch.zeros(len(logits), 4),
        candidates=logits,
        candidate_ious=ious,
    )


@pytest.fixture
def truth():
    mask = torch.zeros(1, 64, 64)
    mask[:, 16:32, 16:48] = 1
    return mask


@pytest.fixture
def right(truth):
    return torch.nn.functional.avg_pool2d(truth[:, None], 4) * 20 - 10


def test_a_right_mask_costs_less_than_none_and_a_wrong_one(right, truth):
    ious = torch.ones(1, 1)
    good = prediction_loss(prediction(right, ious, 10), truth, max_weight=5)
    empty = prediction_loss(prediction(torch.full_like(right, -10), ious * 0, 10), truth, max_weight=5)
    inverse = prediction_loss(prediction(-right, ious, 10), truth, max_weight=5)
    assert good.total < 0.2 < empty.total < inverse.total
    assert good.iou > 0.9
    assert empty.iou == 0


def test_only_the_best_candidate_is_trained_as_a_mask(right, truth):
    logits = torch.cat([right, torch.zeros_like(right), -right], 1).requires_grad_()
    prediction_loss(prediction(logits, torch.full((1, 3), 0.5), 5), truth, max_weight=5).total.backward()
    gradient = logits.grad.abs().sum((0, 2, 3))
    assert gradient[0] > 0
    assert gradient[1:].tolist() == [0, 0]


def test_an_absent_object_trains_the_score_alone(right):
    logits = right.clone().requires_grad_()
    ious = torch.full((1, 1), 0.5, requires_grad=True)
    nothing = torch.zeros(1, 64, 64)
    loss = prediction_loss(prediction(logits, ious, 3), nothing, max_weight=5)
    loss.total.backward()
    assert logits.grad.abs().sum() == 0
    assert loss.total > prediction_loss(prediction(right, ious, -3), nothing, max_weight=5).total


def test_dice_and_overlap():
    target = torch.zeros(1, 1, 8, 8)
    target[..., :4] = 1
    perfect, half = target * 40 - 20, torch.full((1, 1, 8, 8), 20.0)
    assert dice(perfect, target) == pytest.approx(0, abs=1e-4)
    assert dice(half, target) == pytest.approx(1 - 65 / 97, abs=1e-4)
    assert intersection_over_union(half > 0, target > 0.5) == 0.5
    assert intersection_over_union(target > 2, target > 2) == 1


def test_a_small_object_counts_as_much_as_a_large_one():
    small, large = torch.zeros(1, 1, 64, 64), torch.zeros(1, 1, 64, 64)
    small[..., :8, :8], large[..., :32, :32] = 1, 1
    nothing = torch.full((1, 1, 64, 64), -5.0)
    a, b = (balanced_cross_entropy(nothing, t, 5.0).item() for t in (small, large))
    assert a == pytest.approx(b, rel=0.25)


def test_what_is_not_judged_costs_nothing(right, truth):
    both = torch.cat([truth, truth])
    logits = torch.cat([right, -right]).requires_grad_()
    judged = torch.tensor([True, False])
    loss = prediction_loss(prediction(logits, torch.ones(2, 1), 10), both, max_weight=5, judged=judged)
    loss.total.backward()
    alone = prediction_loss(prediction(right, torch.ones(1, 1), 10), truth, max_weight=5)
    assert loss.total.item() == pytest.approx(alone.total.item(), abs=1e-5)
    assert loss.iou == alone.iou
    assert logits.grad[1].abs().sum() == 0
    nobody = prediction_loss(prediction(logits, torch.ones(2, 1), 10), both, max_weight=5, judged=judged & False)
    assert nobody.total == 0
