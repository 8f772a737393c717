"""Prompts become tokens (clicks, box corners) and a dense map (masks)."""

from typing import cast

import torch
from torch import Tensor, nn

from sam2_torch.blocks import LayerNorm2d
from sam2_torch.config import SAM2Config
from sam2_torch.positions import RandomFourier

NEGATIVE, POSITIVE, BOX_FIRST, BOX_LAST, NOT_A_POINT = 0, 1, 2, 3, -1


class PromptEncoder(nn.Module):
    """Sparse and dense prompt embeddings (PromptEncoder of SAM)."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        dim, mask_dim = config.width, 16
        self.pe_layer = RandomFourier(dim, config.fourier_scale)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, dim) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, dim)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, mask_dim // 4, 2, stride=2),
            LayerNorm2d(mask_dim // 4),
            nn.GELU(),
            nn.Conv2d(mask_dim // 4, mask_dim, 2, stride=2),
            LayerNorm2d(mask_dim),
            nn.GELU(),
            nn.Conv2d(mask_dim, dim, 1),
        )
        self.no_mask_embed = nn.Embedding(1, dim)

    def sparse(self, xy_bp2: Tensor, labels_bp: Tensor, size: tuple[int, int]) -> Tensor:
        """Points in pixels of an image of `size` (height, width), labels -1..3 -> tokens (B, P + 1, C).

        One padding point that is none is always appended, as in the original video predictor.
        """
        xy = torch.cat([xy_bp2, xy_bp2.new_zeros(len(xy_bp2), 1, 2)], dim=1)
        labels = torch.cat([labels_bp, labels_bp.new_full((len(labels_bp), 1), NOT_A_POINT)], dim=1)[..., None]
        scale = torch.tensor([size[1], size[0]], dtype=xy.dtype, device=xy.device)
        tokens = self.pe_layer((xy + 0.5) / scale)
        tokens = torch.where(labels == NOT_A_POINT, self.not_a_point_embed.weight, tokens)
        for label, embedding in enumerate(self.point_embeddings):
            tokens = tokens + (labels == label) * cast(nn.Embedding, embedding).weight
        return tokens

    def dense(self, mask_logits_b1hw: Tensor) -> Tensor:
        """Mask logits at stride 4 -> dense embedding (B, C, h, w) at stride 16."""
        return self.mask_downscaling(mask_logits_b1hw)  # type: ignore[no-any-return]

    def no_mask(self, height: int, width: int) -> Tensor:
        """The dense embedding where no mask is given, (1, C, height, width)."""
        return self.no_mask_embed.weight[:, :, None, None].expand(-1, -1, height, width)


class PromptMap(nn.Module):
    """Clicks and boxes drawn into the mask-prompt path, which tells a small network *where* at once.

    A map at stride 4 that starts from the previous logits, else from a filled box (2 inside, -4 outside), else
    from -4 everywhere; each click adds (positive) or takes away (negative) a Gaussian of height 8. No parameters.
    """

    def __init__(self, sigma: float = 5.0) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, xy_bp2: Tensor, labels_bp: Tensor, previous_b1hw: Tensor | None, grid: tuple[int, int]) -> Tensor:
        """Points in pixels, labels -1..3, previous logits or None -> (B, 1, *grid), `grid` at stride 4."""
        y = 4 * torch.arange(grid[0], device=xy_bp2.device, dtype=torch.float32) + 1.5
        x = 4 * torch.arange(grid[1], device=xy_bp2.device, dtype=torch.float32) + 1.5
        base = self._box(xy_bp2, labels_bp, y, x) if previous_b1hw is None else previous_b1hw.clamp(-4, 4)
        to_x = (x - xy_bp2[..., 0:1])[:, :, None, :]  # (B, P, 1, W)
        to_y = (y - xy_bp2[..., 1:2])[:, :, :, None]  # (B, P, H, 1)
        bump = torch.exp(-(to_x**2 + to_y**2) / (2 * self.sigma**2))
        sign = (labels_bp == POSITIVE).float() - (labels_bp == NEGATIVE).float()
        return base + 8 * (sign[:, :, None, None] * bump).sum(1, keepdim=True)

    @staticmethod
    def _box(xy: Tensor, labels: Tensor, y: Tensor, x: Tensor) -> Tensor:
        def corner(label: int) -> Tensor:
            chosen = (labels == label)[..., None]
            return torch.where(chosen, xy, torch.full_like(xy, -1e6)).amax(1)  # (B, 2), far away without a box

        first, last = corner(BOX_FIRST)[:, :, None, None], corner(BOX_LAST)[:, :, None, None]
        inside_x = (x >= first[:, 0]) & (x <= last[:, 0])  # (B, 1, W)
        inside_y = (y[:, None] >= first[:, 1]) & (y[:, None] <= last[:, 1])  # (B, H, 1)
        return torch.where(inside_x & inside_y, 2.0, -4.0)[:, None]
