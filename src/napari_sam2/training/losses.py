"""Losses of one prediction: mask, predicted IoU, object score."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_torch.outputs import MaskPrediction


@dataclass(frozen=True, slots=True)
class Loss:
    """The sum to minimize, and the mean IoU of the chosen masks of present objects (for the log)."""

    total: Tensor
    iou: Tensor


def prediction_loss(
    prediction: MaskPrediction, truth: Tensor, *, max_weight: float, judged: Tensor | None = None
) -> Loss:
    """Loss of N objects on one frame, masks compared at half of the window's resolution.

    Only the best of the candidates is trained as a mask, all of them predict their IoU; an absent object trains the
    object score alone (Ravi et al. 2024, appendix D.2).

    Parameters
    ----------
    prediction
        Candidates (N, M, 4h, 4w).
    truth : (N, 16h, 16w) float, 0 or 1
    max_weight
        Positive pixels weigh as all negative ones together, but at most so much each; without this, masks of small
        objects collapse to nothing.
    judged : (N,) bool
        Which objects count; by default all.
    """
    present = truth.flatten(1).any(1)
    target = F.avg_pool2d(truth[:, None], 2)  # (N, 1, 8h, 8w)
    logits = F.interpolate(prediction.candidates.float(), scale_factor=2.0, mode="bilinear")
    per_mask = balanced_cross_entropy(logits, target, max_weight) + dice(logits, target)  # (N, M)
    true_iou = intersection_over_union(logits.detach() > 0, target > 0.5)
    best = per_mask.amin(1)
    counts = torch.ones_like(present) if judged is None else judged
    weight = (present & counts).float()
    count = weight.sum().clamp(min=1)
    iou_error = (prediction.candidate_ious.float() - true_iou).square().mean(1)
    score = F.binary_cross_entropy_with_logits(prediction.object_score.float(), present.float(), counts.float())
    score = score * len(counts) / counts.sum().clamp(min=1)
    total = (weight * (best + 2 * iou_error)).sum() / count + 0.5 * score
    chosen = prediction.candidate_ious.argmax(1)
    iou = (weight * true_iou.gather(1, chosen[:, None])[:, 0]).sum() / count
    return Loss(total, iou)


def balanced_cross_entropy(logits: Tensor, target: Tensor, max_weight: float) -> Tensor:
    """(N, M): cross-entropy with positive pixels weighted up to balance the negative ones."""
    positive = target.mean((-2, -1), keepdim=True)
    weight = ((1 - positive) / positive.clamp(min=1e-4)).clamp(1.0, max_weight)
    loss = -(weight * target * F.logsigmoid(logits) + (1 - target) * F.logsigmoid(-logits))
    # Divided by the weight of the object, not of the window: a small object's outline counts as much as a large one's.
    return loss.mean((-2, -1)) / (2 * weight * positive).clamp(min=0.05)[..., 0, 0]


def dice(logits: Tensor, target: Tensor) -> Tensor:
    """(N, M): one minus the soft overlap."""
    p = logits.sigmoid()
    overlap = (p * target).sum((-2, -1))
    return 1 - (2 * overlap + 1) / (p.sum((-2, -1)) + target.sum((-2, -1)) + 1)


def intersection_over_union(masks: Tensor, target: Tensor) -> Tensor:
    """(N, M) for masks (N, M, H, W) against (N, 1, H, W), both bool; two empty masks agree."""
    both = (masks & target).sum((-2, -1))
    either = (masks | target).sum((-2, -1))
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)
