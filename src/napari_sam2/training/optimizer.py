"""AdamW and its learning rates: by stage, by part of the network, by depth in the trunk."""

import math
import re
from collections.abc import Iterable
from typing import Any

import torch

from napari_sam2.training.dense import DenseHeads
from napari_sam2.training.settings import Stage, TrainSettings
from sam2_torch.network import SAM2

_BLOCK = re.compile(r"\.trunk\.(?:downsample\.(\d+)|stages\.(\d+)\.(\d+)|blocks\.(\d+))")


def learning_rate(settings: TrainSettings, step: int) -> float:
    """Linear warm-up and cosine decay to a fiftieth, in each of the stages."""
    stage = settings.stage(step)
    at = step - stage.first
    if at < stage.warm_up:
        return stage.rate * (at + 1) / stage.warm_up
    left = (at - stage.warm_up) / max(1, stage.steps - stage.warm_up)
    return stage.rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * left)))


def optimizer_of(model: SAM2, head: DenseHeads, settings: TrainSettings, stage: Stage) -> torch.optim.AdamW:
    """AdamW for the parts that learn in a stage; weight decay for matrices and kernels only."""
    depths = depth_factors((name for name, _ in model.named_parameters()), settings.layer_decay)
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    named = [(getattr(stage, part_of(name)) * depths[name], p) for name, p in model.named_parameters()]
    for factor, parameter in [*named, *((stage.heads, p) for p in head.parameters())]:
        decay = settings.weight_decay * (factor > 0 and parameter.ndim >= 2)
        groups.setdefault((factor, decay), []).append(parameter)
    listed: list[dict[str, Any]] = [
        {"params": parameters, "weight_decay": decay, "factor": factor}
        for (factor, decay), parameters in groups.items()
    ]
    return torch.optim.AdamW(listed, lr=stage.rate, betas=(0.9, 0.98), fused=next(model.parameters()).is_cuda)


def part_of(name: str) -> str:
    """Which part of the network a parameter belongs to, as `Stage` names them."""
    if name.startswith("image_encoder."):
        return "encoder"
    return "memory" if name.startswith(("memory_", "maskmem_", "obj_ptr_", "no_obj_")) else "heads"


def depth_factors(names: Iterable[str], decay: float) -> dict[str, float]:
    """Factor on the rate of each parameter: `decay` for every block between it and the end of the trunk; others 1."""
    depths = {name: _block(name) for name in names}
    order = sorted({block for block in depths.values() if block is not None})
    factors = {block: decay ** (len(order) - 1 - k) for k, block in enumerate(order)}
    return {name: 1.0 if block is None else factors[block] for name, block in depths.items()}


def _block(name: str) -> tuple[int, int] | None:
    """Stage and block of a parameter of the trunk; what comes before a stage goes with its first block."""
    if ".trunk." not in name:
        return None
    found = _BLOCK.search(name)
    if found is None:
        return (0, 0)  # patch embedding and positions
    before, stage, block, of_hiera = found.groups()
    return (int(before or stage or 0), int(block or of_hiera or 0))
