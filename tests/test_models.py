"""Models by name and by file."""

import builtins

import pytest
import torch
from safetensors.torch import save_file

from napari_sam2.errors import CheckpointError, NapariSam2Error
from napari_sam2.models import MODEL_NAMES, load_model
from sam2_torch.config import CELL


def test_the_bundled_model():
    model = load_model("cell", device="cpu")
    assert MODEL_NAMES == ("cell",)
    assert model.config == CELL
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_the_bundled_file_is_small_and_anyone_may_read_it(repository):
    path = repository / "model" / "sam2_torch" / "weights" / "cell.safetensors"
    assert path.stat().st_size < 25e6
    assert path.stat().st_mode & 0o044 == 0o044


def test_own_weights_by_path(tmp_path):
    weights = {k: v.contiguous() for k, v in load_model(device="cpu").state_dict().items()}
    save_file(weights, tmp_path / "mine.safetensors")
    assert load_model(tmp_path / "mine.safetensors", device="cpu").config == CELL


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(CheckpointError, match=r"There is no model 'sam9'. Choose one of cell, or give the path"):
        load_model("sam9")


def test_a_torch_that_cannot_be_loaded_is_explained(monkeypatch):
    real = builtins.__import__

    def fails(name, *args, **kwargs):
        if name == "sam2_torch.build":
            raise OSError("[WinError 1114] c10.dll")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", fails)
    with pytest.raises(NapariSam2Error, match="start napari with `napari-sam2 gui`"):
        load_model("cell")
