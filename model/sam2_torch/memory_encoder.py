"""Memory encoder: a frame's features and an object's mask on it become a frame memory."""

from torch import Tensor, nn

from sam2_torch.blocks import ConvNeXtBlock, LayerNorm2d
from sam2_torch.config import SAM2Config


class MaskDownsampler(nn.Module):
    """Four strided convolutions, (B, 1, 16h, 16w) -> (B, C, h, w)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential()
        channels = 1
        for _ in range(4):
            self.encoder.extend(
                [nn.Conv2d(channels, 4 * channels, 3, stride=2, padding=1), LayerNorm2d(4 * channels), nn.GELU()]
            )
            channels *= 4
        self.encoder.append(nn.Conv2d(channels, dim, 1))

    def forward(self, mask: Tensor) -> Tensor:
        """Downsample a mask at pixel resolution to stride 16."""
        return self.encoder(mask)  # type: ignore[no-any-return]


class Fuser(nn.Module):
    """Two ConvNeXt blocks."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ConvNeXtBlock(dim) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> same."""
        for layer in self.layers:
            x = layer(x)
        return x


class MemoryEncoder(nn.Module):
    """Frame features plus downsampled mask, fused and narrowed (MemoryEncoder of SAM 2)."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        self.mask_downsampler = MaskDownsampler(config.width)
        self.pix_feat_proj = nn.Conv2d(config.width, config.width, 1)
        self.fuser = Fuser(config.width)
        self.out_proj = nn.Conv2d(config.width, config.memory_width, 1)

    def forward(self, frame: Tensor, mask: Tensor) -> Tensor:
        """Raw frame features (B or 1, C, h, w), mask scaled to -10..10 (B, 1, 16h, 16w) -> (B, C_m, h, w)."""
        x = self.pix_feat_proj(frame) + self.mask_downsampler(mask)
        return self.out_proj(self.fuser(x))  # type: ignore[no-any-return]
