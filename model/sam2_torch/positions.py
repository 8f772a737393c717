"""Positions: sine tables, random Fourier features of points, axial rotary angles."""

import math
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec

import torch
from torch import Tensor, nn

P = ParamSpec("P")


def _table(function: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Keep the last tables: each frame asks for the same ones."""

    def plain(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        with torch.inference_mode(False), torch.no_grad():  # so that training may use them, too
            return function(*args, **kwargs)

    keep: Callable[..., Tensor] = lru_cache(maxsize=16)(plain)

    @wraps(function)
    def table(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        return function(*args, **kwargs) if torch.compiler.is_compiling() else keep(*args, **kwargs)

    return table


Grid = tuple[int, int]
"""Height and width in tokens."""


def first_token(grid: Grid, frame: Grid) -> Grid:
    """Row and column at which a grid begins that is the middle of the grid `frame`."""
    return (frame[0] - grid[0]) // 2, (frame[1] - grid[1]) // 2


@_table
def sine_positions_2d(grid: Grid, frame: Grid, dim: int, *, device: torch.device | None = None) -> Tensor:
    """Sine table of a grid, the middle of that of a frame; channels are y then x, sine and cosine interleaved.

    Coordinates start at 1 and are scaled so that the frame's last is 2 pi (PositionEmbeddingSine of SAM 2).

    Returns
    -------
    (1, dim, height, width) float32
    """
    per_axis = dim // 2
    index = torch.arange(per_axis, dtype=torch.float32, device=device)
    period = 10000 ** (2 * (index // 2) / per_axis)

    def axis(first: int, length: int, of: int) -> Tensor:
        coordinate = torch.arange(first + 1, first + length + 1, dtype=torch.float32, device=device)
        angle = (coordinate / (of + 1e-6) * 2 * math.pi)[:, None] / period
        return torch.stack([angle[:, 0::2].sin(), angle[:, 1::2].cos()], dim=-1).flatten(1).t()

    first = first_token(grid, frame)
    y, x = (axis(*of_axis) for of_axis in zip(first, grid, frame, strict=True))
    return torch.cat([y[:, :, None].expand(-1, -1, grid[1]), x[:, None, :].expand(-1, grid[0], -1)])[None]


def sine_positions_1d(positions: Tensor, dim: int) -> Tensor:
    """Sine table of scalars, (...) -> (..., dim); all sines, then all cosines (get_1d_sine_pe of SAM 2)."""
    half = dim // 2
    index = torch.arange(half, dtype=torch.float32, device=positions.device)
    angle = positions[..., None] / 10000 ** (2 * (index // 2) / half)
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


class RandomFourier(nn.Module):
    """Positions as sines and cosines of fixed random projections (PositionEmbeddingRandom of SAM)."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, dim: int, scale: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", scale * torch.randn(2, dim // 2))

    def forward(self, xy: Tensor) -> Tensor:
        """Points (..., 2), x and y in 0..1 -> (..., dim)."""
        x, y = (2 * xy.float() - 1).unbind(-1)
        across, down = self.positional_encoding_gaussian_matrix
        # Not a matrix product: under autocast that would round positions to bfloat16.
        angle = 2 * math.pi * (x[..., None] * across + y[..., None] * down)
        return torch.cat([angle.sin(), angle.cos()], dim=-1)

    def grid(self, grid: Grid, frame: Grid) -> Tensor:
        """Positions of token centres of a grid, the middle of that of a frame, (1, dim, height, width)."""
        device = self.positional_encoding_gaussian_matrix.device
        y, x = (
            (torch.arange(first, first + length, device=device, dtype=torch.float32) + 0.5) / of
            for first, length, of in zip(first_token(grid, frame), grid, frame, strict=True)
        )
        xy = torch.stack([x[None, :].expand(grid[0], -1), y[:, None].expand(-1, grid[1])], dim=-1)
        return self.forward(xy).permute(2, 0, 1)[None]  # (H, W, C) -> (1, C, H, W)


@_table
def rotary_table(grid: Grid, frame: Grid, dim: int, *, device: torch.device | None = None) -> Tensor:
    """Axial rotary angles of a grid, the middle of that of a frame; x turns the first half, y the second.

    Returns
    -------
    (2, height * width, dim / 2) float32, cosine and sine
    """
    frequency = 1.0 / 10000 ** (torch.arange(0, dim, 4, dtype=torch.float32, device=device)[: dim // 4] / dim)
    token = torch.arange(grid[0] * grid[1], device=device, dtype=torch.float32)
    top, left = first_token(grid, frame)
    x, y = token % grid[1] + left, torch.div(token, grid[1], rounding_mode="floor") + top
    angle = torch.cat([x[:, None] * frequency, y[:, None] * frequency], dim=-1)
    return torch.stack([angle.cos(), angle.sin()])


def rotate(tokens: Tensor, table: Tensor, num_unrotated: int = 0) -> Tensor:
    """Turn adjacent channel pairs of (..., N, c) by the angles of `table` (2, n, c / 2); n may be repeated in N.

    The last `num_unrotated` tokens keep their direction. The tokens given are overwritten if that saves memory.
    """
    turning = tokens[..., : tokens.shape[-2] - num_unrotated, :]
    pairs = turning.unflatten(-1, (-1, 2)).unflatten(-3, (-1, table.shape[1]))  # (..., N / n, n, c / 2, 2)
    pairs = pairs.float()
    if tokens.device.type == "cpu" and not torch.is_grad_enabled():
        torch.view_as_complex(pairs).mul_(torch.complex(*table))  # one pass over memory, where torch else makes six
        if tokens.dtype != torch.float32:
            turning.copy_(pairs.flatten(-4, -3).flatten(-2))
        return tokens
    (even, odd), (cos, sin) = pairs.unbind(-1), table
    turned = torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1)
    turned = turned.flatten(-4, -3).flatten(-2).to(tokens.dtype)
    return torch.cat([turned, tokens[..., turning.shape[-2] :, :]], dim=-2) if num_unrotated else turned
