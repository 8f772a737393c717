"""Memory attention: frame features look at what the object was on earlier frames."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_torch.attention import RotaryAttention
from sam2_torch.blocks import in_parts
from sam2_torch.config import SAM2Config
from sam2_torch.positions import Grid, rotary_table, sine_positions_2d


class MemoryAttentionLayer(nn.Module):
    """Pre-norm self-attention, cross-attention to memories, feed-forward (MemoryAttentionLayer of SAM 2)."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        dim = config.width
        exact = config.scores_in_float32
        self.self_attn = RotaryAttention(dim, in_float32=exact)
        self.cross_attn_image = RotaryAttention(dim, key_dim=config.memory_width, in_float32=exact)
        self.linear1 = nn.Linear(dim, config.memory_hidden)
        self.linear2 = nn.Linear(config.memory_hidden, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)

    def forward(
        self, x: Tensor, keys: Tensor, values: Tensor, *, tables: tuple[Tensor, Tensor], num_pointer_tokens: int
    ) -> Tensor:
        """Frame tokens (B or 1, hw, C), memory keys and values (B, K, C_m), rotary tables of both -> (B, hw, C)."""
        y = self.norm1(x)
        x = x + self.self_attn(y, y, y, tables=(tables[0], tables[0]))
        y = self.norm2(x)
        x = x + self.cross_attn_image(y, keys, values, tables=tables, num_unrotated=num_pointer_tokens)
        return x + in_parts(self._feed_forward, x.flatten(0, 1), self.linear1.out_features).unflatten(0, x.shape[:2])  # type: ignore[no-any-return]

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(F.relu(self.linear1(self.norm3(x)), inplace=True))  # type: ignore[no-any-return]


class MemoryAttention(nn.Module):
    """A stack of layers and a last norm; frame positions enter once, at a tenth."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        self.layers = nn.ModuleList(MemoryAttentionLayer(config) for _ in range(config.memory_layers))
        self.norm = nn.LayerNorm(config.width)

    def forward(
        self,
        frame: Tensor,
        memory: Tensor,
        memory_pos: Tensor,
        *,
        num_pointer_tokens: int,
        whole: Grid | None = None,
        grids: tuple[Grid, ...] | None = None,
    ) -> Tensor:
        """Condition a frame on memories.

        Parameters
        ----------
        frame : (B or 1, C, h, w)
            What does not depend on the object is computed once for a frame that all objects share.
        memory, memory_pos : (B, K, C_m)
            Frame-memory tokens, then `num_pointer_tokens` of object pointers.
        whole
            See `FrameFeatures`; by default (h, w).
        grids
            Of the memories; each is the middle of the same `whole`. By default all are (h, w).

        Returns
        -------
        (B, C, h, w)
        """
        channels, height, width = frame.shape[1:]
        grid = (height, width)
        whole = whole or grid
        position = sine_positions_2d(grid, whole, channels, device=frame.device)
        x = (frame + 0.1 * position).flatten(2).transpose(1, 2)  # (B, C, h, w) -> (B, hw, C)
        grids = grids or (grid,)
        grids = grids[:1] if len(set(grids)) == 1 else grids  # a table is repeated by whoever reads it
        of_keys = torch.cat([rotary_table(g, whole, channels, device=frame.device) for g in grids], dim=1)
        tables = rotary_table(grid, whole, channels, device=frame.device), of_keys
        keys = memory + memory_pos
        for layer in self.layers:
            x = layer(x, keys, memory, tables=tables, num_pointer_tokens=num_pointer_tokens)
        return self.norm(x).transpose(1, 2).unflatten(2, (height, width))  # type: ignore[no-any-return]
