"""Reviewing: the strip, doubtful masks one after the other, approvals; and what a propagation is asked to do."""

import threading

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_sam2.widget.answers import PropagationRequest
from napari_sam2.widget.review_row import ABSENT, APPROVED, APPROVED_ABSENT, NOTHING
from napari_sam2.widget.review_strip import colors_of

SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def tracked(desk):
    """Two objects propagated through the movie, some masks of which are in doubt."""
    points = desk.widget.controller.prompts.points
    desk.widget._movie.tool.object_id = 1
    points.add([0, 20, 20])
    desk.widget._movie.tool.object_id = 2
    points.add([0, 44, 44])
    desk.wait_idle()
    desk.widget.runs.propagate()
    desk.wait_idle()
    desk.session.find_doubts({(1, 3), (2, 7)})
    desk.wait_idle()
    desk.go_to(0)
    desk.widget._review.refresh()
    return desk


def reason(desk):
    return desk.widget.form.review.reason.text()


def frame(desk):
    return desk.viewer.dims.current_step[0]


def test_keys_go_from_one_doubtful_mask_to_the_next_and_say_why(tracked):
    tracked.press_key("N")
    assert (frame(tracked), tracked.widget._movie.tool.object_id) == (3, 1)
    assert reason(tracked) == "Object 1, frame 3: confidence 0.25; moved 2.0 diameters."
    tracked.press_key("N")
    assert (frame(tracked), tracked.widget._movie.tool.object_id) == (7, 2)
    tracked.press_key("N")
    assert frame(tracked) == 7
    assert reason(tracked) == "No mask is in doubt after this frame."
    tracked.press_key("N", SHIFT)
    assert frame(tracked) == 3


def test_the_keys_work_whatever_layer_is_selected(tracked):
    for layer in (tracked.widget.controller.masks.main.layer, tracked.widget.controller.image):
        tracked.go_to(0)
        tracked.viewer.layers.selection.active = layer
        tracked.press_key("N")
        assert frame(tracked) == 3


def test_the_frame_on_screen_is_approved_and_that_is_taken_back(tracked):
    tracked.press_key("N")
    tracked.press_key("K")
    tracked.wait_idle()
    assert tracked.session.approvals == {(1, 3)}
    assert threading.get_ident() not in tracked.session.threads
    tracked.widget._review.refresh()
    assert reason(tracked) == "Object 1, frame 3: approved."
    tracked.click(tracked.widget.form.review.approve)
    tracked.wait_idle()
    assert tracked.session.approvals == set()


def test_a_whole_object_is_approved_and_that_is_taken_back(tracked):
    tracked.widget._movie.tool.object_id = 2
    tracked.press_key("K", SHIFT)
    tracked.wait_idle()
    assert tracked.session.approvals == {(2, t) for t in range(12)}
    tracked.click(tracked.widget.form.review.approve_object)
    tracked.wait_idle()
    assert tracked.session.approvals == set()


def test_that_an_object_is_not_there_is_approved_and_shown(tracked):
    tracked.session.masklets[1].mark_absent(5)
    tracked.session.find_doubts({(1, 3), (2, 7)})
    tracked.wait_idle()
    tracked.widget._movie.tool.object_id = 1
    tracked.go_to(5)
    tracked.widget._review.refresh()
    assert reason(tracked) == "Object 1, frame 5: not there."
    tracked.press_key("K")
    tracked.wait_idle()
    assert tracked.session.approvals == {(1, 5)}
    tracked.widget._review.refresh()
    assert reason(tracked) == "Object 1, frame 5: approved as not there."
    strip = tracked.widget.form.review.strip
    picture = strip.grab().toImage()
    (expected,) = colors_of(np.array([APPROVED_ABSENT])).tolist()
    assert list(picture.pixelColor(int(picture.width() * 5.3 / 12), 8).getRgb()[:3]) == expected
    tracked.press_key("K")
    tracked.wait_idle()
    assert tracked.session.approvals == set()


