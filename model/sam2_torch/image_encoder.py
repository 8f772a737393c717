"""Trunk and feature pyramid: a frame becomes features at strides 4, 8 and 16."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_torch.blocks import ConvNeXtBlock, LayerNorm2d
from sam2_torch.config import ConvTrunkConfig, HieraConfig
from sam2_torch.hiera import Hiera


class ConvTrunk(nn.Module):
    """Four stages of ConvNeXt blocks; every norm is per pixel, so a feature depends on its surroundings alone.

    A frame of any size can be encoded in one pass, and a window cut from it is the same wherever it is cut.
    """

    def __init__(self, config: ConvTrunkConfig) -> None:
        super().__init__()
        self.downsample = nn.ModuleList()
        self.stages = nn.ModuleList()
        before = 3
        for i, (width, depth) in enumerate(zip(config.widths, config.depths, strict=True)):
            stride = (
                nn.Conv2d(before, width, 7, stride=4, padding=3)
                if i == 0
                else nn.Conv2d(before, width, 3, stride=2, padding=1)
            )
            self.downsample.append(nn.Sequential(stride, LayerNorm2d(width)))
            blocks = [ConvNeXtBlock(width, expansion=config.expansion, layer_scale=0.1) for _ in range(depth)]
            self.stages.append(nn.Sequential(*blocks))
            before = width

    def forward(self, image: Tensor) -> list[Tensor]:
        """Normalized image (B, 3, H, W) -> four maps (B, C, H / stride, W / stride), finest first."""
        outputs = []
        x = image
        for down, stage in zip(self.downsample, self.stages, strict=True):
            x = stage(down(x))
            outputs.append(x)
        return outputs


class Neck(nn.Module):
    """Feature pyramid: 1 x 1 laterals, coarse to fine by name; stride 32 flows into stride 16 only (FpnNeck)."""

    def __init__(self, widths: tuple[int, ...], dim: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        for width in reversed(widths):
            level = nn.Sequential()
            level.add_module("conv", nn.Conv2d(width, dim, 1))
            self.convs.append(level)

    def forward(self, levels: list[Tensor], narrow4: nn.Conv2d, narrow8: nn.Conv2d) -> list[Tensor]:
        """Trunk outputs, finest first -> maps at strides 4, 8, 16.

        Parameters
        ----------
        narrow4, narrow8
            1 x 1 convolutions that strides 4 and 8 go through next; they are never made at the pyramid's full width.

        Returns
        -------
        Three maps, as wide as the two convolutions make them, and (B, dim, h, w).
        """
        fine4, fine8, middle, coarse = levels
        conv32, conv16, conv8, conv4 = (cast(nn.Conv2d, level.conv) for level in self.convs)
        middle = conv16(middle)
        # The original upsamples in float32, whatever the autocast.
        up = F.interpolate(conv32(coarse).float(), scale_factor=2.0, mode="nearest").to(middle.dtype)
        stride16 = middle + up[..., : middle.shape[-2], : middle.shape[-1]]
        return [_in_one(fine4, conv4, narrow4), _in_one(fine8, conv8, narrow8), stride16]


def _in_one(x: Tensor, first: nn.Conv2d, then: nn.Conv2d) -> Tensor:
    """Two 1 x 1 convolutions with nothing between them are one."""
    weight, narrow = first.weight.flatten(1), then.weight.flatten(1).to(first.weight.dtype)
    bias = torch.addmv(cast(Tensor, then.bias).to(weight.dtype), narrow, cast(Tensor, first.bias))
    return F.conv2d(x, (narrow @ weight)[..., None, None], bias)


class ImageEncoder(nn.Module):
    """Trunk and neck under the checkpoints' names."""

    def __init__(self, trunk: HieraConfig | ConvTrunkConfig, dim: int) -> None:
        super().__init__()
        self.trunk = Hiera(trunk) if isinstance(trunk, HieraConfig) else ConvTrunk(trunk)
        self.neck = Neck(trunk.widths, dim)

    def forward(self, image: Tensor, narrow4: nn.Conv2d, narrow8: nn.Conv2d) -> list[Tensor]:
        """Normalized image (B, 3, H, W) -> features at strides 4, 8, 16, see `Neck`."""
        return self.neck(self.trunk(image), narrow4, narrow8)  # type: ignore[no-any-return]


def normalize(image_bchw: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Image in 0..1 -> zero mean and unit variance per channel."""
    shape = (1, 3, 1, 1)
    mean_ = torch.tensor(mean, dtype=image_bchw.dtype, device=image_bchw.device).view(shape)
    std_ = torch.tensor(std, dtype=image_bchw.dtype, device=image_bchw.device).view(shape)
    return (image_bchw - mean_) / std_
