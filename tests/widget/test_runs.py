"""Propagation in a viewer: worker thread, progress, cancel, errors, and what may happen to layers meanwhile."""

import threading
import time
import warnings
from typing import Any

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from napari.utils.progress import progress
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

from napari_sam2.errors import NapariSam2Warning, PropagationError
from napari_sam2.layers import read_frame
from napari_sam2.widget.form import TO_FRAME
from widget.conftest import PLACED, Desk
from widget.fakes import wait


def start(desk: Desk, *, pause: float = 0.02, until: int = 4) -> None:
    """Click on a cell, start a propagation with the mouse, and come back when some frames are done."""
    desk.click_canvas(desk.viewer.layers["movie"], 20, 20)
    desk.wait_idle()
    desk.session.before_frame = wait(pause)
    done: list[int] = []
    desk.widget.controller.frame_written.connect(done.append)
    desk.click(desk.widget.form.propagate)
    desk.qtbot.waitUntil(lambda: len(done) >= until, timeout=10_000)
    desk.widget.controller.frame_written.disconnect(done.append)


def filled(desk: Desk) -> list[int]:
    return [frame for frame in range(12) if desk.frame(frame)[20, 20] == 1]


def test_the_button_fills_all_frames_off_the_gui_thread(desk: Desk) -> None:
    start(desk, until=1)
    assert desk.widget.form.cancel.isEnabled() and not desk.widget.form.propagate.isEnabled()
    desk.wait_idle()
    assert filled(desk) == list(range(12))
    assert threading.get_ident() not in desk.session.threads
    assert desk.widget.form.progress.value() == desk.widget.form.progress.maximum() == 12
    assert desk.widget.form.propagate.isEnabled() and not desk.widget.form.cancel.isEnabled()
    assert not desk.notes()


def test_progress_is_in_the_dock_and_in_the_activity_dock(desk: Desk) -> None:
    start(desk, until=4)
    (bar,) = progress._all_instances
    assert bar.total == 12 and 3 <= bar.n <= 12 and "Propagating" in bar.desc
    assert " of 12, " in desk.widget.form.status.text() and "a frame" in desk.widget.form.status.text()
    desk.wait_idle()
    assert not progress._all_instances


def test_the_viewer_follows_until_somebody_moves_the_slider(desk: Desk) -> None:
    start(desk, pause=0.12, until=4)
    assert desk.viewer.dims.current_step[0] >= 2
    desk.go_to(0)
    desk.wait_idle()
    assert desk.viewer.dims.current_step[0] == 0


def test_in_the_end_the_viewer_shows_where_the_propagation_has_come_to(desk: Desk) -> None:
    start(desk, pause=0.001)
    desk.wait_idle()
    assert desk.viewer.dims.current_step[0] == 11


@pytest.mark.async_slicing
def test_row24_masks_on_screen_are_drawn_as_they_come(desk: Desk) -> None:
    desk.widget.form.follow.setChecked(False)
    start(desk, pause=0.2, until=1)
    desk.go_to(7)
    labels = desk.viewer.layers["masks"]
    assert labels._slice.image.raw.max() == 0
    desk.qtbot.waitUntil(lambda: labels._slice.image.raw[20, 20] == 1, timeout=10_000)
    assert desk.widget.controller.state == "propagating"


@pytest.mark.parametrize(("here", "there", "frames"), [(3, 8, range(3, 9)), (8, 3, range(3, 9))])
def test_from_here_to_a_frame(desk: Desk, here: int, there: int, frames: range) -> None:
    desk.go_to(here)
    desk.click_canvas(desk.viewer.layers["movie"], 20, 20)
    desk.widget.form.direction.setCurrentText(TO_FRAME)
    desk.widget.form.frame.setValue(there)
    desk.click(desk.widget.form.propagate)
    desk.wait_idle()
    assert filled(desk) == list(frames)


def test_row07_cancel_leaves_what_is_done(desk: Desk) -> None:
    start(desk, pause=0.3, until=4)
    began = time.monotonic()
    said: list[str] = []
    desk.widget.controller.status.connect(said.append)
    desk.widget.controller.state_changed.connect(said.append)
    desk.click(desk.widget.form.cancel)
    assert "Stopping" in desk.widget.form.status.text() and time.monotonic() - began < 0.2
    desk.wait_idle()
    done = filled(desk)
    assert 4 <= len(done) < 12 and done == list(range(len(done)))
    assert "stay" in desk.widget.form.status.text(), said
    desk.click(desk.widget.form.propagate)
    desk.wait_idle()
    assert filled(desk) == list(range(12))


def test_a_run_that_was_cancelled_is_gone_on_with_by_resume(desk: Desk) -> None:
    form = desk.widget.form
    assert form.pause.text() == "Pause" and not form.pause.isEnabled()
    start(desk, pause=0.1, until=4)
    desk.click(form.cancel)
    desk.wait_idle()
    before = filled(desk)
    assert form.pause.text() == "Resume" and form.pause.isEnabled() and len(before) < 12
    written: list[int] = []
    desk.widget.controller.frame_written.connect(written.append)
    desk.click(form.pause)
    desk.qtbot.waitUntil(lambda: len(written) > 0, timeout=10_000)
    assert form.pause.text() == "Pause" and form.pause.isEnabled()
    desk.wait_idle()
    assert written[0] == len(before) and filled(desk) == list(range(12))
    assert form.progress.maximum() == 12 - len(before)
    assert form.pause.text() == "Pause" and not form.pause.isEnabled()


