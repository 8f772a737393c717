"""A movie whose layer gets other pixels: what was found in the old ones is not told of the new ones."""

import numpy as np
import pytest

from napari_sam2.layers import read_frame
from widget.conftest import SHAPE, Desk
from widget.fakes import wait
from widget.test_inputs import PLACED_4D, begin, deep_desk, stack  # noqa: F401


@pytest.mark.parametrize("shape", [SHAPE, (4, 64, 64), (12, 32, 48)])
def test_row03_other_pixels_end_the_session_and_the_movie_can_be_chosen_again(
    desk: Desk, shape: tuple[int, int, int]
) -> None:
    image, labels = desk.viewer.layers["movie"], desk.viewer.layers["masks"]
    desk.click_canvas(image, 20, 20)
    desk.wait_idle()
    desk.session.before_frame = wait(0.15)
    desk.click(desk.widget.form.propagate)
    desk.qtbot.waitUntil(lambda: desk.frame(1).any(), timeout=10_000)
    image.data = np.zeros(shape, np.uint8)
    desk.qtbot.waitUntil(lambda: not desk.widget.runner.is_busy, timeout=10_000)
    assert 2 <= len(desk.session.masklets[1]) < 12, "the run has stopped"
    assert len(desk.notes()) == 1 and "got other pixels, so its session has ended" in desk.notes()[0]
    assert desk.widget.controller is None and desk.widget.form.image.value is None
    assert read_frame(labels, 1)[20, 20] == 1 and labels.editable
    desk.widget.form.image.value = image
    desk.go_to(2)
    desk.viewer.reset_view()
    desk.settle()
    desk.click_canvas(image, 10, 30)
    desk.wait_idle()
    assert len(desk.sessions) == 2 and desk.session.asked == [(2, 1)]
    assert desk.widget.controller.masks.main.layer.data.shape == shape
    assert desk.frame(2)[10, 30] == 1 and len(desk.notes()) == 1


def test_row03_the_same_pixels_again_change_nothing(desk: Desk) -> None:
    image, controller = desk.viewer.layers["movie"], desk.widget.controller
    image.data = image.data
    desk.settle()
    assert desk.widget.controller is controller and not desk.notes()


def test_row13_pixels_of_other_axes_are_asked_about_again(deep_desk: Desk) -> None:  # noqa: F811
    desk = deep_desk
    image = begin(desk, stack(), (0, 3), **PLACED_4D)
    desk.click(desk.widget.form.input.use)
    assert desk.widget.controller is not None
    image.data = np.zeros(SHAPE, np.uint8)
    assert len(desk.notes()) == 1 and "got other pixels" in desk.notes()[0]
    desk.widget.form.image.value = image
    assert desk.widget.controller is not None and not desk.widget.form.input.isVisible()
    assert len(desk.notes()) == 1
