"""What keeps the window free: how much is read when something changes, and in which thread."""

import threading
import time
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from napari_sam2.layers import masks as mask_layers
from napari_sam2.widget import mask_output, review_strip
from napari_sam2.widget.object_book import ObjectBook
from napari_sam2.widget.review_row import NOTHING
from widget.fakes import FakeSession

pytestmark = pytest.mark.widget
HERE = threading.get_ident


@pytest.fixture
def tracked(desk):
    """Five objects propagated through the movie."""
    for object_id in range(1, 6):
        desk.widget._movie.tool.object_id = object_id
        desk.widget.controller.prompts.points.add([0, 10 * object_id, 10 * object_id])
    desk.wait_idle()
    desk.widget.runs.propagate()
    desk.wait_idle()
    return desk


@pytest.fixture
def read(tracked, monkeypatch):
    """How often the confidences of each object were read, and the threads that read them."""
    counts, threads, session = Counter(), set(), tracked.session
    real = session.confidence

    def counted(object_id):
        counts[object_id] += 1
        threads.add(HERE())
        return real(object_id)

    monkeypatch.setattr(session, "confidence", counted)
    counts.threads = threads
    return counts


def test_only_an_object_that_has_changed_is_read_anew_and_not_by_the_gui(tracked, read):
    tracked.widget._movie.tool.object_id = 3
    tracked.widget.controller.prompts.points.add([4, 30, 33])
    tracked.wait_idle()
    tracked.widget._review.refresh()
    assert read.keys() == {3}
    assert HERE() not in read.threads


def test_going_through_frames_and_doubts_reads_nothing(tracked, read):
    tracked.session.find_doubts({(2, 5)})
    tracked.qtbot.waitUntil(lambda: bool(read))
    tracked.wait_idle()
    read.clear()
    for frame in (3, 7, 0):
        tracked.go_to(frame)
    tracked.press_key("N")
    assert tracked.viewer.dims.current_step[0] == 5
    tracked.widget._review.refresh()
    assert not read


def test_masks_that_are_propagated_are_written_by_another_thread_and_shown(desk, monkeypatch):
    threads, real = set(), mask_layers.write_frame

    def noted(*args, **kwargs):
        threads.add(HERE())
        real(*args, **kwargs)

    desk.widget.controller.prompts.points.add([0, 20, 20])
    desk.wait_idle()
    monkeypatch.setattr(mask_layers, "write_frame", noted)
    desk.widget.form.follow.setChecked(False)
    desk.go_to(6)
    desk.widget.runs.propagate()
    desk.wait_idle()
    assert threads and HERE() not in threads
    layer = desk.widget.controller.masks.main.layer
    assert (desk.frame(11) == 1).any()
    np.testing.assert_array_equal(np.asarray(layer._slice.image.raw), desk.frame(6))
    assert (desk.frame(6) == 1).any()


@pytest.fixture
def writers(monkeypatch):
    """The threads that write frames of masks."""
    threads, real = set(), mask_layers.write_frame

    def noted(*args, **kwargs):
        threads.add(HERE())
        real(*args, **kwargs)

    monkeypatch.setattr(mask_layers, "write_frame", noted)
    return threads


def test_masks_of_clicks_and_of_other_models_are_written_by_another_thread(desk, writers):
    desk.click_canvas(desk.viewer.layers["movie"], 20, 20)
    desk.wait_idle()
    assert writers and HERE() not in writers
    assert desk.frame(0)[20, 20] == 1
    layer = desk.widget.controller.masks.main.layer
    np.testing.assert_array_equal(np.asarray(layer._slice.image.raw), desk.frame(0))
    writers.clear()
    desk.widget.controller.show_stored()
    desk.widget.form.diameter.setValue(30)
    desk.widget.form.diameter.editingFinished.emit()
    desk.wait_idle()
    assert writers and HERE() not in writers


