"""Attention as the mask decoder and memory attention use it, under the checkpoints' parameter names."""

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_torch.positions import rotate

QUERIES, KEYS = 2048, 2048
"""So many of each a CPU works on at a time."""


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Scaled dot-product attention, queries (..., Q, c), keys (..., K, c), values (..., K, d) -> (..., Q, d).

    torch's own, but where it is slow on a CPU: it has no fast way for values narrower than the keys, and is slower in
    bfloat16 than in float32.
    """
    is_slow = v.shape[-1] < k.shape[-1] or q.dtype == torch.bfloat16
    if q.device.type == "cpu" and is_slow and not torch.is_grad_enabled():
        return _attend_in_parts(q, k, v)
    return F.scaled_dot_product_attention(q, k, v.to(q.dtype))


def _likes_narrow_values(q: Tensor) -> bool:
    """Whether mixing values first and projecting them then is the faster way here, or torch has no fast way for it."""
    if torch.is_grad_enabled():
        return False
    return q.device.type == "cpu" or (q.device.type == "cuda" and q.dtype == torch.float32)


def _attend_in_parts(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention as it is written down, for some queries and keys at a time, so that their scores stay in the cache.

    The parts are weighted by their shares of the sum that the softmax over all keys would have divided by.
    """
    if q.dtype == torch.bfloat16:
        k = k - k.mean(-2, keepdim=True)  # softmax does not care, and smaller scores are rounded less
    queries, keys, values = (x.flatten(0, -3) for x in (q * q.shape[-1] ** -0.5, k.transpose(-1, -2), v.to(q.dtype)))
    out = torch.empty(*queries.shape[:-1], v.shape[-1], dtype=q.dtype)
    at_once = max(1, QUERIES // q.shape[-2])
    for first in range(0, len(queries), at_once):
        some = slice(first, first + at_once)
        for row in range(0, q.shape[-2], QUERIES):
            rows = slice(row, row + QUERIES)
            out[some, rows] = _attend_to_parts(queries[some, rows], keys[some], values[some])
    return out.reshape(*q.shape[:-1], v.shape[-1])


def _attend_to_parts(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Scaled queries (B, Q, c), keys (B, c, K), values (B, K, d) -> (B, Q, d), some keys at a time."""
    mixed, log_sum = torch.zeros(()), torch.tensor(-torch.inf)
    for first in range(0, keys.shape[-1], KEYS):
        part = slice(first, first + KEYS)
        scores = queries @ keys[..., part]
        weights = scores.softmax(-1)
        part_mixed = weights @ values[:, part]
        if keys.shape[-1] <= KEYS:
            return part_mixed
        # The largest weight is exp(largest score - log of the sum), so the sum need not be made once more.
        part_sum = scores.amax(-1, keepdim=True).float() - weights.amax(-1, keepdim=True).float().log()
        total = torch.logaddexp(log_sum, part_sum)
        mixed = mixed * (log_sum - total).exp() + part_mixed * (part_sum - total).exp()
        log_sum = total
    return mixed


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
        out = attend(self._heads(self.q_proj(q)), self._heads(self.k_proj(k)), self._heads(self.v_proj(v)))
        return self.out_proj(out.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class RotaryAttention(Attention):
    """One-head attention, queries and keys turned by their place on the token grid (RoPEAttention of SAM 2).

    Parameters
    ----------
    in_float32
        Queries and keys are compared in float32 whatever the arithmetic around.
    """

    def __init__(self, dim: int, *, key_dim: int | None = None, in_float32: bool = False) -> None:
        super().__init__(dim, 1, key_dim=key_dim)
        self.in_float32 = in_float32

    @property
    def exact(self) -> tuple[nn.Linear, ...]:
        """Projections that stay in float32."""
        return (self.q_proj, self.k_proj) if self.in_float32 else ()

    def forward(  # type: ignore[override]
        self, q: Tensor, k: Tensor, v: Tensor, *, tables: tuple[Tensor, Tensor], num_unrotated: int = 0
    ) -> Tensor:
        """As `Attention`, with rotary tables of queries and keys; the last `num_unrotated` keys keep their direction.

        Queries of one frame may serve many objects: (1, Q, dim) with keys (B, K, key_dim).
        """
        with self._comparison(q.device):
            keys = rotate(self.k_proj(k), tables[1], num_unrotated)
            queries = rotate(self.q_proj(q), tables[0]).expand(len(keys), -1, -1)
        # Weights add up to one, so values may be mixed first, narrow as they are, and projected then.
        narrow_first = _likes_narrow_values(queries) and v.shape[-1] < keys.shape[-1]
        values = v if narrow_first else self.v_proj(v)
        with self._comparison(q.device):
            mixed = attend(queries[:, None], keys[:, None], values[:, None])[:, 0]
        return self.out_proj(self.v_proj(mixed) if narrow_first else mixed)  # type: ignore[no-any-return]

    def _comparison(self, device: torch.device) -> AbstractContextManager[object]:
        return torch.autocast(device.type, enabled=False) if self.in_float32 else nullcontext()
