"""Real clicks and keys on the canvas of a viewer."""

import threading

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_sam2.layers import read_frame
from widget.conftest import PLACED, Desk


@pytest.mark.async_slicing
def test_row14_one_click_gives_a_mask_under_the_cursor_off_the_gui_thread(desk: Desk) -> None:
    image, points = desk.viewer.layers["movie"], desk.viewer.layers["point_prompts"]
    assert desk.viewer.layers.selection.active == points and points.mode == "add"
    desk.go_to(3)
    desk.click_canvas(image, 20, 40)
    desk.wait_idle()
    assert points.data.shape == (1, 3)
    t, y, x = points.data[0]
    assert t == 3 and y == pytest.approx(20, abs=1) and x == pytest.approx(40, abs=1)
    assert desk.frame(3)[20, 40] == 1
    assert desk.frame(0).max() == 0
    assert threading.get_ident() not in desk.session.threads
    assert not desk.notes()


@pytest.mark.async_slicing
def test_row14_outputs_overlay_exactly_units_included(desk: Desk) -> None:
    image, labels, points = (desk.viewer.layers[name] for name in ("movie", "masks", "point_prompts"))
    np.testing.assert_allclose(labels.extent.world, image.extent.world)
    assert labels.units == points.units == image.units
    assert labels.axis_labels == points.axis_labels == image.axis_labels
    assert desk.viewer.layers.units is not None


def test_the_right_button_is_negative_and_the_next_left_click_positive_again(desk: Desk) -> None:
    image, points = desk.viewer.layers["movie"], desk.viewer.layers["point_prompts"]
    desk.click_canvas(image, 20, 30)
    desk.click_canvas(image, 20, 34, right=True)
    desk.click_canvas(image, 24, 25)
    desk.wait_idle()
    assert list(points.features["polarity"]) == ["positive", "negative", "positive"]
    assert list(points.features["object_id"]) == [1, 1, 1]
    green, red, _ = points.face_color
    assert green[1] > green[0] and red[0] > red[1]
    assert desk.frame(0)[20, 34] == 0 and desk.frame(0)[24, 25] == 1


def test_keys_change_object_and_polarity(desk: Desk) -> None:
    image, points = desk.viewer.layers["movie"], desk.viewer.layers["point_prompts"]
    desk.click_canvas(image, 10, 10)
    desk.press_key("M")
    desk.press_key("M")
    desk.click_canvas(image, 40, 40)
    desk.press_key("T")
    desk.click_canvas(image, 40, 43)
    assert "negative" in desk.widget.form.polarity.text()
    desk.press_key("T")
    desk.wait_idle()
    assert list(points.features["object_id"]) == [1, 2, 2]
    assert list(points.features["polarity"]) == ["positive", "positive", "negative"]
    assert desk.frame(0)[10, 10] == 1 and desk.frame(0)[40, 36] == 2
    assert "positive" in desk.widget.form.polarity.text()


def test_buttons_change_object_and_polarity(desk: Desk) -> None:
    form, image = desk.widget.form, desk.viewer.layers["movie"]
    desk.click_canvas(image, 10, 10)
    desk.click(form.new_object)
    assert form.object_id.value() == 2
    desk.click(form.polarity)
    desk.click_canvas(image, 40, 40)
    assert list(desk.viewer.layers["point_prompts"].features["polarity"]) == ["positive", "negative"]
    assert any("positive point" in note for note in desk.notes())
    assert form.objects.table.objects.object_ids == [1, 2]


def test_row41_napari_keys_of_points_layers_still_work(desk: Desk) -> None:
    from napari.layers import Points
    from napari.settings import get_settings

    ours = {str(key) for key in desk.viewer.layers["point_prompts"].keymap}
    taken = {str(key) for keys in get_settings().shortcuts.shortcuts.values() for key in keys}
    points = {str(key) for key in Points.class_keymap} | {str(key) for key in type(desk.viewer).class_keymap}
    assert {"M", "T", "C", "Shift+S", "Ctrl+Z", "Ctrl+Shift+Z"} == ours
    # Labels layers have M and undo, Shapes layers T, Image layers C; on a Points layer all of them are free.
    assert not ours & points
    assert ours & taken <= {"M", "T", "C", "Ctrl+Z", "Ctrl+Shift+Z"}


