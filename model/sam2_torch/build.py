"""From a config or a file to a network."""

from pathlib import Path

import torch

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
