"""A server on this machine, and patience that does not try a test's."""

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from checkpoints.loopback import Server, serving
from napari_sam2.checkpoints.download import Patience
from napari_sam2.checkpoints.store import Store
from sam2_torch.build import build
from sam2_torch.config import CELL

QUICK = Patience(attempts=4, timeout_s=0.4, pause_s=0.01, longest_pause_s=0.02)


def archive(size: int = 300_000, seed: int = 0) -> bytes:
    """What begins as a file of PyTorch does, and is noise from there on."""
    return b"PK\x03\x04" + np.random.default_rng(seed).bytes(size - 4)


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], Server]]:
    """Serve content until the test ends."""
    running = []

    def start(content: bytes) -> Server:
        context = serving(content)
        running.append(context)
        return context.__enter__()

    yield start
    for context in running:
        context.__exit__(None, None, None)


@pytest.fixture
def server(serve: Callable[[bytes], Server]) -> Server:
    return serve(archive())


@pytest.fixture(autouse=True)
def _as_nobody_set_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name == "NAPARI_SAM2_OFFLINE"]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def weights() -> dict[str, torch.Tensor]:
    """Weights of the small network, the values of one seed, in half precision to be quick."""
    torch.manual_seed(0)
    return {name: tensor.half().contiguous() for name, tensor in build(CELL).state_dict().items()}


def saved(content: object) -> bytes:
    """What `torch.save` writes."""
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


@pytest.fixture(scope="session")
def published(weights: dict[str, torch.Tensor]) -> bytes:
    """A checkpoint of the small network, in the form of the official ones."""
    return saved({"model": weights})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.path),)
