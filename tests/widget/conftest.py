"""What the widget tests share: a viewer on a display, the dock widget with a session without a model, real input."""

import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import napari
import numpy as np
import pytest
import qtpy
from napari.layers import Image
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_sam2.layers import read_frame
from napari_sam2.session_setup import SessionSetup
from napari_sam2.widget.parts import Fold
from widget.fakes import FakeSession

PLACED = {
    "scale": (60.0, 0.5, 0.5),
    "translate": (120.0, 10.0, -5.0),
    "units": ("s", "um", "um"),
    "axis_labels": ("t", "y", "x"),
}
SHAPE = (12, 64, 64)


class Desk:
    """A viewer with the dock widget, and a hand on mouse and keyboard."""

    def __init__(self, viewer: napari.Viewer, qtbot: Any) -> None:
        self.viewer = viewer
        self.qtbot = qtbot
        self.sessions: list[FakeSession] = []
        self.setups: list[SessionSetup] = []
        self.hooks: dict[str, Callable[..., None]] = {}
        self.widget: Any = None

    def add_movie(self, shape: tuple[int, ...] = SHAPE, **kwargs: Any) -> Image:
        data = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
        return self.viewer.add_image(data, **{"name": "movie", **kwargs})

    def dock(self) -> Any:
        _, self.widget = self.viewer.window.add_plugin_dock_widget("napari-sam2", "Track cells (SAM 2)")
        self.settle()
        return self.widget

    def open_session(self, image: Image, model: str, *, setup: SessionSetup, **_: Any) -> FakeSession:
        self.setups.append(setup)
        session = FakeSession(image.data.shape[:3], **self.hooks)
        self.sessions.append(session)
        return session

    @property
    def session(self) -> FakeSession:
        return self.sessions[-1]

    def settle(self, rounds: int = 10) -> None:
        for _ in range(rounds):
            QApplication.processEvents()

    def wait_idle(self, timeout: int = 30_000) -> None:
        # What the console did is heard of in a moment only.
        self.settle()
        self.qtbot.waitUntil(
            lambda: not self.widget.runner.is_busy and self.widget.controller.state == "idle", timeout=timeout
        )
        self.settle()

    def leave(self) -> None:
        """End what runs and draw what is still to be drawn: a viewer closed half way through gives errors of OpenGL."""
        if self.widget is not None:
            self.widget.shut_down()
            self.qtbot.waitUntil(lambda: not self.widget.runner.is_busy, timeout=10_000)
        self.widget = None
        self.settle()

    def canvas_point(self, image: Image, y: float, x: float) -> QPoint:
        """Where a pixel of the image is on the canvas."""
        canvas, dims = self.viewer.window._qt_viewer.canvas, self.viewer.dims
        world = np.zeros(dims.ndim)
        world[-image.ndim :] = image.data_to_world((*[0] * (image.ndim - 2), y, x))
        world = world[list(dims.displayed[-2:])]
        height, width = canvas.size
        camera = self.viewer.scene.camera
        offset = (world - np.array(camera.center)[-2:]) * camera.zoom
        return QPoint(round(width / 2 + offset[1]), round(height / 2 + offset[0]))

    def click_canvas(self, image: Image, y: float, x: float, *, right: bool = False) -> None:
        native = self.viewer.window._qt_viewer.canvas.native
        button = Qt.MouseButton.RightButton if right else Qt.MouseButton.LeftButton
        where = self.canvas_point(image, y, x)
        QTest.mouseMove(native, where)
        self.settle(3)
        QTest.mousePress(native, button, Qt.KeyboardModifier.NoModifier, where)
        self.settle(3)
        QTest.mouseRelease(native, button, Qt.KeyboardModifier.NoModifier, where)
        self.settle()

    def click(self, button: Any) -> None:
        self.unfold(button)
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        self.settle(3)

    def unfold(self, widget: Any) -> None:
        """Open what a control is folded away under, as one must to see it."""
        parent = widget.parentWidget()
        while parent is not None:
            if isinstance(parent, Fold) and not parent.isExpanded():
                parent.expand(animate=False)
                self.settle()
            parent = parent.parentWidget()

    def press_key(self, key: str, modifier: Any = Qt.KeyboardModifier.NoModifier) -> None:
        QTest.keyClick(self.viewer.window._qt_viewer.canvas.native, getattr(Qt.Key, f"Key_{key}"), modifier)
        self.settle()

    def go_to(self, frame: int) -> None:
        self.viewer.dims.set_current_step(self.viewer.dims.ndim - 3, frame)
        self.settle()

    def frame(self, frame: int) -> np.ndarray:
        return read_frame(self.widget.controller.masks.main.layer, frame)

    def notes(self) -> list[str]:
        self.settle()
        return [record.message for record in notification_manager.records if record.severity >= "warning"]


@pytest.fixture(scope="session", autouse=True)
def _few_objects_to_look_through() -> None:
    """Leave modules out of garbage collection, which napari does with each viewer that closes."""
    import torch  # noqa: F401 - the largest of them

    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def sessions_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where sessions are stored that belong to no file: not where those of the user are."""
    monkeypatch.setenv("NAPARI_SAM2_SESSIONS", str(tmp_path / "sessions"))
    return tmp_path / "sessions"


@pytest.fixture
def bare_desk(make_napari_viewer: Any, qtbot: Any) -> Iterator[Desk]:
    """Yield a viewer on screen, without layers; the sessions are real ones."""
    if qtpy.API_NAME == "PySide6" and qtpy.PYSIDE_VERSION == "6.12.0" and sys.version_info < (3, 12):
        pytest.fail(
            "PySide6 6.12.0 drops a reference to None at each call before Python 3.12, and Python aborts after some "
            "thousands of them: install another version"
        )
    notification_manager.records.clear()
    viewer = make_napari_viewer(show=True)
    desk = Desk(viewer, qtbot)
    desk.settle()
    yield desk
    desk.leave()


@pytest.fixture
def empty_desk(bare_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Return a viewer on screen, without layers; sessions are made without a model."""
    monkeypatch.setattr("napari_sam2.widget.session_choices.open_layer_session", bare_desk.open_session)
    return bare_desk


@pytest.fixture
def desk(empty_desk: Desk) -> Desk:
    """Return a viewer with a scaled and translated movie and the dock widget."""
    empty_desk.add_movie(**PLACED)
    empty_desk.dock()
    empty_desk.go_to(0)
    empty_desk.settle(20)
    return empty_desk
