"""What hands do to points and masks with napari's own tools, as real events; a session without a model."""

import numpy as np
import pytest
from qtpy.QtCore import Qt

from widget.conftest import Desk
from widget.fakes import wait
from widget.test_shapes import drag


def select_mode(desk: Desk) -> None:
    points = desk.viewer.layers["point_prompts"]
    desk.viewer.layers.selection.active = points
    points.mode = "select"
    points.selected_data = set()


def disc(desk: Desk, frame: int) -> tuple[float, float]:
    """The middle (y, x) of object 1 on a frame."""
    y, x = np.argwhere(desk.frame(frame) == 1).mean(0)
    return float(y), float(x)


def test_row18_a_point_dragged_takes_its_mask_along(desk: Desk) -> None:
    desk.go_to(3)
    desk.click_canvas(desk.viewer.layers["movie"], 20, 20)
    desk.wait_idle()
    select_mode(desk)
    drag(desk, (20, 20), (45, 40))
    desk.wait_idle()
    np.testing.assert_allclose(desk.viewer.layers["point_prompts"].data, [(3, 45, 40)], atol=1)
    np.testing.assert_allclose(disc(desk, 3), (45, 40), atol=1)
    assert desk.frame(3)[20, 20] == 0 and not desk.notes()


@pytest.mark.parametrize("key", ["Delete", "Backspace"])
def test_row18_a_point_deleted_by_key_takes_its_mask_along(desk: Desk, key: str) -> None:
    movie = desk.viewer.layers["movie"]
    desk.click_canvas(movie, 20, 20)
    desk.click_canvas(movie, 20, 30, right=True)
    desk.wait_idle()
    assert desk.frame(0)[20, 20] == 1 and desk.frame(0)[20, 30] == 0
    select_mode(desk)
    desk.click_canvas(movie, 20, 30)
    desk.press_key(key)
    desk.wait_idle()
    assert len(desk.viewer.layers["point_prompts"].data) == 1 and desk.frame(0)[20, 24] == 1
    desk.click_canvas(movie, 20, 20)
    desk.press_key(key)
    desk.wait_idle()
    assert len(desk.viewer.layers["point_prompts"].data) == 0 and not desk.frame(0).any()
    assert desk.widget.controller.object_ids == () and not desk.notes()


def test_row18_without_its_last_positive_point_an_object_has_no_mask(desk: Desk) -> None:
    movie = desk.viewer.layers["movie"]
    desk.click_canvas(movie, 20, 20)
    desk.click_canvas(movie, 20, 40, right=True)
    desk.wait_idle()
    select_mode(desk)
    desk.click_canvas(movie, 20, 20)
    desk.press_key("Delete")
    desk.wait_idle()
    assert len(desk.viewer.layers["point_prompts"].data) == 1 and not desk.frame(0).any()
    assert len(desk.notes()) == 1 and "positive" in desk.notes()[0]


@pytest.mark.async_slicing
def test_row26_pixels_of_the_brush_survive_the_next_propagation_and_steer_it(desk: Desk) -> None:
    movie, labels = desk.viewer.layers["movie"], desk.viewer.layers["masks"]
    desk.click_canvas(movie, 20, 20)
    desk.click(desk.widget.form.propagate)
    desk.wait_idle()
    before = [desk.frame(t) for t in range(12)]
    desk.go_to(3)
    desk.viewer.layers.selection.active = labels
    labels.mode, labels.selected_label, labels.brush_size = "paint", 1, 6
    drag(desk, (45, 30), (45, 50))
    labels.mode = "erase"
    desk.click_canvas(movie, 17, 20)
    painted = desk.frame(3)
    assert painted[45, 40] == 1 and painted[17, 20] == 0
    desk.click(desk.widget.form.propagate)
    desk.wait_idle()
    np.testing.assert_array_equal(desk.frame(3), painted)
    assert not np.array_equal(desk.frame(5), before[5]) and desk.frame(5)[45, 40] == 1
    np.testing.assert_array_equal(desk.frame(0), before[0])
    assert not desk.notes()