@pytest.mark.parametrize("kind", ["RuntimeError", "OutOfMemoryError"])
def test_row05_errors_of_torch_surface_once_and_a_rerun_works(desk: Desk, kind: str) -> None:
    torch = pytest.importorskip("torch")
    error = RuntimeError("shape mismatch") if kind == "RuntimeError" else torch.OutOfMemoryError("CUDA out of memory")
    raised: list[Exception] = []
    desk.widget.controller.failed.connect(raised.append)

    def fail(frame: int) -> None:
        if frame == 5:
            raise error

    desk.click_canvas(desk.viewer.layers["movie"], 20, 20)
    desk.wait_idle()
    desk.session.before_frame = fail
    desk.click(desk.widget.form.propagate)
    desk.wait_idle()
    assert [type(error) for error in raised] == [PropagationError] and raised[0].__cause__ is error
    assert len(desk.notes()) == 1 and "frames done so far are kept" in desk.notes()[0]
    assert ("track fewer objects" in desk.notes()[0]) == (kind == "OutOfMemoryError")
    assert filled(desk) == list(range(5))
    assert not desk.widget.runner.is_busy and not progress._all_instances
    assert not desk.viewer.window._task_status_manager.is_busy()
    desk.session.before_frame = wait(0)
    desk.click(desk.widget.form.propagate)
    desk.wait_idle()
    assert filled(desk) == list(range(12))


def test_mistakes_in_the_program_are_shown_with_their_origin(desk: Desk) -> None:
    def fail(frame: int, object_id: int) -> None:
        raise KeyError("a bug")

    desk.hooks["before_segment"] = fail
    desk.click_canvas(desk.viewer.layers["movie"], 20, 20)
    desk.wait_idle()
    (record,) = [record for record in notification_manager.records if record.severity >= "warning"]
    assert isinstance(record.exception, KeyError)
    notification_manager.records.clear()


def test_row01_the_mask_layer_may_be_removed_during_a_run(desk: Desk) -> None:
    start(desk, pause=0.15)
    desk.viewer.layers.remove("masks")
    desk.qtbot.waitUntil(lambda: desk.widget.controller.state == "idle", timeout=10_000)
    assert 4 <= len(desk.session.masklets[1]) < 12, "the run has stopped"
    assert len(desk.notes()) == 1 and "was removed" in desk.notes()[0]
    desk.press_key("M")
    desk.click_canvas(desk.viewer.layers["movie"], 50, 50)
    desk.wait_idle()
    assert len(filled(desk)) >= 4 and read_frame(desk.viewer.layers["masks"], 1)[20, 20] == 1


def test_row02_layers_may_be_renamed_during_a_run(desk: Desk) -> None:
    start(desk)
    labels = desk.viewer.layers["masks"]
    for number, layer in enumerate(desk.viewer.layers):
        layer.name = f"layer {number}"
    desk.wait_idle()
    assert read_frame(labels, 11)[20, 20] == 1 and not desk.notes()
    desk.click_canvas(desk.viewer.layers["layer 0"], 50, 50)
    desk.wait_idle()
    assert desk.viewer.layers["layer 1"] == labels


def test_row03_removing_the_movie_ends_its_session_and_no_other_takes_its_place(desk: Desk) -> None:
    for name in ("other", "another"):
        desk.add_movie(name=name, **PLACED)
    desk.viewer.layers.selection.active = desk.viewer.layers["point_prompts"]
    start(desk, pause=0.15)
    labels, controller, session = desk.viewer.layers["masks"], desk.widget.controller, desk.session
    desk.viewer.layers.remove("movie")
    desk.qtbot.waitUntil(lambda: not desk.widget.runner.is_busy, timeout=10_000)
    assert 4 <= len(session.masklets[1]) < 12, "the run has stopped"
    assert desk.widget.controller is None and desk.widget.form.image.value is None
    assert len(desk.notes()) == 1 and "session has ended" in desk.notes()[0]
    assert read_frame(labels, 2)[20, 20] == 1 and labels.editable
    asked = len(session.asked)
    desk.viewer.layers["point_prompts"].add([0, 5, 5])
    desk.settle()
    assert len(session.asked) == asked and len(desk.sessions) == 1 and controller.state != "segmenting"


def test_removing_the_prompts_keeps_the_masks_and_new_object_brings_new_ones(desk: Desk) -> None:
    start(desk)
    desk.wait_idle()
    desk.viewer.layers.remove("point_prompts")
    assert len(desk.notes()) == 1 and filled(desk) == list(range(12))
    desk.click(desk.widget.form.new_object)
    desk.click_canvas(desk.viewer.layers["movie"], 50, 50)
    desk.wait_idle()
    assert desk.frame(desk.viewer.dims.current_step[0])[50, 50] == 2
    assert len(filled(desk)) == 12


