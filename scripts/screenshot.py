"""Take the picture of the viewer for the documentation.

    python scripts/screenshot.py docs/images/viewer.png

Opens the sample movie in napari, clicks on cells with the mouse, propagates, and saves the whole window. Needs a
display that can draw the canvas; without one: QT_QPA_PLATFORM=xcb xvfb-run -a -s "-screen 0 1600x1200x24" python ...
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from napari.layers import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_sam2.synthetic import sample_movie
from napari_sam2.widget import TrackerWidget


def main() -> None:
    """Read the command line and take the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, help="where the PNG goes")
    parser.add_argument("--cells", type=int, default=10, help="how many cells are clicked on")
    parser.add_argument("--frames", type=int, default=12, help="how many frames are propagated")
    parser.add_argument("--show", type=int, default=8, help="the frame on the picture")
    arguments = parser.parse_args()
    viewer = napari.Viewer(show=True)
    viewer.window._qt_window.resize(1400, 900)
    viewer.open_sample("napari-sam2", "cells")
    _, widget = viewer.window.add_plugin_dock_widget("napari-sam2", "Track cells (SAM 2)")
    settle()
    viewer.dims.set_current_step(0, 0)
    viewer.reset_view()
    settle()
    click_cells(viewer, widget, arguments.cells)
    propagate(viewer, widget, arguments.frames)
    viewer.dims.set_current_step(0, arguments.show)
    settle()
    arguments.path.parent.mkdir(parents=True, exist_ok=True)
    picture = viewer.screenshot(str(arguments.path), canvas_only=False, flash=False)
    check(viewer, np.asarray(picture))
    viewer.close()


def click_cells(viewer: napari.Viewer, widget: TrackerWidget, number: int) -> None:
    """Click once on each of the largest cells, and on the background beside the last one with the right button."""
    image, labels = viewer.layers["cells"], sample_movie().labels[0]
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    for index, label in enumerate(np.argsort(areas)[::-1][:number]):
        yx = np.argwhere(labels == label)
        y, x = yx[np.argmin(((yx - yx.mean(0)) ** 2).sum(1))]
        if index:
            QTest.mouseClick(widget.form.new_object, Qt.MouseButton.LeftButton)
        click(viewer, image, y, x, Qt.MouseButton.LeftButton)
        wait_until(lambda: not widget.runner.is_busy)
    background = np.argwhere(labels == 0)
    y, x = background[np.argmin(((background - yx.mean(0)) ** 2).sum(1))]
    click(viewer, image, y, x, Qt.MouseButton.RightButton)
    wait_until(lambda: not widget.runner.is_busy)


def propagate(viewer: napari.Viewer, widget: TrackerWidget, frames: int) -> None:
    """Propagate from here to a frame."""
    widget.form.direction.setCurrentText("To frame")
    widget.form.frame.setValue(frames)
    QTest.mouseClick(widget.form.propagate, Qt.MouseButton.LeftButton)
    settle()
    wait_until(lambda: not widget.runner.is_busy)


def click(viewer: napari.Viewer, image: Image, y: float, x: float, button: Qt.MouseButton) -> None:
    """Press and release a mouse button over a pixel of the image."""
    canvas = viewer.window._qt_viewer.canvas
    world = np.array(image.data_to_world((0, y, x)))[-2:]
    camera = viewer.scene.camera
    offset = (world - np.array(camera.center)[-2:]) * camera.zoom
    where = QPoint(round(canvas.size[1] / 2 + offset[1]), round(canvas.size[0] / 2 + offset[0]))
    QTest.mouseMove(canvas.native, where)
    settle(3)
    QTest.mousePress(canvas.native, button, Qt.KeyboardModifier.NoModifier, where)
    settle(3)
    QTest.mouseRelease(canvas.native, button, Qt.KeyboardModifier.NoModifier, where)
    settle()


def check(viewer: napari.Viewer, picture: np.ndarray) -> None:
    """Fail if the canvas is blank, as it is on displays that cannot draw it."""
    canvas = viewer.screenshot(canvas_only=True, flash=False)
    if canvas[..., :3].std() < 5 or picture[..., :3].std() < 5:
        raise SystemExit("the canvas came out blank: use the xcb platform under Xvfb, not offscreen")


def settle(rounds: int = 20) -> None:
    """Let Qt work off what is waiting."""
    for _ in range(rounds):
        QApplication.processEvents()


def wait_until(condition: Callable[[], bool], timeout: float = 600) -> None:
    """Go on when the condition holds."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > timeout:
            raise SystemExit(f"gave up after {timeout} s")
        QApplication.processEvents()
        time.sleep(0.01)
    settle()


if __name__ == "__main__":
    main()
