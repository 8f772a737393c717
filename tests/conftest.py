"""What all tests share: where they belong, what they must not touch, and how often hypothesis tries."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Nothing of the user's napari is read, and nothing is left in it.
os.environ["NAPARI_CONFIG"] = ""

REPOSITORY = Path(__file__).parents[1]
QT_FIXTURES = {"make_napari_viewer", "make_napari_viewer_proxy", "napari_plugin_manager", "qapp", "qtbot"}

# Shared machines are slow now and then, and a test that fails only sometimes helps nobody.
settings.register_profile(
    "repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a display, whether or not its author remembered to."""
    for item in items:
        if "widget" in item.path.relative_to(REPOSITORY).parts or QT_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.widget)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the root of the checkout."""
    return REPOSITORY


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return an exact stand-in for the network, in its place for as long as the test runs."""
    from toy_model import ToyModel

    return ToyModel().install(monkeypatch)


@pytest.fixture
def session(toy: Any) -> Any:
    """Return a session on the scene of discs, without prompts."""
    from toy_scene import open_scene

    return open_scene(toy)


@pytest.fixture(autouse=True)
def _offline(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Refuse connections to anywhere but this machine: the default tests must pass without a network."""
    if request.node.get_closest_marker("official_weights"):
        yield
        return
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: Any) -> None:
        if self.family != getattr(socket, "AF_UNIX", None) and address[0] not in {"127.0.0.1", "::1", "localhost"}:
            raise OSError(f"tests must not use the network, but one tried to reach {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_here)
    yield


@pytest.fixture(autouse=True)
def _need_a_gpu(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("gpu"):
        torch = pytest.importorskip("torch")
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
