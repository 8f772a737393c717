"""Names and shapes of all eight published checkpoints."""

import json

import pytest
import torch

from parity.reference import FOLDER
from sam2_torch.build import build
from sam2_torch.config import CELL, OFFICIAL

MANIFEST = json.loads((FOLDER / "state_dicts.json").read_text())


@pytest.mark.parametrize("name", sorted(OFFICIAL))
def test_keys_and_shapes_are_those_of_the_checkpoint(name: str) -> None:
    with torch.device("meta"):
        weights = build(OFFICIAL[name]).state_dict()
    assert {k: list(v.shape) for k, v in weights.items()} == MANIFEST[name]


def test_every_published_checkpoint_has_a_config() -> None:
    assert set(OFFICIAL) == set(MANIFEST)


def test_cell_model_is_small() -> None:
    with torch.device("meta"):
        weights = build(CELL).state_dict()
    assert sum(v.numel() for v in weights.values()) < 12e6
