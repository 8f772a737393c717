"""The table of objects, undo by button and key, and the console, in a viewer with real input; a stand-in network."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

import napari_sam2
from napari_sam2.errors import SessionError
from napari_sam2.prompts import PointPrompt
from napari_sam2.session_files.session_folder import begin_autosave
from napari_sam2.widget.object_table import FRAMES, ID, NAME, PARENT, STATE, WORST
from toy_model import ToyModel
from toy_scene import STILL_YX, click, fast_yx
from widget.conftest import Desk
from widget.toy_desk import NUM_FRAMES, movie, open_toy


@pytest.fixture
def desk(bare_desk: Desk, toy: ToyModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Desk:
    """Return a viewer with a movie of two discs that were followed to the end; the session is stored."""

    def open_session(image: Any, *_: Any, **__: Any) -> Any:
        session = open_toy(toy)
        begin_autosave(session, tmp_path / "toy.sam2", movie=image, model=toy)
        return session

    monkeypatch.setattr("napari_sam2.widget.session_choices.open_layer_session", open_session)
    image = bare_desk.viewer.add_image(movie(), name="movie")
    bare_desk.dock()
    bare_desk.viewer.window._qt_window.resize(1300, 1000)
    bare_desk.viewer.reset_view()
    bare_desk.go_to(0)
    bare_desk.settle(20)
    bare_desk.click_canvas(image, *STILL_YX)
    bare_desk.press_key("M")
    bare_desk.click_canvas(image, *fast_yx(0))
    bare_desk.wait_idle()
    bare_desk.click(bare_desk.widget.form.propagate)
    bare_desk.wait_idle()
    bare_desk.go_to(0)
    return bare_desk


def panel(desk: Desk) -> Any:
    desk.widget.form.objects.refresh()
    return desk.widget.form.objects


def texts(desk: Desk, column: int) -> list[str]:
    model = panel(desk).table.objects
    return [model.data(model.index(row, column)) for row in range(model.rowCount())]


def type_into(desk: Desk, row: int, column: int, text: str) -> None:
    """Choose a cell of the table, press F2, type, and press Return."""
    table = panel(desk).table
    table.selectRow(row)
    table.setCurrentIndex(table.model().index(row, column))
    table.setFocus()
    QTest.keyClick(table, Qt.Key.Key_F2)
    desk.settle()
    editor = next(child for child in table.viewport().children() if hasattr(child, "setText"))
    editor.clear()
    QTest.keyClicks(editor, text)
    QTest.keyClick(editor, Qt.Key.Key_Return)
    desk.settle()
    desk.wait_idle()


def cell(desk: Desk, row: int, column: int) -> QPoint:
    table = panel(desk).table
    return table.visualRect(table.model().index(row, column)).center()


def double_click(desk: Desk, row: int, column: int = STATE) -> None:
    viewport, where = panel(desk).table.viewport(), cell(desk, row, column)
    QTest.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=where)
    QTest.mouseDClick(viewport, Qt.MouseButton.LeftButton, pos=where)
    desk.settle()


def check(desk: Desk) -> None:
    """What the layers show is what the session knows."""
    desk.wait_idle()
    session = desk.widget.session
    for frame in range(NUM_FRAMES):
        np.testing.assert_array_equal(desk.frame(frame), session.labels(frame))
    assert session.set_prompts(desk.widget.controller.prompts.usable()[0]) == set()


def test_the_table_tells_of_each_object(desk: Desk) -> None:
    assert texts(desk, FRAMES) == ["8", "8"] and texts(desk, STATE) == ["tracked", "tracked"]
    assert texts(desk, WORST)[0] == "0.89" and texts(desk, PARENT) == ["", ""]


def test_the_worst_mask_is_told_sorted_by_and_gone_to(desk: Desk) -> None:
    # The fast disc moves by more than its diameter.
    table = panel(desk).table
    worst = desk.widget.session.worst(2)
    assert texts(desk, WORST) == ["0.89", f"{worst.confidence:.2f}"]
    tip = table.objects.data(table.objects.index(1, WORST), Qt.ItemDataRole.ToolTipRole)
    assert tip == f"Frame {worst.frame}: confidence {worst.confidence:.2f}; {worst.reason}. A double click goes there."
    assert worst.reason.startswith("moved 1.1 diameters")
    table.sortByColumn(WORST, Qt.SortOrder.AscendingOrder)
    order = [table.model().data(table.model().index(row, ID)) for row in range(2)]
    assert order == ["2", "1"]
    double_click(desk, 0, WORST)
    assert desk.viewer.dims.current_step[0] == worst.frame
    assert desk.widget.form.object_id.value() == 2
    desk.go_to(5)
    double_click(desk, 0)
    assert desk.viewer.dims.current_step[0] == 5, "elsewhere in the row it is the frame on screen"


def test_row25_undo_by_key_goes_back_over_propagation_and_clicks_and_redo_forward(desk: Desk) -> None:
    line, points = desk.widget.form.undo_line, desk.viewer.layers["point_prompts"]
    after = [desk.frame(t) for t in range(NUM_FRAMES)]
    assert line.undo.toolTip() == "Undo: propagation" and not line.redo.isEnabled()
    desk.press_key("U")
    desk.wait_idle()
    assert not desk.frame(3).any() and desk.frame(0).any()
    assert line.undo.toolTip() == "Undo: click on object 2" and line.redo.toolTip() == "Redo: propagation"
    desk.press_key("Z", Qt.KeyboardModifier.ControlModifier)
    desk.wait_idle()
    assert len(points.data) == 1 and set(np.unique(desk.frame(0))) == {0, 1}
    desk.click(line.undo)
    desk.wait_idle()
    assert len(points.data) == 0 and not line.undo.isEnabled() and not desk.frame(0).any()
    for _ in range(2):
        desk.press_key("U", Qt.KeyboardModifier.ShiftModifier)
    desk.press_key("Z", Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    desk.wait_idle()
    np.testing.assert_array_equal([desk.frame(t) for t in range(NUM_FRAMES)], after)
    check(desk)
    assert not desk.notes()


def test_row25_ctrl_z_on_the_masks_is_naparis_own_and_writes_nothing_stale(desk: Desk) -> None:
    labels, image = desk.viewer.layers["masks"], desk.viewer.layers["movie"]
    desk.viewer.layers.selection.active = labels
    labels.mode, labels.selected_label, labels.brush_size = "paint", 1, 5
    desk.click_canvas(image, 20, 20)
    assert desk.frame(0)[20, 20] == 1
    desk.press_key("U")
    desk.wait_idle()
    shown = desk.frame(0)
    desk.press_key("Z", Qt.KeyboardModifier.ControlModifier)
    np.testing.assert_array_equal(desk.frame(0), shown)


def test_row41_the_keys_mean_nothing_to_napari_and_are_given_back(desk: Desk) -> None:
    from napari.layers import Image, Labels, Layer, Points, Shapes
    from napari.settings import get_settings

    ours = {str(key) for key in desk.viewer.keymap}
    assert ours == {"U", "Shift+U", "H", "Shift+H", "N", "Shift+N", "K", "Shift+K", "Shift+S"}
    taken = {str(key) for keys in get_settings().shortcuts.shortcuts.values() for key in keys}
    for kind in (Layer, Image, Labels, Points, Shapes, type(desk.viewer)):
        taken |= {str(key) for key in getattr(kind, "class_keymap", {})}
    assert not ours & taken
    desk.widget.shut_down()
    assert not {key for key, function in desk.viewer.keymap.items() if function is not None}


def test_a_name_is_typed_into_the_table_and_kept_in_the_session(desk: Desk) -> None:
    type_into(desk, 1, NAME, "daughter")
    assert desk.widget.session.names == {2: "daughter"}
    assert texts(desk, NAME) == ["", "daughter"]
    desk.press_key("U")
    desk.wait_idle()
    assert desk.widget.session.names == {} and texts(desk, NAME) == ["", ""]


def test_a_double_click_goes_to_where_the_object_is(desk: Desk) -> None:
    desk.widget.session.end(2, 3)
    desk.widget.session.split(1, 5)
    check(desk)
    double_click(desk, 2)
    assert desk.viewer.dims.current_step[0] == 5, "its first frame"
    np.testing.assert_allclose(desk.viewer.scene.camera.center[-2:], STILL_YX, atol=1)
    assert desk.widget.form.object_id.value() == 3
    desk.go_to(2)
    double_click(desk, 1)
    assert desk.viewer.dims.current_step[0] == 2, "it is here"
    np.testing.assert_allclose(desk.viewer.scene.camera.center[-2:], fast_yx(2), atol=1)


def test_row42_merge_split_and_swap_by_button_of_what_is_selected(desk: Desk) -> None:
    objects = panel(desk)
    desk.go_to(4)
    objects.select_objects({1})
    desk.click(objects.split)
    check(desk)
    assert panel(desk).table.objects.object_ids == [1, 2, 3]
    objects.select_objects({1, 3})
    desk.click(objects.merge)
    check(desk)
    assert panel(desk).table.objects.object_ids == [1, 2]
    objects.select_objects({1, 2})
    desk.click(objects.swap)
    check(desk)
    y, x = STILL_YX
    assert desk.frame(3)[y, x] == 1 and desk.frame(4)[y, x] == 2
    for _ in range(3):
        desk.press_key("U")
    check(desk)
    assert desk.widget.form.undo_line.undo.toolTip() == "Undo: propagation"
    assert not desk.notes()


def test_ends_here_by_key_is_about_the_object_selected_or_the_one_clicked(desk: Desk) -> None:
    desk.go_to(5)
    desk.press_key("H")
    check(desk)
    assert desk.widget.session.ends == {2: 5}
    desk.go_to(6)
    panel(desk).select_objects({1})
    desk.press_key("H")
    check(desk)
    assert desk.widget.session.ends == {1: 6, 2: 5} and texts(desk, STATE) == ["ended", "ended"]


def test_removed_objects_come_back_with_undo(desk: Desk) -> None:
    before = [desk.frame(t) for t in range(NUM_FRAMES)]
    panel(desk).select_objects({1, 2})
    desk.click(panel(desk).remove)
    check(desk)
    assert not desk.frame(4).any() and len(desk.viewer.layers["point_prompts"].data) == 0
    assert desk.widget.form.undo_line.undo.toolTip() == "Undo: removal of objects 1 and 2"
    desk.press_key("U")
    check(desk)
    np.testing.assert_array_equal([desk.frame(t) for t in range(NUM_FRAMES)], before)
    assert desk.widget.form.undo_line.undo.toolTip() == "Undo: propagation"


def test_buttons_without_a_selection_say_what_to_do(desk: Desk) -> None:
    objects = panel(desk)
    objects.select_objects({1})
    desk.click(objects.merge)
    objects.select_objects(set())
    desk.click(objects.remove)
    assert ["Select two objects" in note or "Select objects" in note for note in desk.notes()] == [True, True]


def test_selection_and_order_stay_when_objects_come_and_go(desk: Desk) -> None:
    objects = panel(desk)
    objects.table.sortByColumn(FRAMES, Qt.SortOrder.DescendingOrder)
    objects.select_objects({2})
    desk.widget.session.add_prompts(PointPrompt(2, 40, *STILL_YX))
    desk.widget.session.segment(2, 40)
    desk.widget.session.remove_object(1)
    check(desk)
    assert panel(desk).table.objects.object_ids == [2, 40]
    assert objects.selected_objects() == [2]


def test_the_console_has_the_live_session_and_the_widget_shows_what_it_did(desk: Desk) -> None:
    session = napari_sam2.session(desk.viewer)
    assert session is desk.widget.session
    session.add_prompts(click(2, 9, 1))
    session.segment(2, 9)
    desk.qtbot.waitUntil(lambda: 9 in desk.widget.controller.object_ids, timeout=5000)
    check(desk)
    assert desk.viewer.layers["point_prompts"].features["object_id"].tolist() == [1, 2, 9]
    session.rename(9, "from the console")
    check(desk)
    assert "from the console" in texts(desk, NAME)
    assert desk.widget.form.undo_line.undo.toolTip() == "Undo: name of object 9"
    for _ in range(2):
        session.undo()
    check(desk)
    assert panel(desk).table.objects.object_ids == [1, 2]


def test_the_console_propagates_and_cleans_and_the_widget_follows(desk: Desk) -> None:
    session = napari_sam2.session(desk.viewer)
    session.cleaning = napari_sam2.Cleaning(remove_pieces=11)
    session.add_prompts(click(6, 5, 2))
    for _ in session.propagate("backward"):
        pass
    check(desk)
    assert desk.widget.form.cleaning.cleaning.remove_pieces == 11
    assert session.cleaning.remove_pieces == 11
    assert desk.widget.form.undo_line.undo.toolTip() == "Undo: propagation"


def test_the_console_opens_a_session_that_nobody_clicked_into(
    bare_desk: Desk, toy: ToyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_sam2.widget.session_choices.open_layer_session", lambda *_, **__: open_toy(toy))
    with pytest.raises(SessionError, match="Plugins > Track cells"):
        napari_sam2.session(bare_desk.viewer)
    bare_desk.dock()
    with pytest.raises(SessionError, match="no movie is chosen"):
        napari_sam2.session(bare_desk.viewer)
    bare_desk.viewer.add_image(movie(), name="movie")
    session = napari_sam2.session(bare_desk.viewer)
    session.add_prompts(PointPrompt(1, 1, *STILL_YX))
    session.segment(1, 1)
    bare_desk.wait_idle()
    assert bare_desk.frame(1).any()
    bare_desk.leave()


def test_the_console_of_another_thread_is_shown_as_well(desk: Desk) -> None:
    import threading

    thread = threading.Thread(target=lambda: desk.widget.session.end(1, 4))
    thread.start()
    thread.join()
    desk.qtbot.waitUntil(lambda: not desk.frame(6)[STILL_YX], timeout=5000)
    check(desk)


def test_row42_a_parent_is_typed_into_the_table_and_shown_wherever_it_changes(desk: Desk) -> None:
    type_into(desk, 1, PARENT, "1")
    assert desk.widget.session.parents == {2: 1} and texts(desk, PARENT) == ["", "1"]
    type_into(desk, 0, PARENT, "2")
    assert "object 2 descends from object 1" in desk.notes()[-1]
    type_into(desk, 0, PARENT, "the big one")
    assert "A parent is the ID of an object, not 'the big one'" in desk.notes()[-1]
    assert desk.widget.session.parents == {2: 1} and texts(desk, PARENT) == ["", "1"]
    panel(desk).select_objects({1})
    desk.click(panel(desk).remove)
    check(desk)
    assert texts(desk, PARENT) == [""], "nothing was done to object 2 itself"
    desk.press_key("U")
    check(desk)
    assert texts(desk, PARENT) == ["", "1"]
    type_into(desk, 1, PARENT, "")
    assert desk.widget.session.parents == {} and texts(desk, PARENT) == ["", ""]


def test_row42_an_object_divides_by_key_into_the_pieces_of_its_mask(desk: Desk) -> None:
    panel(desk).select_objects({1, 2})
    desk.click(panel(desk).merge)
    check(desk)
    desk.go_to(5)
    panel(desk).select_objects({1})
    desk.press_key("H", Qt.KeyboardModifier.ShiftModifier)
    check(desk)
    assert desk.widget.session.parents == {3: 1, 4: 1}
    assert (texts(desk, ID), texts(desk, PARENT)) == (["1", "3", "4"], ["", "1", "1"])
    assert texts(desk, STATE) == ["divided", "prompted", "prompted"]
    pieces = [desk.frame(5)[y, x] for y, x in (fast_yx(5), STILL_YX)]
    assert sorted(pieces) == [3, 4] and desk.frame(4)[STILL_YX] == 1 and not desk.frame(6).any()
    desk.press_key("U")
    check(desk)
    assert desk.frame(6)[STILL_YX] == 1 and texts(desk, STATE) == ["tracked"]
    assert not desk.notes()


def test_what_does_not_divide_says_why(desk: Desk) -> None:
    desk.go_to(5)
    panel(desk).select_objects({1})
    desk.click(panel(desk).divide)
    desk.wait_idle()
    assert "object 1 has its mask in one piece on frame 5" in desk.notes()[-1]
    assert texts(desk, STATE) == ["tracked", "tracked"]
