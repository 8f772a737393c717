"""Where the user stops, frames are encoded for clicks that may come; nobody has to wait for that."""

import threading
import time
from typing import Any

import pytest
from qtpy.QtCore import QTimer

from widget.conftest import Desk
from widget.test_controller import Bench

pytestmark = pytest.mark.widget


def clicked(desk: Desk) -> None:
    desk.go_to(0)
    desk.click_canvas(desk.viewer.layers["movie"], 20, 20)
    desk.wait_idle()


def waited_for(desk: Desk, frames: list[int]) -> None:
    desk.qtbot.waitUntil(lambda: [t for t, *_ in desk.session.ahead] == frames, timeout=10_000)
    desk.wait_idle()


def test_the_frame_on_screen_and_its_neighbors_are_encoded_in_the_worker(desk: Desk) -> None:
    clicked(desk)
    waited_for(desk, [0, 1])
    assert desk.session.ahead[0][1] == desk.widget._movie.tool.object_id
    desk.session.ahead.clear()
    said: list[Any] = []
    desk.widget.controller.state_changed.connect(said.append)
    desk.widget.controller.status.connect(said.append)
    desk.go_to(5)
    waited_for(desk, [5, 6, 4])
    assert threading.get_ident() not in desk.session.threads
    assert said == [], "nobody is told"
    desk.qtbot.wait(700)
    assert len(desk.session.ahead) == 3, "once"


def test_a_click_does_not_wait_for_more_than_one_step(desk: Desk) -> None:
    begun = threading.Event()

    def slow(frame: int) -> None:
        begun.set()
        time.sleep(0.5)

    desk.hooks["before_ahead"] = slow
    clicked(desk)
    desk.qtbot.waitUntil(begun.is_set, timeout=10_000)
    answered: list[int] = []
    desk.widget.controller.frame_written.connect(answered.append)
    desk.click_canvas(desk.viewer.layers["movie"], 24, 24)
    desk.qtbot.waitUntil(lambda: bool(answered), timeout=10_000)
    assert len(desk.session.ahead) <= 1


def test_nothing_is_done_while_it_is_switched_off_or_the_viewer_plays(desk: Desk) -> None:
    clicked(desk)
    waited_for(desk, [0, 1])
    desk.session.ahead.clear()
    desk.widget.form.advanced.ahead.setChecked(False)
    desk.go_to(5)
    desk.qtbot.wait(700)
    assert desk.session.ahead == [] and len(desk.sessions) == 1, "the session stays open"
    desk.widget.form.advanced.ahead.setChecked(True)
    waited_for(desk, [5, 6, 4])
    desk.session.ahead.clear()
    dims = desk.viewer.window._qt_viewer.dims
    dims.play(0, 1)
    desk.qtbot.waitUntil(lambda: dims.is_playing, timeout=5_000)
    desk.qtbot.wait(1500)
    assert desk.session.ahead == []
    dims.stop()
    desk.qtbot.waitUntil(lambda: len(desk.session.ahead) == 3, timeout=10_000)


def test_closing_the_dock_leaves_no_timer_and_no_job(desk: Desk) -> None:
    clicked(desk)
    widget, runner, session = desk.widget, desk.widget.runner, desk.session
    desk.go_to(4)
    widget.shut_down()
    assert not any(timer.isActive() for timer in widget._ahead.findChildren(QTimer))
    desk.qtbot.waitUntil(lambda: not runner.is_busy, timeout=10_000)
    done = len(session.ahead)
    desk.qtbot.wait(700)
    assert len(session.ahead) == done and not runner.is_busy


def test_a_frame_that_cannot_be_read_is_nothing_to_tell_of() -> None:
    bench = Bench()
    bench.click(0, 20, 30)

    def broken(frame: int) -> None:
        raise OSError("the disk is gone")

    bench.session.before_ahead = broken
    bench.controller.look_ahead(3, 1)
    assert not bench.errors and not bench.notes and bench.controller.state == "idle"
    bench.controller.close()


def test_whatever_is_asked_for_goes_first() -> None:
    bench = Bench(paused=True)
    bench.click(0, 20, 30)
    bench.runner.finish()
    bench.controller.look_ahead(3, 1)
    bench.runner.step()
    bench.controller.split([1])
    assert bench.controller.state == "splitting" and len(bench.session.ahead) == 1
    bench.controller.look_ahead(3, 1)
    bench.runner.finish()
    assert len(bench.session.ahead) == 1, "not while there is something to do"
    assert not bench.notes
    bench.controller.close()


def test_a_job_of_another_movie_is_not_kept_waiting(desk: Desk) -> None:
    first, second = Bench(paused=True), Bench(paused=True)
    second.controller._runner = first.runner
    first.click(0, 20, 30)
    first.runner.finish()
    first.controller.look_ahead(3, 1)
    first.runner.step()
    second.click(0, 10, 10)
    assert [job.name for job, _ in first.runner.jobs] == ["Masks of clicks"]
    first.runner.finish()
    first.controller.close()
    second.controller.close()
