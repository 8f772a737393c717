"""Movies that lie elsewhere than at pixels of one, and views other than y and x of one frame, with real clicks."""

from typing import Any

import numpy as np
import pytest

from napari_sam2.widget.form import NEXT_FRAMES, TO_FRAME
from napari_sam2.widget.viewing import look_at
from widget.conftest import PLACED, SHAPE, Desk
from widget.test_inputs import STACK, begin, deep_desk, stack  # noqa: F401
from widget.test_shapes import drag

ELSEWHERE = {
    "rotate": {**PLACED, "rotate": 30},
    "shear": {"shear": [0, 0, 0.3], "scale": (1, 2, 0.7)},
    "affine": {"affine": np.array([[1, 0, 0, 0], [0, 1.2, -0.4, 9], [0, 0.4, 0.9, -7], [0, 0, 0, 1.0]])},
}


def click_at(desk: Desk, image: Any, y: float, x: float) -> None:
    """Click on a pixel of the frame on screen, and check that there the mask comes to lie."""
    desk.viewer.reset_view()
    desk.settle()
    points = desk.viewer.layers["point_prompts"]
    desk.click_canvas(image, y, x)
    desk.wait_idle()
    np.testing.assert_allclose(points.data[-1][-2:], (y, x), atol=1)
    frame = desk.session.asked[-1][0]
    mask = np.argwhere(desk.frame(frame) == desk.widget.form.object_id.value())
    np.testing.assert_allclose(mask.mean(0), (y, x), atol=1)


@pytest.mark.parametrize("how", ELSEWHERE)
def test_row14_clicks_land_where_they_are_made_however_the_movie_lies(empty_desk: Desk, how: str) -> None:
    desk = empty_desk
    image = desk.add_movie(**ELSEWHERE[how])
    desk.dock()
    desk.go_to(4)
    click_at(desk, image, 20, 40)
    labels = desk.viewer.layers["masks"]
    np.testing.assert_allclose(labels.data_to_world((4, 20, 40)), image.data_to_world((4, 20, 40)))
    np.testing.assert_allclose(labels.extent.world, image.extent.world)
    assert desk.session.asked == [(4, 1)] and not desk.notes()


def test_row14_the_layers_follow_a_movie_that_is_moved_or_scaled_later(desk: Desk) -> None:
    image = desk.viewer.layers["movie"]
    click_at(desk, image, 20, 40)
    desk.click(desk.widget.form.box)
    before = desk.viewer.layers["point_prompts"].data.copy()
    image.scale, image.translate, image.rotate = (30, 0.7, 0.7), (0, 3, 4), 15
    image.units = ("min", "nm", "nm")
    desk.go_to(0)
    for name in ("masks", "point_prompts", "shape_prompts"):
        layer = desk.viewer.layers[name]
        np.testing.assert_allclose(layer.data_to_world((2, 3, 4)), image.data_to_world((2, 3, 4)))
        assert layer.units == image.units
    np.testing.assert_array_equal(desk.viewer.layers["point_prompts"].data, before)
    desk.viewer.layers.selection.active = desk.viewer.layers["point_prompts"]
    desk.press_key("M")
    click_at(desk, image, 40, 20)
    assert desk.frame(0)[20, 40] == 1
    assert desk.session.asked == [(0, 1), (0, 2)] and not desk.notes()


def test_row13_a_movie_beside_an_image_of_more_axes(deep_desk: Desk) -> None:  # noqa: F811
    desk = deep_desk
    movie = desk.add_movie()
    desk.viewer.add_image(stack((3, *SHAPE)), name="beside", visible=False)
    desk.dock()
    desk.widget.form.image.value = movie
    desk.viewer.dims.set_current_step((0, 1), (2, 5))
    desk.settle()
    click_at(desk, movie, 20, 40)
    assert desk.session.asked == [(5, 1)]
    desk.click(desk.widget.form.propagate)
    desk.wait_idle()
    assert [bool(desk.frame(t).any()) for t in range(SHAPE[0])] == [t >= 5 for t in range(SHAPE[0])]
    assert desk.viewer.dims.current_step[:2] == (2, SHAPE[0] - 1) and not desk.notes()


