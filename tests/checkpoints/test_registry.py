"""The entries of the registry, as far as they can be checked without a network."""

import re

import pytest
import torch

from napari_sam2.checkpoints.record import sha256
from napari_sam2.checkpoints.registry import CHECKPOINTS, find
from napari_sam2.errors import CheckpointError
from sam2_torch.build import build
from sam2_torch.config import CELL, OFFICIAL

PUBLISHED = [checkpoint for checkpoint in CHECKPOINTS.values() if checkpoint.bundled is None]


def test_the_names_are_what_a_person_would_type():
    sizes = ["tiny", "small", "base-plus", "large"]
    assert list(CHECKPOINTS) == ["cell", *(f"{v}-{size}" for v in ("sam2.1", "sam2") for size in sizes)]


def test_all_official_networks_are_there_once():
    assert sorted(checkpoint.config for checkpoint in PUBLISHED) == sorted(OFFICIAL)
    assert len({checkpoint.sha256 for checkpoint in PUBLISHED}) == len(PUBLISHED)


@pytest.mark.parametrize("checkpoint", PUBLISHED, ids=lambda c: c.name)
def test_an_entry_fits_the_network_it_names(checkpoint):
    config = OFFICIAL[checkpoint.config]
    version, size = checkpoint.name.removeprefix("sam2").split("-", 1)
    assert config.version == ((version.removeprefix(".") and "2.1") or "2.0")
    assert config.name.endswith(size.replace("-", "_"))
    assert checkpoint.file_name == f"{checkpoint.config}.pt"
    assert checkpoint.url.startswith("https://dl.fbaipublicfiles.com/segment_anything_2/")
    with torch.device("meta"):
        tensors = build(config).state_dict().values()
    # PyTorch adds some 250 to 350 bytes to each tensor: its name, its shape, and where it is.
    overhead = (checkpoint.size - sum(4 * tensor.numel() for tensor in tensors)) / len(tensors)
    assert 200 < overhead < 400


@pytest.mark.parametrize("checkpoint", CHECKPOINTS.values(), ids=lambda c: c.name)
def test_hash_and_licence(checkpoint):
    assert re.fullmatch("[0-9a-f]{64}", checkpoint.sha256)
    assert checkpoint.licence == "Apache-2.0"


def test_the_bundled_weights_are_those_of_the_registry():
    cell = CHECKPOINTS["cell"]
    assert cell.config == CELL.name
    found = (cell.bundled.stat().st_size, sha256(cell.bundled))
    assert found == (cell.size, cell.sha256), "other weights are bundled: put their size and hash into registry.py"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("sam2.1-tinny", "sam2.1-tiny"), ("SAM2-Large", "sam2-large"), ("sam2.1_hiera_large", "sam2.1-large")],
)
def test_a_mistyped_name_is_guessed(typed, meant):
    with pytest.raises(CheckpointError, match=re.escape(f"There is no model {typed!r}. Did you mean {meant!r}?")):
        find(typed)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(CheckpointError, match=r"There is no model 'resnet'\. Choose one of cell, sam2\.1-tiny, .*path"):
        find("resnet")
