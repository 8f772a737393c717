"""Weights files: the good, the wrong and the hostile."""

import os
import pickle
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import torch
from safetensors.torch import save_file

from sam2_torch.build import build, load
from sam2_torch.checkpoint import recognize
from sam2_torch.config import CELL, OFFICIAL, TINY
from sam2_torch.errors import CheckpointError


@pytest.fixture(scope="module")
def cell():
    torch.manual_seed(0)
    return build(CELL)


@pytest.fixture(scope="module")
def weights(cell):
    return {k: v.contiguous() for k, v in cell.state_dict().items()}


def test_safetensors_round_trip(tmp_path, weights):
    save_file(weights, tmp_path / "w.safetensors")
    model = load(tmp_path / "w.safetensors")
    assert model.config == CELL
    assert not model.training
    assert all(torch.equal(v, weights[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize("wrap", [lambda w: {"model": w}, lambda w: w])
def test_pt_with_and_without_the_model_key(tmp_path, weights, wrap):
    torch.save(wrap(weights), tmp_path / "w.pt")
    assert load(tmp_path / "w.pt").config == CELL


@pytest.mark.parametrize("name", sorted(OFFICIAL))
def test_every_official_architecture_is_recognized(name):
    with torch.device("meta"):
        assert recognize(build(OFFICIAL[name]).state_dict()) == OFFICIAL[name]


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("protocol", [2, 5])
def test_hostile_pickle_is_refused_and_not_run(tmp_path, protocol):
    sentinel = tmp_path / "was_here"
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Evil(sentinel), protocol=protocol))
    torch.save({"model": Evil(sentinel)}, tmp_path / "evil2.pt")
    for name in ("evil.pt", "evil2.pt"):
        with pytest.raises(CheckpointError, match="not a readable checkpoint"):
            load(tmp_path / name)
    assert not sentinel.exists()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html>404</html>", b"\xff" * 64, b"PK\x03\x04 cut short"])
def test_no_checkpoint_at_all(tmp_path, suffix, content):
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        load(path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize(
    ("content", "kind"), [(b"", "it is empty"), (b"\n<!DOCTYPE html><html>404</html>", "it is a web page")]
)
def test_what_is_plain_to_see_is_told(tmp_path, suffix, content, kind):
    (tmp_path / f"file{suffix}").write_bytes(content)
    with pytest.raises(CheckpointError, match=f"not a readable checkpoint .{kind}"):
        load(tmp_path / f"file{suffix}")


def test_an_archive_that_grows_when_it_is_read_is_not_read(tmp_path, weights, monkeypatch):
    torch.save(weights, tmp_path / "w.pt")
    with ZipFile(tmp_path / "w.pt") as plain, ZipFile(tmp_path / "bomb.pt", "w", ZIP_DEFLATED) as packed:
        for member in plain.infolist():
            packed.writestr(member.filename, plain.read(member))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        load(tmp_path / "bomb.pt")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_truncated(tmp_path, weights, suffix):
    path = tmp_path / f"w{suffix}"
    save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(CheckpointError, match="damaged, cut short"):
        load(path)


def test_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match="No weights file at"):
        load(tmp_path / "none.pt")


@pytest.mark.parametrize("content", [[1, 2], {}, {"a": 1}, {"model": {"a": "text"}}])
def test_not_a_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match="holds no state dict"):
        load(tmp_path / "w.pt")


def test_weights_of_something_else(tmp_path):
    torch.save({"conv1.weight": torch.zeros(3)}, tmp_path / "resnet.pt")
    with pytest.raises(CheckpointError, match="fit no SAM 2 known here"):
        load(tmp_path / "resnet.pt")


def test_another_architecture_than_asked_for(tmp_path, weights):
    torch.save(weights, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match=r"does not hold the weights of sam2\.1_hiera_tiny"):
        load(tmp_path / "w.pt", TINY)


def test_missing_unexpected_misshapen_and_damaged_tensors(tmp_path, weights):
    for name, change, message in (
        ("missing", {"no_mem_embed": None}, "1 tensors missing"),
        ("unexpected", {"extra": torch.zeros(1)}, "1 unexpected"),
        ("shape", {"no_mem_embed": torch.zeros(2)}, r"has shape \(2,\)"),
        ("nan", {"no_mem_embed": torch.full((1, 1, 128), float("nan"))}, "NaN or infinity"),
        ("integers", {"no_mem_embed": torch.zeros((1, 1, 128), dtype=torch.int8)}, "is torch.int8"),
        ("meta", {"no_mem_embed": torch.zeros((1, 1, 128), device="meta")}, "on meta; expected stored"),
        ("sparse", {"no_mem_embed": torch.zeros((1, 1, 128)).to_sparse()}, "torch.sparse_coo"),
    ):
        changed = {k: v for k, v in (weights | change).items() if v is not None}
        torch.save(changed, tmp_path / f"{name}.pt")
        with pytest.raises(CheckpointError, match=message):
            load(tmp_path / f"{name}.pt")