def test_row26_painted_masks_go_over_to_another_model_at_once(desk: Desk) -> None:
    labels = desk.viewer.layers["masks"]
    labels.brush_size = 8
    labels.paint((3, 30, 30), 5)
    desk.click(desk.widget.form.propagate)
    desk.wait_idle()
    first, painted = desk.session, desk.frame(3)
    desk.widget.form.diameter.setValue(30)
    desk.widget.form.diameter.editingFinished.emit()
    desk.wait_idle()
    assert first.closed and desk.widget.session is desk.session is not first
    assert [*desk.session.prompts] == [(5, 3)] and 3 in desk.session.masklets[5]
    np.testing.assert_array_equal(desk.frame(3), painted)
    assert desk.widget.controller.object_ids == (5,) and not desk.notes()


def test_masks_without_prompts_go_over_to_another_model_at_once(desk: Desk) -> None:
    desk.click_canvas(desk.viewer.layers["movie"], 20, 20)
    desk.click(desk.widget.form.propagate)
    desk.wait_idle()
    desk.viewer.layers["point_prompts"].data = np.empty((0, 3))
    desk.wait_idle()
    assert desk.session.masklets[1] and not desk.session.prompts
    desk.widget.form.diameter.setValue(30)
    desk.widget.form.diameter.editingFinished.emit()
    desk.wait_idle()
    assert len(desk.sessions) == 2 and desk.widget.session is desk.session


def test_row27_brush_fill_and_eraser_do_nothing_during_a_run_and_lose_nothing(desk: Desk) -> None:
    movie, labels = desk.viewer.layers["movie"], desk.viewer.layers["masks"]
    desk.widget.form.follow.setChecked(False)
    desk.click_canvas(movie, 20, 20)
    desk.wait_idle()
    desk.viewer.layers.selection.active = labels
    desk.session.before_frame = wait(0.15)
    desk.click(desk.widget.form.propagate)
    desk.qtbot.waitUntil(lambda: desk.frame(1).any(), timeout=10_000)
    for key in ("2", "3", "4"):
        desk.press_key(key)
        desk.click_canvas(movie, 50, 50)
    assert desk.widget.controller.state == "propagating" and "locked" in labels.help
    desk.wait_idle()
    assert not any(desk.frame(t)[50, 50] for t in range(12)) and desk.frame(0)[20, 20] == 1


def test_row41_keys_of_napari_do_what_they_do_without_the_plugin(desk: Desk) -> None:
    points, labels, dims = desk.viewer.layers["point_prompts"], desk.viewer.layers["masks"], desk.viewer.dims
    for key, mode in (("3", "select"), ("4", "pan_zoom"), ("2", "add")):
        desk.press_key(key)
        assert points.mode == mode
    desk.viewer.layers.selection.active = labels
    for key, mode in (("2", "paint"), ("1", "erase"), ("3", "polygon"), ("4", "fill"), ("5", "pick")):
        desk.press_key(key)
        assert labels.mode == mode
    labels.selected_label = 3
    desk.press_key("X")
    assert labels.selected_label == 0, "exchanged with the background"
    labels.mode = "pan_zoom"
    control = Qt.KeyboardModifier.ControlModifier
    for key, effect in (("Y", lambda: dims.ndisplay), ("E", lambda: dims.order), ("T", lambda: dims.order)):
        before = effect()
        desk.press_key(key, control)
        assert effect() != before, key
        dims.ndisplay, dims.order = 2, (0, 1, 2)
    desk.go_to(3)
    for key, frame in (("Right", 4), ("Left", 3)):
        desk.press_key(key)
        assert dims.current_step[0] == frame
    assert not desk.sessions and not desk.notes()


def test_row17_points_whose_features_were_taken_away_are_told_of_and_clicks_go_on(desk: Desk) -> None:
    points, image = desk.viewer.layers["point_prompts"], desk.viewer.layers["movie"]
    desk.click_canvas(image, 20, 20)
    desk.wait_idle()
    known = points.features.copy()
    with pytest.warns(RuntimeWarning, match="encoding failed"):  # napari's, of the text beside the points
        points.features = known.drop(columns="object_id")
    desk.settle()
    (note,) = desk.notes()
    assert "expected points t, y, x with the features 'object_id' and 'polarity'" in note
    points.features = known
    desk.viewer.layers.selection.active = points
    desk.press_key("M")
    desk.click_canvas(image, 50, 50)
    desk.wait_idle()
    assert points.features["object_id"].tolist() == [1, 2]
    assert desk.frame(0)[20, 20] == 1 and desk.frame(0)[50, 50] == 2 and len(desk.notes()) == 1