def test_a_newer_click_overtakes_an_older_one(desk: Desk) -> None:
    gate, entered = threading.Event(), threading.Event()

    def hold(frame: int, object_id: int) -> None:
        entered.set()
        gate.wait(10)

    desk.hooks["before_segment"] = hold
    image, points = desk.viewer.layers["movie"], desk.viewer.layers["point_prompts"]
    desk.click_canvas(image, 20, 15)
    desk.qtbot.waitUntil(entered.is_set)
    shown: list[int] = []
    desk.widget.controller.frame_written.connect(shown.append)
    points.data = [[0, 20, 50]]
    gate.set()
    desk.wait_idle()
    assert desk.frame(0)[20, 50] == 1 and desk.frame(0)[20, 15] == 0
    assert shown == [0], "only the answer to the newer click is shown"


def test_the_viewer_stays_alive_while_a_mask_is_found(desk: Desk) -> None:
    gate = threading.Event()
    desk.hooks["before_segment"] = lambda frame, object_id: gate.wait(10)
    desk.click_canvas(desk.viewer.layers["movie"], 20, 20)
    assert desk.widget.controller.state == "segmenting" and desk.frame(0).max() == 0, "the click came back before"
    gate.set()
    desk.wait_idle()
    assert desk.frame(0)[20, 20] == 1


def test_row15_clicks_with_time_on_screen_are_refused_with_one_note(desk: Desk) -> None:
    desk.viewer.dims.order = (1, 0, 2)
    desk.settle()
    image = desk.viewer.layers["movie"]
    native_center = desk.viewer.window._qt_viewer.canvas.native.rect().center()
    desk.canvas_point = lambda *_: native_center
    desk.click_canvas(image, 0, 0)
    assert len(desk.viewer.layers["point_prompts"].data) == 0
    assert len(desk.notes()) == 1 and "2-D" in desk.notes()[0]


@pytest.mark.async_slicing
def test_row25_undo_after_propagation_brings_back_no_stale_pixels(desk: Desk) -> None:
    image, labels = desk.viewer.layers["movie"], desk.viewer.layers["masks"]
    desk.viewer.layers.selection.active = labels
    labels.mode, labels.selected_label, labels.brush_size = "paint", 1, 5
    desk.click_canvas(image, 50, 50)
    assert desk.frame(0)[50, 50] == 1
    desk.viewer.layers.selection.active = desk.viewer.layers["point_prompts"]
    desk.click_canvas(image, 20, 20)
    desk.click(desk.widget.form.propagate)
    desk.wait_idle()
    before = [desk.frame(frame) for frame in range(12)]
    assert before[0][20, 20] == 1 and before[0][50, 50] == 1 and before[11][20, 20] == 1
    desk.viewer.layers.selection.active = labels
    desk.press_key("Z", Qt.KeyboardModifier.ControlModifier)
    for frame in range(12):
        np.testing.assert_array_equal(desk.frame(frame), before[frame])


@pytest.mark.parametrize("rgb", [False, True])
def test_row12_plain_and_color_movies(empty_desk: Desk, rgb: bool) -> None:
    image = empty_desk.add_movie((5, 64, 64, 3) if rgb else (5, 64, 64), rgb=rgb)
    empty_desk.dock()
    empty_desk.go_to(0)
    empty_desk.click_canvas(image, 30, 12)
    empty_desk.wait_idle()
    assert empty_desk.frame(0)[30, 12] == 1


def test_row03_two_movies_have_sessions_of_their_own(desk: Desk) -> None:
    other = desk.add_movie((4, 64, 64), name="other", **PLACED)
    desk.widget.form.image.value = other
    desk.go_to(0)
    desk.click_canvas(other, 10, 10)
    desk.wait_idle()
    assert desk.viewer.layers["masks [1]"].data.shape == (4, 64, 64)
    assert read_frame(desk.viewer.layers["masks [1]"], 0)[10, 10] == 1
    assert read_frame(desk.viewer.layers["masks"], 0).max() == 0
    desk.widget.form.image.value = desk.viewer.layers["movie"]
    assert desk.widget.controller.prompts.points == desk.viewer.layers["point_prompts"]


@pytest.mark.parametrize(("shape", "text"), [((64, 64), "single image")])
def test_a_wrong_layer_gives_a_message(empty_desk: Desk, shape: tuple[int, ...], text: str) -> None:
    image = empty_desk.add_movie(shape)
    widget = empty_desk.dock()
    assert widget.controller is None and not empty_desk.notes()
    widget.form.image.value = image
    assert [text in note for note in empty_desk.notes()] == [True]
    assert widget.controller is None and len(empty_desk.viewer.layers) == 1
    empty_desk.add_movie((4, 64, 64), name="right")
    assert widget.controller is not None
