"""Attention as the mask decoder and memory attention use it, under the checkpoints' parameter names."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_torch.positions import rotate


class Attention(nn.Module):
    """Multi-head attention with separate projections, optionally in a narrower space (Attention of SAM).

    Parameters
    ----------
    dim
        Width of queries and of the result.
    num_heads
        Number of heads.
    inner_dim
        Width in which attention happens; `dim` by default.
    key_dim
        Width of keys and values; `dim` by default.
    """

    def __init__(self, dim: int, num_heads: int, *, inner_dim: int | None = None, key_dim: int | None = None) -> None:
        super().__init__()
        inner_dim, key_dim = inner_dim or dim, key_dim or dim
        self.num_heads = num_heads
        self.q_proj = nn.Linear(dim, inner_dim)
        self.k_proj = nn.Linear(key_dim, inner_dim)
        self.v_proj = nn.Linear(key_dim, inner_dim)
        self.out_proj = nn.Linear(inner_dim, dim)

    def _heads(self, tokens_bnc: Tensor) -> Tensor:
        heads: Tensor = tokens_bnc.unflatten(-1, (self.num_heads, -1))
        return heads.transpose(1, 2)  # (B, N, heads, c) -> (B, heads, N, c)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Queries (B, Q, dim), keys and values (B, K, key_dim) -> (B, Q, dim)."""
        out = F.scaled_dot_product_attention(
            self._heads(self.q_proj(q)), self._heads(self.k_proj(k)), self._heads(self.v_proj(v))
        )
        return self.out_proj(out.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class RotaryAttention(Attention):
    """Attention whose queries and keys are turned by their place on the token grid (RoPEAttention of SAM 2)."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, *, table: Tensor, num_unrotated: int = 0) -> Tensor:  # type: ignore[override]
        """As `Attention`, with the rotary `table` of the grid; the last `num_unrotated` keys keep their direction."""
        queries, keys, values = self._heads(self.q_proj(q)), self._heads(self.k_proj(k)), self._heads(self.v_proj(v))
        queries = rotate(queries, table)
        num_rotated = keys.shape[-2] - num_unrotated
        turned = rotate(keys[:, :, :num_rotated], table)
        keys = turned if num_unrotated == 0 else torch.cat([turned, keys[:, :, num_rotated:]], dim=-2)
        out = F.scaled_dot_product_attention(queries, keys, values)
        return self.out_proj(out.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]
