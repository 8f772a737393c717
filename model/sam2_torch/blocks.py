"""Small blocks shared by the parts of the network."""

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NUMBERS = 3 * 2**20
"""So many a CPU makes at a time where tokens or pixels are worked on one by one: they fit its cache."""


def in_parts(function: Callable[[Tensor], Tensor], x: Tensor, width: int) -> Tensor:
    """`function` of (N, ...), in which no row looks at another, on a CPU some rows at a time.

    What is made on the way stays in the cache then, and in memory that was used before.

    Parameters
    ----------
    width
        How many numbers are made of a row, at the widest.
    """
    rows = max(1, NUMBERS // width)
    if len(x) <= rows or x.device.type != "cpu" or torch.is_grad_enabled():
        return function(x)
    first = function(x[:rows])
    out = first.new_empty(len(x), *first.shape[1:])
    out[:rows] = first
    for i in range(rows, len(x), rows):
        out[i : i + rows] = function(x[i : i + rows])
    return out


class LayerNorm2d(nn.Module):
    """Layer norm over the channels of each pixel, (B, C, H, W) -> same."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalize each pixel over its channels."""
        x = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class MLP(nn.Module):
    """Linear layers with an activation between them; parameters are named `layers.i`."""

    def __init__(
        self,
        dims: tuple[int, ...],
        activation: Callable[[Tensor], Tensor] = F.relu,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(dims))
        self.activation = activation
        self.width = max(dims)

    def forward(self, x: Tensor) -> Tensor:
        """(..., dims[0]) -> (..., dims[-1])."""
        return in_parts(self._rows, x.flatten(0, -2), self.width).unflatten(0, x.shape[:-1])  # type: ignore[no-any-return]

    def _rows(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)  # type: ignore[no-any-return]


class ConvNeXtBlock(nn.Module):
    """Depthwise 7 x 7, norm per pixel, two pointwise layers, layer scale, residual (CXBlock of SAM 2)."""

    def __init__(self, dim: int, *, expansion: int = 4, layer_scale: float = 1e-6) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = LayerNorm2d(dim)
        self.pwconv1 = nn.Linear(dim, expansion * dim)
        self.pwconv2 = nn.Linear(expansion * dim, dim)
        self.gamma = nn.Parameter(layer_scale * torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """(B, dim, H, W) -> same."""
        y: Tensor = self.dwconv(x).permute(0, 2, 3, 1)  # (B, C, H, W) -> (B, H, W, C)
        y = in_parts(self._pixels, y.flatten(0, 2), self.pwconv1.out_features).unflatten(0, y.shape[:3])
        return x + y.permute(0, 3, 1, 2)

    def _pixels(self, y: Tensor) -> Tensor:
        y = F.layer_norm(y, self.norm.weight.shape, self.norm.weight, self.norm.bias, self.norm.eps)
        return self.gamma * self.pwconv2(F.gelu(self.pwconv1(y)))  # type: ignore[no-any-return]
