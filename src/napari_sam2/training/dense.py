"""A helper in training: every pixel says whether it is cell, whether it is outline, and where its cell's centre lies.

A few clicked objects an image teach the trunk little, and slowly; all cells at once teach it what a cell is. The head
that says so is dropped after training: what is shipped is SAM 2's parts alone.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_torch.config import SAM2Config
from sam2_torch.outputs import FrameFeatures


class DenseHead(nn.Module):
    """One linear layer on the features at strides 4, 8 and 16, brought to stride 4."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        width = config.width + config.width // 4 + config.width // 8
        self.out = nn.Conv2d(width, 4, 1)

    def forward(self, features: FrameFeatures) -> Tensor:
        """(B, 4, 4h, 4w): logits of cell and of outline, offset to the cell's centre in cell diameters (y, x)."""
        size = features.stride4.shape[-2:]
        levels = [
            features.stride4,
            F.interpolate(features.stride8, size=size, mode="bilinear"),
            F.interpolate(features.stride16, size=size, mode="bilinear"),
        ]
        return self.out(torch.cat(levels, dim=1))  # type: ignore[no-any-return]


def dense_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of cell and outline, absolute error of the offset inside cells.

    Parameters
    ----------
    predicted : (B, 4, h, w)
        From `DenseHead`.
    target : (B, 4, h, w)
        From `clips.dense_targets`.
    """
    predicted = predicted.float()
    cell = F.binary_cross_entropy_with_logits(predicted[:, 0], target[:, 0])
    weight = torch.tensor(3.0, device=predicted.device)
    outline = F.binary_cross_entropy_with_logits(predicted[:, 1], target[:, 1], pos_weight=weight)
    inside = (target[:, :1] > 0.5).float()
    offset = (inside * (predicted[:, 2:] - target[:, 2:]).abs()).sum() / inside.sum().clamp(min=1)
    return cell + outline + 2 * offset
