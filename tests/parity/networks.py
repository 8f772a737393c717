"""Networks whose weights are the same on every machine, without any checkpoint."""

import torch

from parity.reference import spec
from sam2_torch.build import build
from sam2_torch.config import HieraConfig, SAM2Config
from sam2_torch.network import SAM2

REDUCED = SAM2Config(
    "reduced",
    HieraConfig(embed_dim=32, stages=(1, 1, 3, 1), global_blocks=(3,)),
    image_size=128,
    width=128,
    memory_layers=2,
    memory_hidden=256,
    decoder_hidden=256,
)
"""Every part of a SAM 2.1, each as small as it can be."""


def filled(config: SAM2Config) -> SAM2:
    """A network in evaluation mode, every tensor made from its name."""
    model = build(config)
    weights = {k: torch.from_numpy(spec.fill(k, tuple(v.shape), salt="b")) for k, v in model.state_dict().items()}
    model.load_state_dict(weights)
    return model.requires_grad_(False)


def filled_and_present(config: SAM2Config) -> SAM2:
    """As `filled`, but no object is ever called absent, which most would be: then there are masks to compare."""
    model = filled(config)
    model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.add_(10)
    return model
