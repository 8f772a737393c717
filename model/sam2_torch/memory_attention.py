"""Memory attention: frame features look at what the object was on earlier frames."""

import torch.nn.functional as F
from torch import Tensor, nn

from sam2_torch.attention import RotaryAttention
from sam2_torch.blocks import in_parts
from sam2_torch.config import SAM2Config
from sam2_torch.positions import rotary_table, sine_positions_2d


class MemoryAttentionLayer(nn.Module):
    """Pre-norm self-attention, cross-attention to memories, feed-forward (MemoryAttentionLayer of SAM 2)."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        dim = config.width
        self.self_attn = RotaryAttention(dim)
        self.cross_attn_image = RotaryAttention(dim, key_dim=config.memory_width)
        self.linear1 = nn.Linear(dim, config.memory_hidden)
        self.linear2 = nn.Linear(config.memory_hidden, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, *, table: Tensor, num_pointer_tokens: int) -> Tensor:
        """Frame tokens (B or 1, hw, C), memory keys and values (B, K, C_m) -> (B, hw, C)."""
        y = self.norm1(x)
        x = x + self.self_attn(y, y, y, table=table)
        y = self.norm2(x)
        x = x + self.cross_attn_image(y, keys, values, table=table, num_unrotated=num_pointer_tokens)
        return x + in_parts(self._feed_forward, x.flatten(0, 1)).unflatten(0, x.shape[:2])  # type: ignore[no-any-return]

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(F.relu(self.linear1(self.norm3(x)), inplace=True))  # type: ignore[no-any-return]


class MemoryAttention(nn.Module):
    """A stack of layers and a last norm; frame positions enter once, at a tenth."""

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        self.layers = nn.ModuleList(MemoryAttentionLayer(config) for _ in range(config.memory_layers))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, frame: Tensor, memory: Tensor, memory_pos: Tensor, *, num_pointer_tokens: int) -> Tensor:
        """Condition a frame on memories.

        Parameters
        ----------
        frame : (B or 1, C, h, w)
            What does not depend on the object is computed once for a frame that all objects share.
        memory, memory_pos : (B, K, C_m)
            K = n * h * w frame-memory tokens, then `num_pointer_tokens` of object pointers.

        Returns
        -------
        (B, C, h, w)
        """
        channels, height, width = frame.shape[1:]
        position = sine_positions_2d(height, width, channels, device=frame.device)
        x = (frame + 0.1 * position).flatten(2).transpose(1, 2)  # (B, C, h, w) -> (B, hw, C)
        table = rotary_table(height, width, channels, device=frame.device)
        keys = memory + memory_pos
        for layer in self.layers:
            x = layer(x, keys, memory, table=table, num_pointer_tokens=num_pointer_tokens)
        return self.norm(x).transpose(1, 2).unflatten(2, (height, width))  # type: ignore[no-any-return]
