"""A hand on mouse and keyboard of a napari viewer, for scripts that show or measure the dock widget."""

import time
from collections.abc import Callable
from typing import Any

import napari
import numpy as np
from napari.layers import Image
from numpy.typing import NDArray
from PIL import Image as Picture
from qtpy.QtCore import QEventLoop, QPoint, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_sam2.widget import TrackerWidget

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
_NONE = Qt.KeyboardModifier.NoModifier


class Hand:
    """A viewer of 1400 x 900 pixels with the dock widget; clicks and keys are real events."""

    def __init__(self) -> None:
        self.viewer = napari.Viewer(show=True)
        self.viewer.theme = "dark"
        self.viewer.window._qt_window.resize(1400, 900)
        self.widget: TrackerWidget = None

    @property
    def native(self) -> Any:
        """The canvas, as a widget of Qt."""
        return self.viewer.window._qt_viewer.canvas.native

    def dock(self) -> None:
        """Open the dock widget."""
        _, self.widget = self.viewer.window.add_plugin_dock_widget("napari-sam2", "Track cells (SAM 2)")
        settle()
        self.viewer.reset_view()
        settle()

    def where(self, image: Image, y: float, x: float) -> QPoint:
        """Where a pixel of the movie is on the canvas."""
        canvas, camera = self.viewer.window._qt_viewer.canvas, self.viewer.scene.camera
        world = np.array(image.data_to_world((0, y, x)))[-2:]
        offset = (world - np.array(camera.center)[-2:]) * camera.zoom
        return QPoint(round(canvas.size[1] / 2 + offset[1]), round(canvas.size[0] / 2 + offset[0]))

    def press(self, image: Image, y: float, x: float, button: Qt.MouseButton = LEFT) -> None:
        """Press and release a mouse button over a pixel of the movie."""
        where = self.where(image, y, x)
        QTest.mouseMove(self.native, where)
        settle(3)
        QTest.mousePress(self.native, button, _NONE, where)
        QTest.mouseRelease(self.native, button, _NONE, where)

    def click(self, image: Image, y: float, x: float, button: Qt.MouseButton = LEFT) -> None:
        """Press, and wait for what comes of it."""
        self.press(image, y, x, button)
        self.wait()

    def drag(self, image: Image, places: NDArray[np.float64]) -> None:
        """Hold the left button down from the first pixel (y, x) of the movie over the others to the last, and wait."""
        points = [self.where(image, y, x) for y, x in places]
        QTest.mouseMove(self.native, points[0])
        settle(3)
        QTest.mousePress(self.native, LEFT, _NONE, points[0])
        for point in points[1:]:
            QTest.mouseMove(self.native, point)
            settle(3)
        QTest.mouseRelease(self.native, LEFT, _NONE, points[-1])
        self.wait()

    def key(self, name: str, modifier: Qt.KeyboardModifier = _NONE) -> None:
        """Press a key over the canvas, and wait for what comes of it."""
        QTest.keyClick(self.native, getattr(Qt.Key, f"Key_{name}"), modifier)
        self.wait()

    def push(self, button: Any) -> None:
        """Push a button of the form, and wait for what comes of it."""
        QTest.mouseClick(button, LEFT)
        self.wait()

    def go_to(self, frame: int) -> None:
        """Show a frame."""
        self.viewer.dims.set_current_step(0, frame)
        settle()

    def wait(self) -> None:
        """Wait until nothing is left to be done."""
        settle()
        wait_until(lambda: not self.widget.runner.is_busy)

    def picture(self, path: Any) -> np.ndarray:
        """Save the whole window in 256 colors, and return it; fails if the canvas is blank.

        That is so on displays that cannot draw it.
        """
        settle()
        picture = np.asarray(self.viewer.screenshot(canvas_only=False, flash=False))
        canvas = self.viewer.screenshot(canvas_only=True, flash=False)
        if canvas[..., :3].std() < 5 or picture[..., :3].std() < 5:
            raise SystemExit("the canvas came out blank: use the xcb platform under Xvfb, not offscreen")
        # Colors of few pixels, as those in the table, must stay what they are.
        few = Picture.fromarray(picture).convert("RGB").quantize(256, method=Picture.Quantize.MAXCOVERAGE)
        few.save(path, format="PNG", optimize=True)
        return picture


def settle(rounds: int = 20) -> None:
    """Let Qt work off what is waiting."""
    for _ in range(rounds):
        QApplication.processEvents()


def pause(seconds: float) -> None:
    """Let Qt run for a while, as it does in an application."""
    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()


def wait_until(condition: Callable[[], bool], timeout: float = 1800) -> None:
    """Let Qt run until the condition holds, as it does in an application."""
    loop, timer = QEventLoop(), QTimer()
    began = time.monotonic()

    def look() -> None:
        if condition() or time.monotonic() - began > timeout:
            loop.quit()

    timer.timeout.connect(look)
    timer.start(10)
    # When the last window of a viewer closes, Qt ends all loops.
    while not condition() and time.monotonic() - began <= timeout:
        loop.exec()
    if not condition():
        raise SystemExit(f"gave up after {timeout} s")
    settle()
