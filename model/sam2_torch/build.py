"""From a config or a file to a network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils._pytree import tree_map

from sam2_torch.checkpoint import check_fit, read_weights, recognize
from sam2_torch.config import SAM2Config
from sam2_torch.network import SAM2


def build(config: SAM2Config) -> SAM2:
    """A network with fresh weights, in evaluation mode."""
    return SAM2(config).eval()


def load(path: str | Path, config: SAM2Config | None = None) -> SAM2:
    """A network with the weights of a file, float32, in evaluation mode.

    Parameters
    ----------
    path
        `.safetensors`, or a published `.pt`.
    config
        The architecture; recognized from the file by default.

    Raises
    ------
    CheckpointError
        If the file is unreadable, hostile, or of another architecture.
    """
    weights = read_weights(path)
    config = config or recognize(weights)
    with torch.device("meta"):
        model = SAM2(config)
    check_fit(model.state_dict(), weights, config)
    model.load_state_dict({k: v.float() for k, v in weights.items()}, strict=True, assign=True)
    return model.requires_grad_(False).eval()


def compile_for_cuda(model: SAM2) -> None:
    """Compile the heavy parts with CUDA graphs, in place; parameter names stay as they are.

    When a second number of objects or of memories comes, a part is compiled once more, for any number of them.
    """
    for part in (model.image_encoder, model.memory_attention, model.memory_encoder, model.sam_mask_decoder.transformer):
        part.forward = _owned(torch.compile(part.forward, mode="reduce-overhead"))  # type: ignore[method-assign]


def _owned(run: Callable[..., Any]) -> Callable[..., Any]:
    """What a CUDA graph returns is overwritten by its next run, so hand out copies."""

    def copied(*args: Any, **kwargs: Any) -> Any:
        torch.compiler.cudagraph_mark_step_begin()
        return tree_map(lambda x: x.clone() if isinstance(x, torch.Tensor) else x, run(*args, **kwargs))

    return copied
