"""Propagations that wait: what goes on meanwhile, and how they go on; with the stand-in network, and in a viewer."""

import numpy as np
import pytest

from napari_sam2.widget import edits
from napari_sam2.widget.answers import PropagationRequest
from toy_model import ToyModel
from toy_scene import FAST, STILL
from widget.conftest import PLACED, Desk
from widget.fakes import wait
from widget.toy_desk import NUM_FRAMES, ToyBench

FORWARD = PropagationRequest("forward")


@pytest.fixture
def running(toy: ToyModel) -> ToyBench:
    """Two objects, a propagation of which is asked for and has not begun."""
    bench = ToyBench(toy)
    bench.click(0, 1, FAST)
    bench.click(0, 2, STILL)
    bench.runner.paused = True
    bench.controller.propagate(FORWARD)
    return bench


def ran_through(toy: ToyModel) -> np.ndarray:
    bench = ToyBench(toy)
    bench.click(0, 1, FAST)
    bench.click(0, 2, STILL)
    bench.controller.propagate(FORWARD)
    return bench.frames()


@pytest.mark.parametrize("steps", [0, 1, 2, 4], ids=["waiting", "planning", "before its first frame", "under way"])
def test_a_pause_holds_whenever_it_comes_and_the_run_goes_on_to_the_same_masks(
    toy: ToyModel, running: ToyBench, steps: int
) -> None:
    for _ in range(steps):
        running.runner.step()
    running.controller.pause()
    running.runner.finish()
    assert running.controller.is_paused and running.controller.state == "idle"
    done = len(running.session.masklets[1])
    assert done < NUM_FRAMES - 2
    running.runner.finish()
    assert len(running.session.masklets[1]) == done
    running.controller.resume()
    assert not running.controller.is_paused
    running.runner.finish()
    np.testing.assert_array_equal(running.frames(), ran_through(toy))
    running.check()


def test_clicks_and_edits_are_answered_while_a_propagation_waits(running: ToyBench) -> None:
    for _ in range(4):
        running.runner.step()
    running.controller.pause()
    running.click(6, 3, STILL)
    running.controller.edit(edits.rename(1, "fast one"))
    running.runner.finish()
    assert running.controller.is_paused
    assert 6 in running.session.masklets[3] and running.session.names[1] == "fast one"
    running.controller.resume()
    running.runner.finish()
    assert len(running.session.masklets[1]) == NUM_FRAMES and len(running.session.masklets[3]) == 1
    running.check()


def test_a_waiting_propagation_is_given_up_with_its_objects_and_by_cancel(running: ToyBench) -> None:
    for _ in range(4):
        running.runner.step()
    running.controller.pause()
    running.controller.edit(edits.remove([1, 2]))
    running.runner.finish()
    assert not running.controller.is_paused and running.controller.state == "idle"
    running.controller.edit(edits.undo())
    running.runner.finish()
    done = len(running.session.masklets[1])
    running.controller.resume()
    running.runner.step()
    running.controller.pause()
    states: list[str] = []
    running.controller.state_changed.connect(states.append)
    running.controller.cancel()
    assert states and not running.controller.is_paused
    running.runner.finish()
    assert len(running.session.masklets[1]) == done


def test_a_pause_on_the_last_frame_comes_too_late(running: ToyBench) -> None:
    while len(running.written) < 2 + NUM_FRAMES:
        running.runner.step()
    running.controller.pause()
    running.runner.finish()
    assert not running.controller.is_paused and running.said[-1] == f"Done: {NUM_FRAMES} frames."


def begin(desk: Desk, *, pause: float) -> list[int]:
    """Click, propagate with the button, and come back at the third frame with the list of frames as they come."""
    desk.widget.controller.prompts.points.add([0, 20, 20])
    desk.wait_idle()
    desk.session.before_frame = wait(pause)
    written: list[int] = []
    desk.widget.controller.frame_written.connect(written.append)
    desk.click(desk.widget.form.propagate)
    desk.qtbot.waitUntil(lambda: len(written) >= 3, timeout=10_000)
    return written


def test_row07_pause_and_resume_by_the_button(desk: Desk) -> None:
    form = desk.widget.form
    written = begin(desk, pause=0.1)
    desk.click(form.pause)
    desk.wait_idle()
    done = len(written)
    assert form.pause.text() == "Resume" and form.cancel.isEnabled() and "Paused after" in form.status.text()
    desk.go_to(9)
    desk.qtbot.wait(300)
    assert 3 <= len(written) == done < 12 and desk.viewer.dims.current_step[0] == 9
    desk.click(form.pause)
    desk.wait_idle()
    assert len(desk.session.masklets[1]) == 12
    assert form.pause.text() == "Pause" and not form.pause.isEnabled()


def test_row07_a_paused_propagation_can_be_canceled(desk: Desk) -> None:
    begin(desk, pause=0.1)
    desk.click(desk.widget.form.pause)
    desk.wait_idle()
    desk.click(desk.widget.form.cancel)
    desk.wait_idle()
    assert not desk.widget.form.cancel.isEnabled() and not desk.widget.controller.is_paused
    assert len(desk.session.masklets[1]) < 12


def test_a_paused_movie_leaves_the_others_free(desk: Desk) -> None:
    other = desk.add_movie(name="other", **PLACED)
    begin(desk, pause=0.1)
    desk.click(desk.widget.form.pause)
    first = desk.widget.controller
    desk.widget.form.image.value = other
    desk.settle()
    desk.widget.controller.prompts.points.add([0, 20, 20])
    desk.wait_idle()
    assert len(desk.sessions) == 2 and desk.session.asked == [(0, 1)]
    assert first.is_paused and len(desk.sessions[0].masklets[1]) < 12


def test_a_propagation_that_waits_for_another_movie_can_be_paused(desk: Desk) -> None:
    other = desk.add_movie(name="other", **PLACED)
    desk.widget.form.image.value = other
    desk.settle()
    second = desk.widget.controller
    second.prompts.points.add([0, 20, 20])
    desk.wait_idle()
    desk.widget.form.image.value = desk.viewer.layers["movie"]
    desk.settle()
    begin(desk, pause=0.1)
    desk.widget.form.image.value = other
    desk.settle()
    desk.click(desk.widget.form.propagate)
    desk.click(desk.widget.form.pause)
    desk.qtbot.waitUntil(lambda: not desk.widget.runner.is_busy, timeout=10_000)
    assert second.is_paused and len(desk.sessions[0].masklets[1]) == 1
    desk.click(desk.widget.form.pause)
    desk.wait_idle()
    assert len(desk.sessions[0].masklets[1]) == 12


def test_what_would_be_refused_during_a_run_is_not_offered(desk: Desk) -> None:
    form = desk.widget.form
    buttons = (
        form.everything,
        form.review.approve,
        form.review.approve_object,
        form.objects.own_layers,
        form.objects.merge,
    )
    begin(desk, pause=0.15)
    desk.qtbot.waitUntil(lambda: not any(button.isEnabled() for button in buttons), timeout=2000)
    assert desk.widget.controller.state == "propagating"
    desk.wait_idle()
    desk.qtbot.waitUntil(lambda: all(button.isEnabled() for button in buttons), timeout=2000)
