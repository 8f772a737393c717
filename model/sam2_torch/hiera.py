"""The Hiera trunk of SAM 2 (Ryali et al. 2023; Ravi et al. 2024, section 4), channels last inside."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_torch.attention import attend
from sam2_torch.blocks import MLP, in_parts
from sam2_torch.config import HieraConfig


def partition_windows(x_bhwc: Tensor, size: int) -> tuple[Tensor, tuple[int, int]]:
    """Cut into windows of `size` x `size`, zero-padded at bottom and right.

    Returns the windows (B * windows, size, size, C) and the padded height and width.
    """
    b, h, w, c = x_bhwc.shape
    padded = (h + -h % size, w + -w % size)
    x = F.pad(x_bhwc, (0, 0, 0, padded[1] - w, 0, padded[0] - h))
    x = x.view(b, padded[0] // size, size, padded[1] // size, size, c)
    return x.transpose(2, 3).reshape(-1, size, size, c), padded


def join_windows(windows: Tensor, size: int, padded: tuple[int, int], shape: tuple[int, int]) -> Tensor:
    """Undo `partition_windows`: (B, H, W, C)."""
    rows, columns = padded[0] // size, padded[1] // size
    x = windows.view(-1, rows, columns, size, size, windows.shape[-1]).transpose(2, 3)
    return x.reshape(-1, *padded, windows.shape[-1])[:, : shape[0], : shape[1]]


def pool_2x2(x_bhwc: Tensor) -> Tensor:
    """Maximum over 2 x 2 tokens."""
    return F.max_pool2d(x_bhwc.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)


class WindowAttention(nn.Module):
    """Self-attention inside each window; queries are pooled 2 x 2 where a stage begins."""

    def __init__(self, dim: int, dim_out: int, num_heads: int, *, pools: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.pools = pools
        self.qkv = nn.Linear(dim, 3 * dim_out)
        self.proj = nn.Linear(dim_out, dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, dim) -> (B, H or H / 2, W or W / 2, dim_out)."""
        b, h, w, _ = x.shape
        qkv = self.qkv(x).reshape(b, h * w, 3, self.num_heads, -1)
        q, k, v = qkv.unbind(2)  # each (B, HW, heads, c)
        if self.pools:
            q = pool_2x2(q.reshape(b, h, w, -1))
            h, w = q.shape[1:3]
            q = q.reshape(b, h * w, self.num_heads, -1)
        out = attend(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        return self.proj(out.transpose(1, 2).reshape(b, h, w, -1))  # type: ignore[no-any-return]


class HieraBlock(nn.Module):
    """Windowed attention and MLP, both residual; the first block of stages 2 to 4 halves the grid.

    That block still attends in the previous stage's windows (MultiScaleBlock of SAM 2).
    """

    def __init__(self, dim: int, dim_out: int, num_heads: int, *, window: int, pools: bool) -> None:
        super().__init__()
        self.window = window
        self.pools = pools
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = WindowAttention(dim, dim_out, num_heads, pools=pools)
        self.norm2 = nn.LayerNorm(dim_out, eps=1e-6)
        self.mlp = MLP((dim_out, 4 * dim_out, dim_out), F.gelu)
        if dim != dim_out:
            self.proj = nn.Linear(dim, dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, dim) -> (B, H, W, dim_out), halved where the block pools."""
        normed = self.norm1(x)
        shortcut = pool_2x2(self.proj(normed)) if self.pools else x
        x = shortcut + (self._windowed(normed, shortcut.shape[1:3]) if self.window else self.attn(normed))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]

    def _windowed(self, normed: Tensor, shape: torch.Size) -> Tensor:
        windows, padded = partition_windows(normed, self.window)
        size = self.window
        if self.pools:
            size, padded = size // 2, (padded[0] // 2, padded[1] // 2)
        attended = in_parts(self.attn, windows, self.window**2 * self.attn.qkv.out_features)
        return join_windows(attended, size, padded, (shape[0], shape[1]))


class PatchEmbed(nn.Module):
    """Overlapping 7 x 7 patches at stride 4, (B, 3, H, W) -> (B, H / 4, W / 4, dim)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, 7, stride=4, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        """Embed patches, channels last."""
        return self.proj(x).permute(0, 2, 3, 1)  # type: ignore[no-any-return]


class Hiera(nn.Module):
    """Image trunk; returns the outputs of its four stages at strides 4, 8, 16, 32."""

    def __init__(self, config: HieraConfig) -> None:
        super().__init__()
        dim, heads = config.embed_dim, config.num_heads
        self.patch_embed = PatchEmbed(dim)
        self.pos_embed = nn.Parameter(torch.zeros(1, dim, *config.pos_embed_size))
        self.pos_embed_window = nn.Parameter(torch.zeros(1, dim, config.window_sizes[0], config.window_sizes[0]))
        self.blocks = nn.ModuleList()
        self.stage_ends: list[int] = []
        window = config.window_sizes[0]
        for stage, depth in enumerate(config.stages):
            for i in range(depth):
                pools = stage > 0 and i == 0
                dim_out = 2 * dim if pools else dim
                heads = 2 * heads if pools else heads
                size = 0 if len(self.blocks) in config.global_blocks else window
                self.blocks.append(HieraBlock(dim, dim_out, heads, window=size, pools=pools))
                dim, window = dim_out, config.window_sizes[stage]
            self.stage_ends.append(len(self.blocks) - 1)

    def _positions(self, height: int, width: int) -> Tensor:
        table = F.interpolate(self.pos_embed, size=(height, width), mode="bicubic")
        window = self.pos_embed_window
        rows, columns = -(-height // window.shape[2]), -(-width // window.shape[3])
        tiled = window.tile(1, 1, rows, columns)[:, :, :height, :width]
        return (table + tiled).permute(0, 2, 3, 1)  # (1, C, H, W) -> (1, H, W, C)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Normalized image (B, 3, H, W) -> four maps (B, C, H / stride, W / stride), finest first."""
        x = self.patch_embed(image)
        x = x + self._positions(x.shape[1], x.shape[2])
        outputs = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self.stage_ends:
                outputs.append(x.permute(0, 3, 1, 2))  # (B, H, W, C) -> (B, C, H, W)
        return outputs
