"""Choosing a model in the widget: one that is there, one that is downloaded first, one from a file."""

import gc
import io
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from napari.utils.progress import progress
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from checkpoints.loopback import Server, serving
from napari_sam2.checkpoints.fetch import fetch
from napari_sam2.checkpoints.registry import CHECKPOINTS
from napari_sam2.checkpoints.store import Store
from napari_sam2.models import load_model
from napari_sam2.widget.model_choice import FROM_FILE
from napari_sam2.widget.model_switch import ModelSwitch
from widget.conftest import Desk
from widget.fakes import FakeSession, StepRunner

TINY = "sam2.1-tiny"


@pytest.fixture(scope="module")
def content() -> bytes:
    file = io.BytesIO()
    torch.save({"model": {k: v.half() for k, v in load_model("cell", device="cpu").state_dict().items()}}, file)
    return file.getvalue()


@pytest.fixture(autouse=True)
def server(content: bytes, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NAPARI_SAM2_CACHE", str(tmp_path))
    monkeypatch.delenv("NAPARI_SAM2_OFFLINE", raising=False)
    with serving(content) as server:
        monkeypatch.setitem(CHECKPOINTS, TINY, server.checkpoint())
        yield server


class Heard:
    """A switch whose jobs run in this thread, and what it says."""

    def __init__(self, *, paused: bool = False) -> None:
        self.runner = StepRunner(paused=paused)
        self.switch = ModelSwitch(self.runner)
        self.used: list[str] = []
        self.errors: list[Exception] = []
        self.steps: list[Any] = []
        self.switch.used.connect(self.used.append)
        self.switch.failed.connect(self.errors.append)
        self.switch.progress.connect(self.steps.append)


def test_what_is_not_here_says_so_and_how_large_it_is() -> None:
    choices = Heard().switch.choices()
    assert list(choices) == list(CHECKPOINTS)
    assert choices["cell"] == "cell"
    assert choices[TINY] == "sam2.1-tiny (not downloaded, 12 MB)"
    assert choices["sam2.1-large"] == "sam2.1-large (not downloaded, 898 MB)"


def test_a_model_is_used_once_it_is_here(server: Server) -> None:
    heard = Heard()
    heard.switch.choose(TINY)
    assert (heard.switch.model, heard.used, heard.errors) == (TINY, [TINY], [])
    assert heard.steps[-1].note == "converting"
    assert heard.switch.choices()[TINY] == TINY
    heard.switch.choose("cell")
    heard.switch.choose(TINY)
    assert heard.used == [TINY, "cell", TINY]
    assert len(server.asked) == 1


def test_until_then_the_old_one_is() -> None:
    heard = Heard(paused=True)
    heard.switch.choose(TINY)
    heard.runner.step()
    assert (heard.switch.model, heard.switch.wanted, heard.used) == ("cell", TINY, [])
    heard.switch.choose(TINY)
    assert len(heard.runner.jobs) == 1
    heard.runner.finish()
    assert (heard.switch.model, heard.switch.wanted, heard.used) == (TINY, "", [TINY])


def test_another_choice_ends_the_download() -> None:
    heard = Heard(paused=True)
    heard.switch.choose(TINY)
    heard.runner.step()
    heard.switch.choose("cell")
    assert (heard.switch.model, heard.switch.wanted, heard.runner.jobs) == ("cell", "", [])
    assert heard.used == [], "it is in use already"
    heard.switch.choose(TINY)
    heard.switch.choose("sam2-large")
    assert heard.switch.wanted == "sam2-large"
    assert [job.name for job, _ in heard.runner.jobs] == ["Downloading sam2-large"]


def test_an_error_leaves_the_old_model_in_use(server: Server) -> None:
    server.moods = [404]
    heard = Heard()
    heard.switch.choose(TINY)
    assert (heard.switch.model, heard.switch.wanted, heard.used) == ("cell", "", [])
    assert len(heard.errors) == 1 and "404" in str(heard.errors[0])
    heard.switch.choose(TINY)
    assert heard.used == [TINY]


def choose(desk: Desk, model: str) -> None:
    """Open the list and choose with the keyboard."""
    box = desk.widget.form.model.box
    QTest.keyClick(box, Qt.Key.Key_Down)
    desk.qtbot.waitUntil(box.view().isVisible)
    box.view().setCurrentIndex(box.model().index(box.findData(model), 0))
    QTest.keyClick(box.view(), Qt.Key.Key_Return)
    desk.settle()
    assert not box.view().isVisible()


def begin(desk: Desk, server: Server) -> None:
    """Choose a model that is not there, and come back in the midst of its download, which has become slow."""
    server.slow_s = 0.005
    choose(desk, TINY)
    desk.qtbot.waitUntil(lambda: desk.widget.form.model.bar.value() >= 3, timeout=10_000)
    server.slow_s = 1


def wait_downloaded(desk: Desk) -> None:
    desk.qtbot.waitUntil(lambda: not desk.widget.downloads.is_busy, timeout=30_000)
    desk.wait_idle()


@pytest.fixture
def opened(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that sessions were opened with."""
    models: list[str] = []

    def open_session(image: Any, model: str, **kwargs: Any) -> FakeSession:
        models.append(model)
        return desk.open_session(image, model, **kwargs)

    monkeypatch.setattr("napari_sam2.widget.session_choices.open_layer_session", open_session)
    desk.widget.form.diameter.setValue(30)
    desk.widget.form.diameter.editingFinished.emit()
    return models


def test_choosing_downloads_shows_how_far_it_is_and_then_uses_it(desk: Desk, server: Server, opened: list[str]) -> None:
    desk.click_canvas(desk.viewer.layers["movie"], 20, 20)
    desk.wait_idle()
    choice = desk.widget.form.model
    assert not choice.bar.isVisible()
    begin(desk, server)
    assert choice.bar.isVisible() and choice.bar.maximum() == 11
    assert choice.note.text().startswith("Downloading sam2.1-tiny: ") and choice.note.text().endswith(" of 12 MB")
    (bar,) = progress._all_instances
    assert bar.desc.startswith("Downloading sam2.1-tiny") and bar.total == 11 and 3 <= bar.n <= 11
    assert choice.box.currentData() == choice.box.currentText() == TINY and opened == ["cell"]
    # Clicks are answered meanwhile.
    desk.click_canvas(desk.viewer.layers["movie"], 40, 40)
    desk.wait_idle()
    assert desk.frame(0)[40, 40] == 1 and desk.widget.downloads.is_busy
    server.slow_s = 0
    wait_downloaded(desk)
    assert opened == ["cell", TINY]
    assert not choice.bar.isVisible() and not progress._all_instances
    assert choice.box.currentText() == TINY
    assert not desk.notes()


def test_a_download_can_be_stopped_and_gone_on_with(desk: Desk, server: Server, opened: list[str]) -> None:
    choice = desk.widget.form.model
    begin(desk, server)
    desk.click(choice.cancel)
    assert choice.box.currentData() == "cell" and not choice.bar.isVisible()
    wait_downloaded(desk)
    kept = Store.default().part(CHECKPOINTS[TINY]).size
    assert kept >= 3_000_000
    assert choice.box.itemText(choice.box.findData(TINY)) == f"sam2.1-tiny ({kept // 1_000_000} of 12 MB downloaded)"
    server.slow_s = 0
    choose(desk, TINY)
    wait_downloaded(desk)
    assert server.ranges == ["", f"bytes={kept}-"]
    assert choice.box.currentText() == TINY
    assert not desk.notes()


def test_a_stalled_server_does_not_hold_up_the_widget(desk: Desk, server: Server, opened: list[str]) -> None:
    server.moods = ["stall"]
    choice = desk.widget.form.model
    begin(desk, server)
    choose(desk, "cell")
    assert not choice.bar.isVisible() and choice.box.currentData() == "cell"
    desk.click_canvas(desk.viewer.layers["movie"], 20, 20)
    desk.wait_idle(2_000)
    assert desk.frame(0)[20, 20] == 1
    server.over.set()


@pytest.mark.parametrize("mood", [404, "html"])
def test_an_error_is_shown_with_the_way_out(desk: Desk, server: Server, opened: list[str], mood: Any) -> None:
    server.moods = [mood]
    choice = desk.widget.form.model
    choose(desk, TINY)
    wait_downloaded(desk)
    (note,) = desk.notes()
    assert server.checkpoint().url in note
    assert ("save it as" if mood == 404 else "open the address in a browser") in note
    assert choice.box.currentData() == "cell" and not choice.bar.isVisible()
    assert opened == [] and not progress._all_instances


def test_offline(desk: Desk, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_SAM2_OFFLINE", "1")
    choose(desk, TINY)
    wait_downloaded(desk)
    (note,) = desk.notes()
    assert "NAPARI_SAM2_OFFLINE" in note and server.asked == []


def test_a_model_that_is_here_is_used_at_once(desk: Desk, server: Server, opened: list[str]) -> None:
    for _ in fetch(CHECKPOINTS[TINY], Store.default()):
        pass
    choose(desk, TINY)
    assert not desk.widget.downloads.is_busy
    desk.click_canvas(desk.viewer.layers["movie"], 20, 20)
    desk.wait_idle()
    assert opened == [TINY]


def test_a_file_is_offered_from_then_on(
    desk: Desk, opened: list[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = ["", str(tmp_path / "mine.safetensors")]
    monkeypatch.setattr("napari_sam2.widget.model_choice.QFileDialog.getOpenFileName", lambda *_: (answers.pop(0), ""))
    choice = desk.widget.form.model
    choose(desk, FROM_FILE)
    assert choice.box.currentData() == "cell"
    choose(desk, FROM_FILE)
    assert choice.box.currentText() == "mine.safetensors"
    desk.click_canvas(desk.viewer.layers["movie"], 20, 20)
    desk.wait_idle()
    assert opened == [str(tmp_path / "mine.safetensors")]
    choose(desk, "cell")
    choose(desk, str(tmp_path / "mine.safetensors"))
    desk.wait_idle()
    assert opened[-1] == str(tmp_path / "mine.safetensors") and answers == []


def test_the_dock_stays_narrow(desk: Desk, tmp_path: Any) -> None:
    desk.widget._models.choose(str(tmp_path / ("a long name " * 20 + ".pt")))
    desk.settle()
    assert desk.widget.form.minimumSizeHint().width() <= 400


def test_nothing_is_chosen_in_passing(desk: Desk, server: Server) -> None:
    box = desk.widget.form.model.box
    box.setFocus()
    QTest.keyClicks(box, "sam2")
    where, turn = QPointF(box.rect().center()), QPoint(0, -120)
    buttons, keys = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
    wheel = QWheelEvent(where, where, QPoint(), turn, buttons, keys, Qt.ScrollPhase.NoScrollPhase, False)
    QApplication.sendEvent(box, wheel)
    desk.settle()
    assert box.currentData() == "cell" and server.asked == []


def test_closing_the_dock_ends_the_download(desk: Desk, server: Server) -> None:
    begin(desk, server)
    closed = desk.widget
    desk.viewer.window.remove_dock_widget(closed)
    desk.qtbot.waitUntil(lambda: not closed.downloads.is_busy, timeout=10_000)
    assert not Store.default().path(CHECKPOINTS[TINY]).exists()
    desk.dock()


def test_a_model_is_for_the_user_for_whom_it_was_chosen() -> None:
    heard = Heard(paused=True)
    switch, uses = heard.switch, []
    switch.used.connect(lambda model, user: uses.append((model, user)))
    switch.show_user("cell", "first")
    switch.choose(TINY)
    switch.show_user("cell", "second")
    assert (switch.shown, switch.wanted) == ("cell", TINY)
    switch.choose("mine.pt")
    assert (switch.shown, switch.wanted, uses) == ("mine.pt", TINY, [("mine.pt", "second")])
    heard.runner.finish()
    assert (switch.shown, uses[1:]) == ("mine.pt", [(TINY, "first")])
    switch.show_user(TINY, "first")
    assert switch.shown == TINY


def test_two_users_wait_for_one_download() -> None:
    heard = Heard(paused=True)
    switch, uses = heard.switch, []
    switch.used.connect(lambda model, user: uses.append((model, user)))
    switch.show_user("cell", "first")
    switch.choose(TINY)
    switch.join("third")
    switch.show_user("cell", "second")
    switch.choose(TINY)
    assert len(heard.runner.jobs) == 1 and switch.shown == TINY
    switch.choose("cell")
    assert len(heard.runner.jobs) == 1 and switch.shown == "cell", "the others still wait for it"
    heard.runner.finish()
    assert uses == [(TINY, "first"), (TINY, "third")] and switch.model == "cell"


class Movie:
    """One for whom a model is chosen."""


def test_a_user_who_is_gone_is_waited_for_no_more(server: Server) -> None:
    heard = Heard(paused=True)
    switch, uses = heard.switch, []
    switch.used.connect(lambda model, user: uses.append((model, user)))
    switch.show_user("cell", "first")
    switch.choose(TINY)
    switch.join("second")
    switch.leave("first")
    assert switch.wanted == TINY and len(heard.runner.jobs) == 1
    switch.leave("stranger")
    heard.runner.finish()
    assert uses == [(TINY, "second")]
    switch.show_user("cell", "third")
    switch.choose("sam2.1-large")
    switch.leave("third")
    assert switch.wanted == "" and not heard.runner.jobs
    switch.show_user("cell", user := Movie())
    switch.choose("sam2.1-large")
    switch.show_user("cell", "fourth")
    switch.leave(user)
    gone = weakref.ref(user)
    del user
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("is_shown", [False, True])
def test_a_movie_that_is_closed_while_its_model_is_downloaded_ends_the_download(
    desk: Desk, server: Server, opened: list[str], is_shown: bool
) -> None:
    form = desk.widget.form
    desk.click_canvas(desk.viewer.layers["movie"], 20, 20)
    desk.wait_idle()
    other = desk.add_movie(name="other")
    for image in (other, desk.viewer.layers["movie"]):
        form.image.value = image
    begin(desk, server)
    if not is_shown:
        form.image.value = other
        desk.settle()
    desk.viewer.layers.remove(desk.viewer.layers["movie"])
    desk.settle()
    form.image.value = other
    desk.settle()
    assert not form.model.bar.isVisible()
    server.slow_s = 0
    desk.qtbot.waitUntil(lambda: not desk.widget.downloads.is_busy, timeout=10_000)
    desk.wait_idle()
    assert opened == ["cell"] and not Store.default().path(CHECKPOINTS[TINY]).exists()


def test_a_download_is_for_the_movie_for_which_it_was_chosen(desk: Desk, server: Server, opened: list[str]) -> None:
    form = desk.widget.form
    desk.click_canvas(desk.viewer.layers["movie"], 20, 20)
    desk.wait_idle()
    other = desk.add_movie(name="other")
    form.image.value = other
    desk.viewer.layers["point_prompts [1]"].add([0, 20, 20])
    desk.wait_idle()
    begin(desk, server)
    form.image.value = desk.viewer.layers["movie"]
    assert form.model.box.currentData() == "cell" and form.model.bar.isVisible()
    server.slow_s = 0
    wait_downloaded(desk)
    desk.qtbot.waitUntil(lambda: len(opened) == 3, timeout=5000)
    assert opened == ["cell", "cell", TINY] and form.model.box.currentData() == "cell"
    form.image.value = other
    desk.wait_idle()
    assert form.model.box.currentText() == TINY and len(opened) == 3
    assert desk.widget.session is desk.sessions[2] and desk.session.asked == [(0, 1)]
