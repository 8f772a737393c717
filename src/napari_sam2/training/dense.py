"""A helper in training: every pixel says whether it is cell, whether it is outline, and where its cell's centre lies.

A few clicked objects an image teach the trunk little, and slowly; all cells at once teach it what a cell is. The heads
that say so are dropped after training: what is shipped is SAM 2's parts alone.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_torch.config import SAM2Config
from sam2_torch.outputs import FrameFeatures


class DenseHeads(nn.Module):
    """One linear layer on each level of the features, so that each of them carries what the mask decoder needs."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        widths = (config.width // 8, config.width // 4, config.width)
        self.out = nn.ModuleList(nn.Conv2d(width, 4, 1) for width in widths)

    def forward(self, features: FrameFeatures) -> list[Tensor]:
        """(B, 4, h, w) at strides 4, 8 and 16: logits of cell and of outline, offset to the centre (y, x)."""
        levels = (features.stride4, features.stride8, features.stride16)
        return [out(level) for out, level in zip(self.out, levels, strict=True)]


def dense_loss(predicted: list[Tensor], target: Tensor) -> Tensor:
    """Cross-entropy of cell and outline and absolute error of the offset inside cells, mean over the levels.

    Parameters
    ----------
    predicted
        From `DenseHeads`.
    target : (B, 4, h, w)
        From `clips.dense_targets`, at stride 4; offsets in cell diameters.
    """
    losses = []
    for level, logits in enumerate(predicted):
        # Cell and outline as shares of the larger pixel, the offset as it is at its middle.
        shares = F.avg_pool2d(target[:, :2], 2**level)
        middle = 2**level // 2
        offsets = target[:, 2:, middle :: 2**level, middle :: 2**level]
        is_cell = target[:, :1, middle :: 2**level, middle :: 2**level] > 0.5
        losses.append(_level_loss(logits.float(), shares, offsets, is_cell.float()))
    return torch.stack(losses).mean()


def _level_loss(predicted: Tensor, shares: Tensor, offsets: Tensor, inside: Tensor) -> Tensor:
    cell = F.binary_cross_entropy_with_logits(predicted[:, 0], shares[:, 0])
    weight = torch.tensor(3.0, device=predicted.device)
    outline = F.binary_cross_entropy_with_logits(predicted[:, 1], shares[:, 1], pos_weight=weight)
    error = (inside * (predicted[:, 2:] - offsets).abs()).sum() / inside.sum().clamp(min=1)
    return cell + outline + 2 * error
