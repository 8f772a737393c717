"""Advanced settings: what is shown is what the session is opened with; and what of the form is seen at once."""

from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox

from napari_sam2.memory_policy import CELLS, ORIGINAL, MemoryPolicy
from napari_sam2.session_settings import SessionSettings
from napari_sam2.session_setup import SessionSetup
from napari_sam2.tuning import Tuning
from napari_sam2.widget.advanced_form import AdvancedForm
from napari_sam2.widget.session_choices import SessionChoices
from widget.conftest import Desk

pytestmark = pytest.mark.widget


@pytest.fixture
def form(qtbot: Any) -> AdvancedForm:
    form = AdvancedForm()
    qtbot.addWidget(form)
    return form


def test_at_first_all_is_as_usual(form: AdvancedForm) -> None:
    assert form.setup(diameter=None, device="auto") == SessionSetup()
    assert form.setup(diameter=30.0, device="cpu") == SessionSetup(30.0, device="cpu")
    assert form.tuning.keys() == {field.name for field in fields(Tuning)}


@pytest.mark.parametrize(
    ("policy", "name", "most"),
    [
        (ORIGINAL, "original", None),
        (CELLS, "cells", None),
        (replace(CELLS, max_recent=5), "cells", 5),
        (replace(ORIGINAL, max_recent=0), "original", 0),
        (MemoryPolicy(min_iou=0.5, max_recent=2), MemoryPolicy(min_iou=0.5, max_recent=2), None),
    ],
)
def test_what_a_stored_session_goes_on_with_is_shown_and_kept(
    form: AdvancedForm, policy: MemoryPolicy, name: Any, most: int | None, qtbot: Any
) -> None:
    changes: list[int] = []
    form.changed.connect(lambda: changes.append(1))
    tuning = Tuning(1.5, -2.0, 8, 64 * 2**20)
    form.show_setup(adopted(policy, tuning))
    assert not changes
    assert form.setup(diameter=None, device="auto") == SessionSetup(None, name, most, tuning, "auto")
    form.usual.click()
    assert form.setup(diameter=None, device="auto") == SessionSetup()
    assert changes == [1]


def adopted(policy: MemoryPolicy, tuning: Tuning) -> SessionSetup:
    """What is taken over from a stored session."""
    session = SimpleNamespace(settings=SessionSettings(memory_policy=policy, tuning=tuning))
    stored: Any = SimpleNamespace(session=session, model=SimpleNamespace(name="cell", precision="bfloat16"))
    return SessionChoices("cell", SessionSetup()).adopt(stored).setup


def test_what_is_shown_rounded_stays_as_it_was_until_it_is_changed_itself(form: AdvancedForm) -> None:
    given = SessionSetup(tuning=Tuning(1.0625, -2.0, 8, 3 * 2**20 + 1), device="auto")
    form.show_setup(given)
    form.max_recent.setValue(3)
    assert form.setup(diameter=None, device="auto") == replace(given, max_recent=3)
    form.tuning["mask_threshold"].setValue(2)
    tuning = replace(given.tuning, mask_threshold=2.0)
    assert form.setup(diameter=None, device="auto") == replace(given, max_recent=3, tuning=tuning)


def test_each_control_says_what_it_trades(form: AdvancedForm) -> None:
    controls = [
        *form.findChildren(QComboBox),
        *form.findChildren(QAbstractSpinBox),
        *form.findChildren(QAbstractButton),
    ]
    assert len(controls) >= 8
    assert all(control.toolTip() for control in controls if control.parent() is form)


def test_a_change_opens_the_session_anew_and_answers_the_clicks(desk: Desk) -> None:
    desk.click_canvas(desk.viewer.layers["movie"], 10, 10)
    desk.wait_idle()
    advanced = desk.widget.form.advanced
    advanced.tuning["mask_threshold"].setValue(2.0)
    desk.wait_idle()
    advanced.max_recent.setValue(4)
    desk.wait_idle()
    advanced.tuning["window_tokens"].setValue(9)
    desk.wait_idle()
    assert [setup.tuning.mask_threshold for setup in desk.setups] == [0, 2, 2, 2]
    assert [setup.max_recent for setup in desk.setups] == [None, None, 4, 4]
    assert desk.setups[-1].tuning.window_tokens == 8, "windows have an even number of tokens"
    assert desk.session.asked == [(0, 1)]


def test_the_main_path_is_seen_without_scrolling(desk: Desk) -> None:
    """On a screen 1080 pixels high, with the bars of a desktop and of the window."""
    window = desk.viewer.window._qt_window
    window.resize(1500, 1000)
    dock = next(d for d in desk.viewer.window._wrapped_dock_widgets.values() if d.widget() is not None)
    window.resizeDocks([dock], [400], Qt.Orientation.Horizontal)
    desk.settle(20)
    form, widget = desk.widget.form, desk.widget
    for control in (
        form.image.native,
        form.new_object,
        form.propagate,
        form.undo_line.undo,
        form.review.approve_object,
    ):
        place = control.mapTo(widget, QPoint(0, 0))
        assert 0 <= place.y() and place.y() + control.height() <= min(widget.height(), 900)
        assert 0 <= place.x() and place.x() + control.width() <= widget.width()
    folded = {name for name, fold in form.folds.items() if not fold.isExpanded()}
    assert folded == {"Cells without clicks", "Masks", "Advanced", "Keys"}