def test_clicks_during_a_run_wait_for_its_end(desk: Desk) -> None:
    desk.widget.form.follow.setChecked(False)
    start(desk, pause=0.15, until=2)
    desk.click_canvas(desk.viewer.layers["movie"], 20, 50)
    assert desk.widget.controller.state == "propagating"
    desk.wait_idle()
    assert desk.frame(0)[20, 50] == 1 and desk.frame(11)[20, 20] == 1


@pytest.mark.async_slicing
def test_row27_the_brush_is_locked_during_a_run_and_paints_afterwards(desk: Desk) -> None:
    labels = desk.viewer.layers["masks"]
    labels.mode, labels.selected_label = "paint", 7
    desk.widget.form.follow.setChecked(False)
    start(desk, pause=0.15, until=2)
    desk.viewer.layers.selection.active = labels
    desk.click_canvas(desk.viewer.layers["movie"], 50, 50)
    assert "locked" in labels.help
    desk.wait_idle()
    assert desk.frame(0)[50, 50] == 0
    desk.click_canvas(desk.viewer.layers["movie"], 50, 50)
    assert desk.frame(0)[50, 50] == 7 and labels.mode == "paint"


def test_objects_selected_in_the_list_get_their_own_layers(desk: Desk) -> None:
    desk.click_canvas(desk.viewer.layers["movie"], 10, 10)
    desk.press_key("M")
    desk.click_canvas(desk.viewer.layers["movie"], 40, 40)
    desk.wait_idle()
    desk.widget.form.objects.select_objects({2})
    desk.click(desk.widget.form.objects.own_layers)
    desk.wait_idle()
    own = desk.viewer.layers["object 2"]
    assert set(np.unique(read_frame(own, 0))) == {0, 2}
    assert "object 1" not in desk.viewer.layers
    assert own.units == desk.viewer.layers["movie"].units


def test_row04_closing_the_dock_stops_the_run_and_frees_the_layers(desk: Desk) -> None:
    start(desk, pause=0.15)
    labels, points = desk.viewer.layers["masks"], desk.viewer.layers["point_prompts"]
    closed = desk.widget
    desk.viewer.window.remove_dock_widget(closed)
    desk.qtbot.waitUntil(lambda: not closed.runner.is_busy, timeout=10_000)
    assert 4 <= len(desk.session.masklets[1]) < 12, "the run has stopped"
    assert labels.editable and not points.keymap
    points.add([0, 50, 50])
    desk.settle()
    assert len(desk.sessions) == 1 and not desk.notes()
    desk.dock()
    assert desk.widget.controller is not None
    closed.deleteLater()
    QApplication.sendPostedEvents(closed, QEvent.Type.DeferredDelete)


def test_another_diameter_or_precision_opens_another_session(desk: Desk) -> None:
    desk.click_canvas(desk.viewer.layers["movie"], 10, 10)
    desk.wait_idle()
    desk.widget.form.diameter.setValue(30)
    desk.widget.form.diameter.editingFinished.emit()
    desk.wait_idle()
    assert len(desk.sessions) == 2 and desk.session.asked == [(0, 1)]
    box = desk.widget.form.advanced.precision
    box.setCurrentIndex(1)
    box.activated.emit(1)
    desk.wait_idle()
    assert len(desk.sessions) == 3 and desk.session.asked == [(0, 1)]
    assert [setup.precision for setup in desk.setups] == ["float32", "float32", "auto"]
    assert [setup.diameter for setup in desk.setups] == [None, 30, 30]


def test_row30_two_viewers_do_not_meddle(desk: Desk, make_napari_viewer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    second = Desk(make_napari_viewer(show=True), desk.qtbot)
    monkeypatch.setattr(
        "napari_sam2.widget.session_choices.open_layer_session",
        lambda image, *args, **kwargs: (second if image.name == "second" else desk).open_session(
            image, *args, **kwargs
        ),
    )
    second.add_movie(name="second", **PLACED)
    second.dock()
    start(desk, until=1)
    second.viewer.layers["point_prompts"].add([0, 30, 30])
    second.wait_idle()
    second.click(second.widget.form.propagate)
    second.wait_idle()
    desk.wait_idle()
    assert filled(desk) == list(range(12)) and second.frame(11)[30, 30] == 1
    assert second.frame(11)[20, 20] == 0
    second.leave()


def test_what_was_made_good_on_the_way_is_shown_and_what_libraries_say_is_not(desk: Desk) -> None:
    def warn(_frame: int) -> None:
        warnings.warn("the disk is full, masks stay in memory", NapariSam2Warning, stacklevel=2)
        warnings.warn("some tensor has no stride", UserWarning, stacklevel=2)

    desk.click_canvas(desk.viewer.layers["movie"], 20, 20)
    desk.wait_idle()
    desk.session.before_frame = lambda frame: warn(frame) if frame == 1 else None
    desk.click(desk.widget.form.propagate)
    desk.wait_idle()
    assert desk.notes() == ["the disk is full, masks stay in memory"] and desk.frame(11)[20, 20] == 1
