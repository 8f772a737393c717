"""Models by name and by file."""

import builtins
import io

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import napari_sam2
from checkpoints.loopback import serving
from napari_sam2.checkpoints.registry import CHECKPOINTS
from napari_sam2.errors import CheckpointError, DownloadError, NapariSam2Error
from napari_sam2.models import download_model, load_model
from sam2_torch.build import build
from sam2_torch.config import CELL, TINY, windowed


def test_the_bundled_model():
    model = load_model("cell", device="cpu")
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


def test_a_published_model_may_be_shown_windows_and_the_bundled_one_always_is(tmp_path):
    save_file(dict(build(TINY).state_dict()), tmp_path / "tiny.safetensors")
    assert load_model(tmp_path / "tiny.safetensors", device="cpu").config == TINY
    assert load_model(tmp_path / "tiny.safetensors", device="cpu", windows=True).config == windowed(TINY)
    assert load_model("cell", device="cpu", windows=True).config == CELL


@pytest.mark.parametrize("name", ["sam9", "sam2.1-huge"])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(CheckpointError, match=rf"There is no model '{name}'\..* Choose one of cell, sam2\.1-tiny"):
        load_model(name)


def test_a_file_that_is_not_there_is_not_taken_for_a_name(tmp_path):
    with pytest.raises(CheckpointError, match="No weights file at"):
        load_model(tmp_path / "mine.pt")


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A model known by name whose weights are on a server on this machine."""
    monkeypatch.setenv("NAPARI_SAM2_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NAPARI_SAM2_OFFLINE", raising=False)
    content = io.BytesIO()
    torch.save({"model": load_model("cell", device="cpu").state_dict()}, content)
    with serving(content.getvalue()) as server:
        monkeypatch.setitem(CHECKPOINTS, "sam2.1-tiny", server.checkpoint())
        yield server


def test_a_model_known_by_name_is_downloaded_at_first_use(published, tmp_path):
    steps = []
    model = load_model("sam2.1-tiny", device="cpu", progress=steps.append)
    assert model.config == CELL
    assert steps[-1].done == steps[-1].total == len(published.content)
    assert (tmp_path / "cache" / "models" / "sam2.1-tiny.safetensors").is_file()
    expected = load_model("cell", device="cpu").state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())
    steps.clear()
    load_model("sam2.1-tiny", device="cpu", offline=True, progress=steps.append)
    assert steps == []
    assert len(published.asked) == 1


def test_offline_says_how_to_do_without(published):
    with pytest.raises(DownloadError, match=r"Get http.* by other means and save it as"):
        load_model("sam2.1-tiny", offline=True)


def test_a_session_takes_a_name(published):
    napari_sam2.open_session(np.zeros((2, 64, 64), np.uint8), model="sam2.1-tiny", device="cpu")
    assert len(published.asked) == 1


def test_the_terminal_shows_a_bar(published, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    download_model("sam2.1-tiny")
    shown = capsys.readouterr().err
    assert "sam2.1-tiny: 100%" in shown and "converting" in shown


def test_elsewhere_it_is_quiet(published, capsys):
    download_model("sam2.1-tiny")
    assert capsys.readouterr().err == ""


def test_a_torch_that_cannot_be_loaded_is_explained(monkeypatch):
    real = builtins.__import__

    def fails(name, *args, **kwargs):
        if name == "sam2_torch.build":
            raise OSError("[WinError 1114] c10.dll")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", fails)
    with pytest.raises(NapariSam2Error, match="start napari with `napari-sam2 gui`"):
        load_model("cell")