def test_row15_with_y_and_x_exchanged_clicks_land_where_they_are_made(desk: Desk) -> None:
    image = desk.viewer.layers["movie"]
    desk.viewer.dims.transpose()
    assert desk.viewer.dims.order == (0, 2, 1)
    desk.go_to(3)
    click_at(desk, image, 12, 50)
    assert desk.session.asked == [(3, 1)] and not desk.notes()
    look_at(desk.viewer, image, 5, (12, 50))
    assert desk.viewer.dims.current_step[0] == 5
    middle = desk.viewer.window._qt_viewer.canvas.native.rect().center()
    there = desk.canvas_point(image, 12, 50)
    assert abs(there.x() - middle.x()) <= 2 and abs(there.y() - middle.y()) <= 2, "a place looked at is in the middle"


def refused(desk: Desk) -> list[str]:
    """The notes after a click in the middle of the canvas, which must leave no point."""
    image = desk.viewer.layers[0]
    desk.viewer.reset_view()
    desk.settle()
    middle = desk.viewer.window._qt_viewer.canvas.native.rect().center()
    desk.canvas_point = lambda *_: middle
    desk.click_canvas(image, 0, 0)
    desk.settle()
    assert len(desk.viewer.layers["point_prompts"].data) == 0
    return desk.notes()


@pytest.mark.parametrize("view", ["rolled", "x on the slider", "3-D"])
def test_row15_views_without_one_frame_refuse_clicks_with_one_note(desk: Desk, view: str) -> None:
    dims = desk.viewer.dims
    if view == "rolled":
        dims.roll()
    elif view == "x on the slider":
        dims.order = (2, 0, 1)
    else:
        dims.ndisplay = 3
    (note,) = refused(desk)
    assert "show the movie in 2-D with time on the slider" in note
    assert not desk.sessions


@pytest.mark.parametrize("projection", [False, True])
def test_row15_a_stack_in_3d_refuses_clicks_with_one_note(deep_desk: Desk, projection: bool) -> None:  # noqa: F811
    desk = deep_desk
    begin(desk, stack(), (2, STACK[1] // 2))
    if projection:
        desk.widget.form.input.way.setCurrentText("Brightest of all planes")
    desk.click(desk.widget.form.input.use)
    desk.viewer.dims.ndisplay = 3
    (note,) = refused(desk)
    assert "show the movie in 2-D" in note


@pytest.mark.parametrize("direction", [TO_FRAME, NEXT_FRAMES])
def test_row15_without_a_frame_on_screen_nothing_is_propagated_from_there(desk: Desk, direction: str) -> None:
    desk.go_to(5)
    click_at(desk, desk.viewer.layers["movie"], 20, 40)
    desk.viewer.dims.order = (1, 0, 2)
    desk.widget.form.direction.setCurrentText(direction)
    desk.click(desk.widget.form.propagate)
    desk.wait_idle()
    assert [t for t in range(SHAPE[0]) if desk.frame(t).any()] == [5]
    assert len(desk.notes()) == 1 and "frame on screen" in desk.notes()[0]
    desk.widget.form.direction.setCurrentText("Forward")
    desk.click(desk.widget.form.propagate)
    desk.wait_idle()
    assert [t for t in range(SHAPE[0]) if desk.frame(t).any()] == list(range(5, SHAPE[0]))


def test_row15_a_box_drawn_over_several_frames_is_told_of(desk: Desk) -> None:
    desk.click(desk.widget.form.box)
    desk.viewer.dims.order = (1, 0, 2)
    desk.viewer.reset_view()
    desk.settle()
    middle = desk.viewer.window._qt_viewer.canvas.native.rect().center()
    corner = type(middle)(middle.x() - 60, middle.y() - 60)
    places = iter([corner, middle])
    desk.canvas_point = lambda *_: next(places)
    drag(desk, (0, 0), (0, 0))
    desk.settle()
    (note,) = desk.notes()
    assert "on several frames" in note and not desk.sessions
