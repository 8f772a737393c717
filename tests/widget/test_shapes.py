"""Boxes and outlines, drawn with the mouse."""

from itertools import pairwise

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_sam2.prompts import BoxPrompt
from widget.conftest import Desk


def drag(desk: Desk, *places: tuple[float, float]) -> None:
    """Press at the first place (y, x), go to the others in small steps, release at the last."""
    image, native = desk.viewer.layers["movie"], desk.viewer.window._qt_viewer.canvas.native
    points = [desk.canvas_point(image, y, x) for y, x in places]
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QTest.mouseMove(native, points[0])
    desk.settle(3)
    QTest.mousePress(native, left, none, points[0])
    desk.settle(3)
    for start, end in pairwise(points):
        for part in np.linspace(0.2, 1, 5):
            QTest.mouseMove(native, start + (end - start) * part)
            desk.settle(3)
    QTest.mouseRelease(native, left, none, points[-1])
    desk.settle()


def test_a_box_drawn_is_a_prompt_of_the_object_chosen(desk: Desk) -> None:
    form = desk.widget.form
    desk.go_to(3)
    form.object_id.setValue(5)
    desk.click(form.box)
    drag(desk, (10, 12), (30, 40))
    desk.wait_idle()
    ((key, group),) = desk.session.prompts.items()
    assert key == (5, 3)
    assert isinstance(group.box, BoxPrompt)
    np.testing.assert_allclose([group.box.y0, group.box.x0, group.box.y1, group.box.x1], [10, 12, 30, 40], atol=1)
    assert form.objects.table.objects.object_ids == [5]
    assert desk.frame(3)[20, 25] == 5 and desk.frame(3)[20, 45] == 0
    assert not desk.notes()


def test_the_inside_of_an_outline_is_the_mask_and_the_next_shape_another_object(desk: Desk) -> None:
    desk.click(desk.widget.form.outline)
    drag(desk, (10, 10), (10, 30), (30, 30), (30, 10), (12, 10))
    desk.wait_idle()
    mask = desk.frame(0) == 1
    assert mask[20, 20] and not mask[20, 40]
    assert 300 < mask.sum() < 500
    desk.press_key("M")
    assert desk.widget.form.object_id.value() == 2
    desk.click(desk.widget.form.outline)
    drag(desk, (40, 40), (40, 55), (55, 55), (55, 40), (42, 40))
    desk.wait_idle()
    assert desk.frame(0)[48, 48] == 2 and desk.frame(0)[20, 20] == 1


def test_shapes_go_with_their_object_and_a_removed_layer_is_made_anew(desk: Desk) -> None:
    form = desk.widget.form
    desk.click(form.outline)
    drag(desk, (10, 10), (10, 30), (30, 30), (30, 10), (12, 10))
    desk.wait_idle()
    form.objects.select_objects({1})
    desk.click(form.objects.remove)
    desk.wait_idle()
    shapes = desk.viewer.layers["shape_prompts"]
    assert shapes.nshapes == 0 and desk.frame(0).max() == 0
    desk.viewer.layers.remove(shapes)
    assert any("shapes were removed" in note for note in desk.notes())
    desk.click(form.box)
    assert desk.viewer.layers["shape_prompts"] != shapes