def test_what_has_no_mask_is_not_approved(tracked):
    tracked.widget._movie.tool.object_id = 9
    tracked.press_key("K")
    assert tracked.notes() == [
        "Object 9 has no mask on this frame that could be approved, and was not looked for here."
    ]


def test_a_click_on_the_strip_goes_to_the_frame_and_on_the_map_to_the_object(tracked):
    strip = tracked.widget.form.review.strip
    where = QPoint(int(strip.width() * 4.5 / 12), 8)
    QTest.mouseClick(strip, Qt.MouseButton.LeftButton, pos=where)
    assert (frame(tracked), tracked.widget._movie.tool.object_id) == (4, 2)
    QTest.mouseClick(strip, Qt.MouseButton.LeftButton, pos=QPoint(int(strip.width() * 9.5 / 12), 27))
    assert (frame(tracked), tracked.widget._movie.tool.object_id) == (9, 1)


def test_the_strip_is_painted_by_confidence(tracked):
    tracked.widget._movie.tool.object_id = 1
    tracked.widget._review.refresh()
    strip = tracked.widget.form.review.strip
    picture = strip.grab().toImage()
    middle = [picture.pixelColor(int(picture.width() * (t + 0.3) / 12), 8).getRgb()[:3] for t in range(12)]
    sure, doubtful = (tuple(colors_of(np.array([value]))[0].tolist()) for value in (0.9, 0.25))
    assert middle == [doubtful if t == 3 else sure for t in range(12)]


def test_doubts_show_when_there_are_more_frames_than_pixels(tracked):
    strip = tracked.widget.form.review.strip
    values = np.full(100_000, 0.95, np.float32)
    values[54_321] = 0.0
    strip.show_rows({1: values})
    strip.show_place(0, 1)
    picture = strip.grab().toImage()
    reds = {picture.pixelColor(x, 8).red() > 190 for x in range(10, picture.width())}
    assert reds == {True, False}


def test_all_that_is_shown_has_a_color_of_its_own():
    colors = colors_of(np.array([0.0, 0.9, APPROVED, APPROVED_ABSENT, ABSENT, NOTHING])).tolist()
    assert len({tuple(color) for color in colors}) == 6


def test_without_a_session_there_is_nothing_to_review(desk):
    review = desk.widget.form.review
    assert not any(button.isEnabled() for button in (review.next, review.previous, review.approve))
    desk.press_key("N")
    desk.press_key("K")
    assert desk.notes() == []


def test_the_viewer_has_its_keys_again_afterwards(desk):
    known = [str(key) for key in desk.viewer.keymap]
    assert {"N", "Shift+N", "K", "Shift+K"} <= set(known)
    desk.widget.shut_down()
    assert not {"N", "Shift+N", "K", "Shift+K"} & {str(key) for key in desk.viewer.keymap}


def test_so_many_frames_and_only_changes_can_be_asked_for(desk):
    form = desk.widget.form
    form.direction.setCurrentText("Next frames")
    form.count.setValue(5)
    assert form.request(3) == PropagationRequest("forward", 3, 8)
    assert form.count.isVisibleTo(form)
    assert not form.frame.isVisibleTo(form)
    form.direction.setCurrentText("Changes only")
    assert form.request(3) == PropagationRequest(None)


def test_changes_of_all_objects_are_carried_on(tracked):
    tracked.widget.form.direction.setCurrentText("Changes only")
    tracked.click(tracked.widget.form.propagate)
    tracked.wait_idle()
    assert tracked.session.updated == [None]


def test_only_selected_objects_are_propagated(tracked):
    form = tracked.widget.form
    form.whose.setCurrentText("Selected objects")
    tracked.click(form.propagate)
    assert tracked.notes() == ["Select objects in the list first."]
    form.objects.select_objects([2])
    tracked.session.masklets[1].remove(5)
    tracked.session.masklets[2].remove(5)
    tracked.click(form.propagate)
    tracked.wait_idle()
    assert 5 in tracked.session.masklets[2]
    assert 5 not in tracked.session.masklets[1]
