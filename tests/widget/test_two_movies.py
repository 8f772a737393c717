"""Two movies in one widget: the form shows what the chosen one runs with, and changes that one only."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.layers import Image
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_sam2.api import open_session
from napari_sam2.cleaning import Cleaning
from napari_sam2.layers import open_layer_session
from napari_sam2.memory_policy import CELLS
from napari_sam2.session_setup import SessionSetup
from napari_sam2.synthetic import sample_movie
from napari_sam2.tuning import Tuning
from widget.conftest import PLACED, Desk
from widget.fakes import FakeSession
from widget.test_keys import watched_settings

pytestmark = pytest.mark.widget
FIRST = SessionSetup(diameter=20.0, max_recent=3, tuning=Tuning(mask_threshold=1.5), precision="auto")
SECOND = SessionSetup(diameter=44.0, max_recent=3, tuning=Tuning(window_tokens=8))


def type_into(desk: Desk, box: Any, text: str) -> None:
    desk.unfold(box)
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, text)
    QTest.keyClick(box, Qt.Key.Key_Return)
    desk.wait_idle()


def choose(desk: Desk, box: Any, text: str) -> None:
    """Go to an entry of a list with the arrow keys."""
    desk.unfold(box)
    box.setFocus()
    index = box.findText(text)
    while (step := index - box.currentIndex()) != 0:
        QTest.keyClick(box, Qt.Key.Key_Down if step > 0 else Qt.Key.Key_Up)
        desk.wait_idle()


def go_to_movie(desk: Desk, name: str) -> None:
    choose(desk, desk.widget.form.image.native, name)
    assert desk.widget.controller.image.name == name


def click(desk: Desk, name: str) -> None:
    desk.widget.controller.prompts.points.add([0, 20, 20])
    desk.wait_idle()
    assert desk.widget.controller.image.name == name and desk.widget.session is not None


def shown(desk: Desk) -> SessionSetup:
    form = desk.widget.form
    return form.advanced.setup(diameter=float(form.diameter.value()) or None, device="auto")


@pytest.fixture
def opened(empty_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, SessionSetup]]:
    """Of each session that was opened: the movie, the model and the setup."""
    opened: list[tuple[str, str, SessionSetup]] = []

    def record(image: Image, model: str, *, setup: SessionSetup, **kwargs: Any) -> FakeSession:
        opened.append((image.name, model, setup))
        return empty_desk.open_session(image, model, setup=setup, **kwargs)

    monkeypatch.setattr("napari_sam2.widget.session_choices.open_layer_session", record)
    return opened


@pytest.fixture
def both(opened: list[tuple[str, str, SessionSetup]], empty_desk: Desk) -> Desk:
    """A movie with a session of one setup, and another one with a session of another setup, which is shown."""
    desk = empty_desk
    desk.add_movie(**PLACED)
    form = desk.dock().form
    type_into(desk, form.diameter, "20")
    type_into(desk, form.advanced.tuning["mask_threshold"], "1.5")
    type_into(desk, form.advanced.max_recent, "3")
    choose(desk, form.advanced.precision, "bfloat16 where it is faster")
    type_into(desk, form.cleaning.controls["fill_holes"], "7")
    click(desk, "movie")
    desk.add_movie(name="other", **PLACED)
    go_to_movie(desk, "other")
    assert shown(desk) == FIRST and form.cleaning.cleaning == Cleaning(fill_holes=7), "it begins with what is shown"
    type_into(desk, form.diameter, "44")
    type_into(desk, form.advanced.tuning["mask_threshold"], "0")
    type_into(desk, form.advanced.tuning["window_tokens"], "8")
    choose(desk, form.advanced.precision, "float32, as the original")
    type_into(desk, form.cleaning.controls["fill_holes"], "0")
    type_into(desk, form.cleaning.controls["remove_pieces"], "5")
    click(desk, "other")
    assert opened == [("movie", "cell", FIRST), ("other", "cell", SECOND)]
    return desk


def test_the_form_shows_what_the_movie_chosen_runs_with_and_no_session_is_opened_anew(both: Desk) -> None:
    form = both.widget.form
    sessions = [*both.sessions]
    for _ in range(2):
        go_to_movie(both, "movie")
        assert shown(both) == FIRST and form.cleaning.cleaning == Cleaning(fill_holes=7)
        assert both.widget.session is sessions[0]
        go_to_movie(both, "other")
        assert shown(both) == SECOND and form.cleaning.cleaning == Cleaning(remove_pieces=5)
        assert both.widget.session is sessions[1]
    assert both.sessions == sessions and not any(session.closed for session in sessions)
    assert [session.cleaning for session in sessions] == [Cleaning(fill_holes=7), Cleaning(remove_pieces=5)]


def test_a_change_is_about_the_movie_shown_and_leaves_its_other_values_alone(
    both: Desk, opened: list[tuple[str, str, SessionSetup]]
) -> None:
    form = both.widget.form
    go_to_movie(both, "movie")
    type_into(both, form.diameter, "25")
    assert opened[2:] == [("movie", "cell", replace(FIRST, diameter=25.0))]
    assert both.session.cleaning == Cleaning(fill_holes=7) and not both.sessions[1].closed
    type_into(both, form.cleaning.controls["fill_holes"], "9")
    assert [session.cleaning for session in both.sessions[1:]] == [Cleaning(remove_pieces=5), Cleaning(fill_holes=9)]
    go_to_movie(both, "other")
    assert shown(both) == SECOND and form.cleaning.cleaning == Cleaning(remove_pieces=5)
    type_into(both, form.advanced.max_recent, "2")
    assert opened[3:] == [("other", "cell", replace(SECOND, max_recent=2))]


def test_what_was_typed_and_not_finished_is_about_the_movie_before(
    both: Desk, opened: list[tuple[str, str, SessionSetup]]
) -> None:
    form = both.widget.form
    form.diameter.setFocus()
    form.diameter.selectAll()
    QTest.keyClicks(form.diameter, "50")
    form.image.value = both.viewer.layers["movie"]
    both.wait_idle()
    assert shown(both) == FIRST
    go_to_movie(both, "other")
    assert shown(both).diameter == 50
    assert opened[2:] == [("other", "cell", replace(SECOND, diameter=50.0))]


def test_the_diameter_that_was_found_out_is_that_of_the_movie(desk: Desk) -> None:
    click(desk, "movie")
    assert desk.widget.form.diameter.text() == "automatic, 12 px"
    desk.add_movie(name="other", **PLACED)
    go_to_movie(desk, "other")
    assert desk.widget.form.diameter.text() == "automatic"
    go_to_movie(desk, "movie")
    assert desk.widget.form.diameter.text() == "automatic, 12 px"


def test_cleaning_from_the_console_is_shown_with_its_movie(both: Desk) -> None:
    both.sessions[0].cleaning = Cleaning(remove_pieces=11)
    with both.sessions[0].logs.step("settings"):
        pass
    both.settle()
    assert both.widget.form.cleaning.cleaning == Cleaning(remove_pieces=5)
    go_to_movie(both, "movie")
    assert both.widget.form.cleaning.cleaning == Cleaning(remove_pieces=11)


def test_preferences_count_for_a_movie_without_a_session_beside_one_with(
    empty_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = watched_settings(monkeypatch)
    empty_desk.add_movie()
    form = empty_desk.dock().form
    click(empty_desk, "movie")
    empty_desk.add_movie(name="other")
    go_to_movie(empty_desk, "other")
    type_into(empty_desk, form.diameter, "33")
    go_to_movie(empty_desk, "movie")
    chosen.runs.device, chosen.runs.precision, chosen.runs.follow = "cpu", "auto", False
    chosen.events.changed()
    empty_desk.qtbot.waitUntil(lambda: not form.follow.isChecked(), timeout=5000)
    empty_desk.wait_idle()
    assert shown(empty_desk) == SessionSetup() and len(empty_desk.sessions) == 1
    go_to_movie(empty_desk, "other")
    click(empty_desk, "other")
    assert empty_desk.setups[1:] == [SessionSetup(diameter=33.0, precision="auto", device="cpu")]


def test_a_precision_that_is_preferred_is_for_movies_to_come(empty_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = watched_settings(monkeypatch)
    empty_desk.add_movie()
    form = empty_desk.dock().form
    click(empty_desk, "movie")
    chosen.runs.precision, chosen.runs.follow = "auto", False
    chosen.events.changed()
    empty_desk.qtbot.waitUntil(lambda: not form.follow.isChecked(), timeout=5000)
    assert shown(empty_desk).precision == "float32" and len(empty_desk.sessions) == 1
    type_into(empty_desk, form.diameter, "33")
    for name, precision in (("second", "auto"), ("third", "float32")):
        empty_desk.add_movie(name=name)
        go_to_movie(empty_desk, name)
        assert shown(empty_desk) == SessionSetup(diameter=33.0, precision=precision)
        choose(empty_desk, form.advanced.precision, "float32, as the original")
        go_to_movie(empty_desk, "movie")


STORED = Tuning(mask_threshold=1.5, window_tokens=8)


def store(folder: Path) -> tuple[np.ndarray, Path]:
    """Write a movie with a session beside it that has settings of its own; returns its pixels and its file."""
    frames, path = sample_movie().frames[:2], folder / "stored.tif"
    tifffile.imwrite(path, frames, photometric="minisblack")
    open_session(
        path,
        autosave=path.with_suffix(".sam2"),
        diameter=30.4,
        memory_policy=replace(CELLS, max_recent=4),
        tuning=STORED,
        cleaning=Cleaning(fill_holes=6),
    ).close()
    return frames, path


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [True, False])
def test_a_stored_session_beside_a_fresh_movie_keeps_its_own_setup(
    bare_desk: Desk, tmp_path: Path, at_once: bool
) -> None:
    """Also if the other movie is chosen while the session is still being opened."""
    frames, path = store(tmp_path)
    fresh = bare_desk.viewer.add_image(frames, name="fresh")
    bare_desk.dock()
    form = bare_desk.widget.form
    type_into(bare_desk, form.diameter, "25")
    bare_desk.viewer.open(str(path), plugin="napari", layer_type="image")
    go_to_movie(bare_desk, "stored")
    bare_desk.click(form.saved.button)
    if at_once:
        form.image.value = fresh
        movie = next(movie for movie in bare_desk.widget._movies if movie.image != fresh)
        bare_desk.qtbot.waitUntil(lambda: movie.controller.session is not None, timeout=60_000)
    bare_desk.wait_idle(60_000)
    go_to_movie(bare_desk, "fresh")
    assert shown(bare_desk) == SessionSetup(diameter=25.0) and form.cleaning.cleaning == Cleaning()
    click(bare_desk, "fresh")
    of_fresh = bare_desk.widget.session
    assert of_fresh.settings.diameter == 25 and of_fresh.settings.tuning == Tuning()

    go_to_movie(bare_desk, "stored")
    assert shown(bare_desk) == SessionSetup(30.0, "cells", 4, STORED)
    assert form.cleaning.cleaning == Cleaning(fill_holes=6)
    type_into(bare_desk, form.advanced.tuning["mask_threshold"], "2")
    click(bare_desk, "stored")
    now = bare_desk.widget.session.settings
    assert (now.diameter, now.tuning, now.cleaning) == (
        30.4,
        replace(STORED, mask_threshold=2.0),
        Cleaning(fill_holes=6),
    )
    assert now.memory_policy == replace(CELLS, max_recent=4)
    go_to_movie(bare_desk, "fresh")
    assert bare_desk.widget.session is of_fresh and shown(bare_desk).diameter == 25
    bare_desk.leave()


@pytest.mark.slow
def test_nothing_is_changed_of_a_stored_session_before_it_is_there(
    bare_desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()

    def wait_and_open(*args: Any, **kwargs: Any) -> Any:
        gate.wait(60)
        return open_layer_session(*args, **kwargs)

    monkeypatch.setattr("napari_sam2.widget.session_choices.open_layer_session", wait_and_open)
    _, path = store(tmp_path)
    bare_desk.viewer.open(str(path), plugin="napari", layer_type="image")
    form = bare_desk.dock().form
    bare_desk.click(form.saved.button)
    form.diameter.setFocus()
    form.diameter.selectAll()
    QTest.keyClicks(form.diameter, "77")
    QTest.keyClick(form.diameter, Qt.Key.Key_Return)
    bare_desk.unfold(form.cleaning)
    QTest.keyClick(form.cleaning.controls["fill_holes"], Qt.Key.Key_Up)
    assert shown(bare_desk).diameter is None and form.cleaning.cleaning == Cleaning()
    assert "is being opened" in bare_desk.notes()[-1]
    gate.set()
    bare_desk.wait_idle(60_000)
    assert shown(bare_desk) == SessionSetup(30.0, "cells", 4, STORED)
    now = bare_desk.widget.session.settings
    assert (now.diameter, now.tuning, now.cleaning) == (30.4, STORED, Cleaning(fill_holes=6))
    type_into(bare_desk, form.cleaning.controls["fill_holes"], "8")
    click(bare_desk, "stored")
    assert bare_desk.widget.session.settings.cleaning == Cleaning(fill_holes=8)
    bare_desk.leave()
