"""The dense helper's loss."""

import numpy as np
import torch
import torch.nn.functional as F

from napari_sam2.training.clips import dense_targets
from napari_sam2.training.dense import DenseHeads, dense_loss
from sam2_torch.config import CELL
from sam2_torch.outputs import FrameFeatures


def test_saying_the_truth_costs_less_than_saying_nothing():
    labels = np.zeros((128, 128), np.uint16)
    labels[16:80, 24:88] = 3
    target = torch.from_numpy(dense_targets(labels))[None].float()
    levels = []
    for size in (1, 2, 4):
        shares = F.avg_pool2d(target[:, :2], size).clamp(0.01, 0.99)
        middle = size // 2
        levels.append(torch.cat([shares.logit(), target[:, 2:, middle::size, middle::size]], dim=1))
    nothing = [torch.zeros_like(level) for level in levels]
    assert dense_loss(levels, target) < 0.5 * dense_loss(nothing, target)
    assert dense_loss(levels[:1], target) < 0.05


def test_each_level_speaks_for_itself():
    heads = DenseHeads(CELL)
    features = FrameFeatures(torch.randn(2, 128, 4, 4), torch.randn(2, 32, 8, 8), torch.randn(2, 16, 16, 16))
    assert [tuple(level.shape) for level in heads(features)] == [(2, 4, 16, 16), (2, 4, 8, 8), (2, 4, 4, 4)]
