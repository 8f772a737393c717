"""Start and end: what importing costs, and what happens when the viewer goes while a run goes on."""

import gc
import re
import subprocess
import sys
import textwrap
import weakref
from pathlib import Path

import pytest

from widget.conftest import Desk

TESTS = Path(__file__).parents[1]


def run(code: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(code), str(TESTS)],
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def test_row04_nothing_holds_a_movie_that_was_removed_after_its_jobs(desk: Desk) -> None:
    desk.click_canvas(desk.viewer.layers["movie"], 30, 30)
    desk.wait_idle()
    desk.click(desk.widget.form.propagate)
    desk.wait_idle()
    movie = desk.widget._movie
    held = {type(one).__name__: weakref.ref(one) for one in (movie, movie.controller, movie.tool, desk.session)}
    del movie
    desk.sessions.clear()
    desk.viewer.layers.remove("movie")
    desk.settle()
    gc.collect()
    assert [name for name, one in held.items() if one() is not None] == []


def test_importing_the_widget_imports_no_torch() -> None:
    done = run(
        """
        import sys
        import napari_sam2.widget, napari_sam2.layers, napari_sam2.layers.samples, napari_sam2.models
        assert "torch" not in sys.modules
        """
    )
    assert done.returncode == 0, done.stderr


def test_layers_import_no_qt() -> None:
    done = run(
        """
        import sys
        import napari_sam2.layers, napari_sam2.layers.samples
        assert not {"qtpy", "PySide6", "PyQt6"} & set(sys.modules), sorted(sys.modules)
        """
    )
    assert done.returncode == 0, done.stderr


START = """
    import atexit, sys, time
    sys.path.insert(0, sys.argv[1])
    import napari, numpy as np
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication
    from napari.utils.notifications import notification_manager
    from napari_sam2.widget import session_choices
    from widget.fakes import FakeSession

    tracked = []

    def before_frame(frame):
        tracked.append(frame)
        time.sleep(0.05)

    @atexit.register
    def tell():
        time.sleep(0.5)
        print("frames at exit:", len(tracked), flush=True)

    session_choices.open_layer_session = lambda *a, **k: FakeSession((200, 64, 64), before_frame=before_frame)
    viewer = napari.Viewer(show=True)
    viewer.add_image(np.zeros((200, 64, 64), np.uint8), name="movie")
    _, widget = viewer.window.add_plugin_dock_widget("napari-sam2", "Track cells (SAM 2)")
    viewer.layers["point_prompts"].add([0, 20, 20])
    written = []
    widget.controller.frame_written.connect(written.append)

    def start():
        written.clear()
        widget.runs.propagate()
        QTimer.singleShot(0, check)

    def check():
        if len(written) < 5:
            QTimer.singleShot(10, check)
        else:
            try:
                end()
            finally:
                print("frames when closed:", len(tracked), flush=True)
"""


@pytest.mark.parametrize(
    "end",
    [
        "viewer.close()",
        "viewer.window._qt_window.close()",
        "(viewer.window.remove_dock_widget(widget), QTimer.singleShot(600, viewer.close))",
        "(napari.Viewer(show=True), viewer.window._qt_window.close(), QTimer.singleShot(600, QApplication.quit))",
        "sys.exit(0)",
    ],
)
def test_row04_closing_during_a_run_ends_the_process_in_good_order(end: str) -> None:
    done = run(
        START
        + f"""
    def end():
        {end}

    QTimer.singleShot(500, start)
    napari.run()
    print("closed", flush=True)
    """
    )
    assert done.returncode == 0, done.stdout + done.stderr
    at_exit, when_closed = (
        int(re.search(f"frames {when}: (\\d+)", done.stdout)[1]) for when in ("at exit", "when closed")
    )
    # `sys.exit` only begins to close, and what is going on when a run is stopped may be one frame more.
    assert at_exit < 200 if end == "sys.exit(0)" else at_exit <= when_closed + 1, done.stdout
    assert "already deleted" not in done.stderr and "Traceback" not in done.stderr, done.stderr