@pytest.mark.parametrize("tool", ["paint", "erase", "fill", "polygon"])
def test_row26_whoever_has_a_brush_in_hand_writes_in_turn_with_it(desk, writers, tool):
    layer = desk.widget.controller.masks.main.layer
    layer.mode = tool
    desk.widget.controller.prompts.points.add([0, 20, 20])
    desk.wait_idle()
    assert writers == {HERE()} and desk.frame(0)[20, 20] == 1
    writers.clear()
    layer.mode = "pan_zoom"
    desk.widget.controller.prompts.points.add([0, 22, 22])
    desk.wait_idle()
    assert writers and HERE() not in writers


def test_row26_a_stroke_that_can_be_taken_back_is_not_written_over_by_another_thread(desk, writers):
    layer = desk.widget.controller.masks.main.layer
    layer.mode = "paint"
    layer.paint((0, 50, 50), 7)
    layer.mode = "pan_zoom"
    desk.widget.controller.prompts.points.add([0, 20, 20])
    desk.wait_idle()
    assert writers == {HERE()} and desk.frame(0)[20, 20] == 1 and desk.frame(0)[50, 50] == 7


def test_row26_a_brush_is_not_taken_in_hand_while_a_frame_is_written(desk, monkeypatch):
    layer, begun, order = desk.widget.controller.masks.main.layer, threading.Event(), []
    real = mask_layers.write_frame

    def slow(*args, **kwargs):
        begun.set()
        time.sleep(0.3)
        real(*args, **kwargs)
        order.append("written")

    monkeypatch.setattr(mask_layers, "write_frame", slow)
    desk.widget.controller.prompts.points.add([0, 20, 20])
    assert begun.wait(10)
    layer.mode = "paint"
    order.append("in hand")
    assert order == ["written", "in hand"]
    layer.paint((0, 50, 50), 7)
    desk.wait_idle()
    assert desk.frame(0)[50, 50] == 7 and desk.frame(0)[20, 20] == 1


def test_prompts_are_told_to_the_session_by_another_thread(desk, monkeypatch):
    desk.widget.controller.prompts.points.add([0, 20, 20])
    desk.wait_idle()
    threads, real = set(), desk.session.set_prompts
    monkeypatch.setattr(desk.session, "set_prompts", lambda prompts: threads.add(HERE()) or real(prompts))
    desk.widget.runs.propagate()
    desk.wait_idle()
    assert threads and HERE() not in threads
    assert (desk.frame(11) == 1).any()


def test_row24_many_frames_a_second_are_drawn_ten_times(monkeypatch):
    now, drawn = [0.0], []
    monkeypatch.setattr(mask_output.time, "monotonic", lambda: now[0])
    layers = SimpleNamespace(refresh=lambda: drawn.append(now[0]))
    output = mask_output.MaskOutput.__new__(mask_output.MaskOutput)
    output.layers, output._shown_frame, output._is_due, output._drawn = layers, lambda: None, False, -1.0
    for frame in range(100):
        now[0] = frame / 50
        output.show(frame, at_once=False)
    assert 15 <= len(drawn) <= 20 and min(np.diff(drawn)) >= 0.1
    now[0] += 0.01
    output.show(100, at_once=True)
    assert drawn[-1] == now[0], "what somebody waits for is drawn at once"
    output.show(101, at_once=False)
    output.finish()
    count = len(drawn)
    output.finish()
    assert len(drawn) == count, "drawn once in the end"


def test_the_strip_looks_only_at_rows_that_are_new(desk, monkeypatch):
    strip, looked = desk.widget.form.review.strip, []
    real = review_strip._narrowed
    monkeypatch.setattr(review_strip, "_narrowed", lambda table, width: looked.append(table.size) or real(table, width))
    rows = {i: np.full(5000, NOTHING, np.float32) for i in range(1, 101)}
    strip.show_rows(rows)
    strip.grab()
    looked.clear()
    strip.show_place(7, None)
    strip.grab()
    assert not looked
    strip.show_rows(rows | {3: np.zeros(5000, np.float32)})
    strip.grab()
    assert looked.count(5000) == 1
    assert sum(looked) <= 5000 + len(rows) * strip.width()


def test_catching_up_gives_way_to_what_somebody_waits_for():
    session, book = FakeSession((10, 64, 64)), ObjectBook(10)
    book.open(session)
    book._outdated = {1, 2, 3}
    assert [*book.catching_up(lambda: True)] == []
    assert book.is_behind
