"""Masks that are erased altogether with napari's tools: the object is not on that frame, and is followed around it."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from napari_sam2.errors import PromptError
from napari_sam2.prompts import MaskPrompt
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.video import Video
from napari_sam2.widget import edits
from napari_sam2.widget.answers import PropagationRequest
from toy_model import ToyModel
from toy_scene import FAST, RADIUS, STILL, STILL_YX, fast_yx, truth
from widget.conftest import Desk
from widget.test_shapes import drag
from widget.toy_desk import NUM_FRAMES, ToyBench, movie, open_toy

FORWARD = PropagationRequest("forward")
OTHERS = {*range(NUM_FRAMES)} - {3}


@pytest.fixture
def bench(toy: ToyModel) -> Iterator[ToyBench]:
    """Two objects that were followed to the end."""
    bench = ToyBench(toy)
    bench.click(0, 1, STILL)
    bench.click(0, 2, FAST)
    bench.controller.propagate(FORWARD)
    yield bench
    bench.controller.close()


def erase(bench: ToyBench, frame: int) -> None:
    """Erase the still disc."""
    bench.labels.brush_size = 60
    bench.labels.paint((frame, *STILL_YX), 0)
    assert not (bench.frames()[frame] == 1).any()


def frames_of(bench: ToyBench, object_id: int) -> set[int]:
    return {t for t, labels in enumerate(bench.frames()) if (labels == object_id).any()}


def test_row26_an_erased_mask_stays_away_on_that_frame_alone(bench: ToyBench) -> None:
    others = bench.frames()[3] == 2
    erase(bench, 3)
    for _ in range(2):
        bench.controller.propagate(FORWARD)
        assert frames_of(bench, 1) == OTHERS
        np.testing.assert_array_equal(bench.frames()[3] == 2, others)
        assert bench.session.masklets[1].absent == bench.session.approved(1) == (3,)
        bench.check()
    assert not bench.notes


@pytest.mark.parametrize(
    "ask",
    [
        lambda bench: bench.click(5, 2, FAST),
        lambda bench: bench.controller.edit(edits.rename(2, "fast")),
        lambda bench: bench.controller.use_masks([MaskPrompt(6, 9, np.roll(truth()[0] == STILL, -80, 1))]),
        lambda bench: bench.controller.edit(edits.approve(1, 3)),
    ],
    ids=["click", "edit", "labels", "approval"],
)
def test_row26_the_session_knows_at_the_next_thing_asked(bench: ToyBench, ask: Callable[[ToyBench], None]) -> None:
    erase(bench, 3)
    ask(bench)
    assert bench.session.masklets[1].absent == bench.session.approved(1) == (3,)
    bench.check()


def test_row25_undo_brings_the_erased_mask_back(bench: ToyBench) -> None:
    before = bench.frames()
    erase(bench, 3)
    bench.controller.edit(edits.undo())
    np.testing.assert_array_equal(bench.frames(), before)
    assert bench.said[-1] == "Undone: absence of object 1." and bench.session.approved(1) == ()
    bench.check()
    bench.controller.edit(edits.redo())
    assert frames_of(bench, 1) == OTHERS
    bench.check()


def test_row18_clicks_on_the_frame_go_with_the_mask(bench: ToyBench) -> None:
    bench.click(3, 1, STILL)
    erase(bench, 3)
    bench.controller.propagate(FORWARD)
    assert bench.point_ids() == [1, 2] and frames_of(bench, 1) == OTHERS
    bench.check()


def test_row26_a_click_after_the_eraser_makes_the_mask_anew(bench: ToyBench) -> None:
    erase(bench, 3)
    bench.click(3, 1, STILL)
    assert bench.frames()[3][tuple(map(int, STILL_YX))] == 1 and bench.session.approved(1) == ()
    bench.check()


def test_row26_the_only_mask_is_shown_again_and_what_to_do_is_said(bench: ToyBench) -> None:
    bench.controller.edit(edits.remove([2]))
    bench.click(4, 3, FAST)
    before = bench.frames()
    bench.labels.fill((4, *np.argwhere(before[4] == 3)[0]), 0)
    assert not (bench.frames()[4] == 3).any()
    bench.controller.edit(edits.approve(3, 4))
    (error,) = bench.errors
    assert isinstance(error, PromptError) and "nothing of it would be left: remove it" in str(error)
    assert bench.session.approved(3) == (), "an approval of what was erased is not one of what is shown again"
    np.testing.assert_array_equal(bench.frames(), before)
    bench.errors.clear()
    bench.check()


def test_row26_filled_with_another_id_the_cell_is_that_object(bench: ToyBench) -> None:
    bench.labels.fill((3, *STILL_YX), 9)
    bench.controller.propagate(PropagationRequest("forward", last=3))
    assert bench.session.masklets[1].absent == (3,) and frames_of(bench, 9) == {3}
    bench.controller.propagate(PropagationRequest("forward", last=3))
    assert bench.session.approved(1) == (3,) and (9, 3) in bench.session.prompts
    np.testing.assert_array_equal(bench.frames()[3], bench.session.labels(3))


def test_row26_strokes_that_a_click_made_stale_say_nothing(bench: ToyBench) -> None:
    bench.labels.brush_size = 6
    bench.labels.paint((3, *STILL_YX), 0)
    bench.click(3, 1, STILL)
    bench.controller.edit(edits.end([1], 2))
    bench.controller.edit(edits.rename(2, "fast"))
    assert bench.session.approved(1) == () and bench.session.history.undo_name == "name of object 2"
    bench.controller.edit(edits.remove([1]))
    bench.controller.propagate(FORWARD)
    assert not bench.errors and frames_of(bench, 2) == {*range(NUM_FRAMES)}


@pytest.mark.parametrize("how", ["cancel", "error"])
def test_row26_what_was_erased_stays_so_when_something_else_is_stopped(
    bench: ToyBench, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    erase(bench, 3)
    bench.runner.paused = True
    bench.click(5, 2, FAST)
    if how == "cancel":
        bench.controller.cancel()
    else:
        with monkeypatch.context() as broken:
            broken.setattr(TrackingSession, "segment", lambda *_: (_ for _ in ()).throw(MemoryError("no more")))
            bench.runner.finish()
        assert len(bench.errors) == 1
        bench.errors.clear()
    bench.runner.paused = False
    bench.runner.finish()
    assert frames_of(bench, 1) == OTHERS
    bench.controller.edit(edits.rename(2, "fast"))
    assert bench.session.approved(1) == (3,) and frames_of(bench, 1) == OTHERS
    bench.check()


def test_row26_of_several_erased_masks_one_that_cannot_be_takes_no_other_along(bench: ToyBench) -> None:
    bench.controller.edit(edits.remove([2]))
    bench.click(5, 3, FAST)
    erase(bench, 3)
    erase(bench, 6)
    bench.labels.fill((5, *np.argwhere(bench.frames()[5] == 3)[0]), 0)
    bench.controller.edit(edits.rename(1, "still"))
    assert "object 3" in str(bench.errors.pop()) and 5 in bench.session.masklets[3]
    assert bench.session.approved(1) == (3, 6) and frames_of(bench, 1) == OTHERS - {6}
    bench.check()
    bench.controller.edit(edits.undo())
    assert frames_of(bench, 1) == {*range(NUM_FRAMES)}, "they were one step"


def paint(bench: ToyBench, frame: int, object_id: int = 9) -> None:
    """Paint a square where there is nothing."""
    bench.labels.brush_size = 12
    bench.labels.paint((frame, 20, 20), object_id)


def rub_out(bench: ToyBench, frame: int) -> None:
    bench.labels.brush_size = 16
    bench.labels.paint((frame, 20, 20), 0)


@pytest.mark.parametrize(
    "ask",
    [
        lambda bench: bench.controller.propagate(FORWARD),
        lambda bench: bench.controller.edit(edits.rename(2, "fast")),
        lambda bench: bench.click(5, 2, FAST),
    ],
    ids=["propagation", "edit", "click"],
)
def test_row26_a_painted_mask_that_was_followed_is_not_there_once_it_is_erased(
    bench: ToyBench, ask: Callable[[ToyBench], None]
) -> None:
    paint(bench, 3)
    bench.controller.propagate(FORWARD)
    followed = frames_of(bench, 9)
    assert followed >= {3, 4}
    rub_out(bench, 3)
    ask(bench)
    bench.controller.propagate(FORWARD)
    assert 3 not in frames_of(bench, 9) and 4 in frames_of(bench, 9)
    assert bench.session.approved(9) == (3,)
    bench.check()
    while bench.controller.steps[0] != "absence of object 9":
        bench.controller.edit(edits.undo())
        assert 3 not in frames_of(bench, 9)
    bench.controller.edit(edits.undo())
    assert frames_of(bench, 9) == followed and bench.session.prompts[9, 3].mask.mask[20, 20]
    bench.check()


def test_row26_a_painted_mask_that_is_all_of_an_object_goes_with_it(bench: ToyBench) -> None:
    paint(bench, 3)
    bench.controller.edit(edits.rename(2, "fast"))
    assert bench.session.prompts[9, 3].mask is not None and frames_of(bench, 9) == {3}
    rub_out(bench, 3)
    for _ in range(2):
        bench.controller.propagate(FORWARD)
        assert 9 not in bench.session.masklets and frames_of(bench, 9) == set()
        assert bench.controller.object_ids == (1, 2) and not bench.notes
        bench.check()
    while 9 not in bench.session.masklets:
        bench.controller.edit(edits.undo())
    assert bench.said[-1] == "Undone: absence of object 9."
    assert frames_of(bench, 9) == {3} and bench.session.prompts[9, 3].mask is not None
    bench.check()


def test_row26_all_painted_masks_of_an_object_may_be_erased(bench: ToyBench) -> None:
    for frame in (3, 6):
        paint(bench, frame)
    bench.controller.edit(edits.rename(2, "fast"))
    for frame in (3, 6):
        rub_out(bench, frame)
    bench.controller.propagate(FORWARD)
    assert frames_of(bench, 9) == set() and not bench.session.masklets.get(9)
    bench.check()


@pytest.mark.parametrize("how", ["cancel", "click", "stroke"])
def test_row26_an_erased_painted_mask_that_waits(bench: ToyBench, how: str) -> None:
    paint(bench, 3)
    bench.controller.propagate(FORWARD)
    rub_out(bench, 3)
    bench.runner.paused = True
    bench.controller.edit(edits.rename(2, "fast"))
    bench.controller.cancel()
    bench.runner.paused = False
    bench.runner.finish()
    if how == "click":
        bench.click(3, 9, STILL)
    elif how == "stroke":
        paint(bench, 3)
    bench.controller.propagate(FORWARD)
    assert (3 in frames_of(bench, 9)) == (how != "cancel")
    assert (9, 3) in bench.session.prompts or how == "cancel"
    bench.check()


def test_row26_an_approved_painted_mask_goes_with_its_object(bench: ToyBench) -> None:
    paint(bench, 3)
    bench.controller.edit(edits.approve(9, 3))
    rub_out(bench, 3)
    bench.controller.edit(edits.rename(2, "fast"))
    assert 9 not in bench.session.masklets and frames_of(bench, 9) == set() and not bench.errors
    bench.check()


def test_row26_a_painted_mask_between_absences_goes_with_its_object(toy: ToyModel) -> None:
    frames = movie().copy()
    frames[4:] = 0
    bench = ToyBench(toy, opener=lambda: TrackingSession(Video(frames, contrast=(0, 1)), toy, diameter=2 * RADIUS))
    bench.click(0, 1, STILL)
    paint(bench, 3)
    bench.controller.propagate(FORWARD)
    assert bench.session.masklets[9].absent
    rub_out(bench, 3)
    bench.controller.edit(edits.rename(1, "still"))
    assert 9 not in bench.session.masklets and frames_of(bench, 9) == set() and not bench.errors
    bench.check()
    bench.controller.close()


def test_row26_a_stroke_in_the_layer_of_one_object_erases_no_other(bench: ToyBench) -> None:
    bench.controller.split([2])
    bench.labels.brush_size = 12
    bench.labels.paint((3, 120, 20), 1)
    bench.controller.edit(edits.rename(2, "fast"))
    assert (1, 3) in bench.session.prompts
    (y, x), single = fast_yx(3), bench.controller.masks.single[2].layer
    single.brush_size = 4
    single.paint((3, y + RADIUS + 2, x), 2)
    bench.labels.brush_size = 16
    bench.labels.paint((3, 120, 20), 0)
    bench.controller.edit(edits.rename(2, "faster"))
    assert 3 in frames_of(bench, 1) and not bench.session.approved(1)


def test_row26_an_erased_mask_outlasts_an_error(bench: ToyBench, monkeypatch: pytest.MonkeyPatch) -> None:
    erase(bench, 3)
    paint(bench, 5)
    with monkeypatch.context() as broken:
        broken.setattr(TrackingSession, "segment", lambda *_: (_ for _ in ()).throw(MemoryError("no more")))
        bench.controller.edit(edits.rename(2, "fast"))
    bench.errors.clear()
    bench.controller.propagate(FORWARD)
    assert 3 not in frames_of(bench, 1) and bench.session.approved(1) == (3,)
    bench.check()


def test_row26_an_erased_painted_mask_outlasts_a_change_of_model(toy: ToyModel) -> None:
    bench = ToyBench(toy)
    bench.click(0, 1, STILL)
    bench.controller.propagate(FORWARD)
    paint(bench, 3)
    bench.controller.propagate(FORWARD)
    rub_out(bench, 3)
    old = bench.session

    def taken_over() -> TrackingSession:
        session = open_toy(toy)
        session.take_over(old)
        return session

    bench.controller.reopen_with(taken_over)
    bench.runner.finish()
    assert 3 not in frames_of(bench, 9) and bench.session.approved(9) == (3,)
    bench.controller.propagate(FORWARD)
    assert 3 not in frames_of(bench, 9)
    bench.check()
    bench.controller.close()


@pytest.mark.async_slicing
def test_row26_erased_with_the_mouse_it_is_not_there_and_goes_on_after(desk: Desk) -> None:
    movie, labels, form = desk.viewer.layers["movie"], desk.viewer.layers["masks"], desk.widget.form
    desk.click_canvas(movie, 20, 20)
    desk.click(form.propagate)
    desk.wait_idle()
    desk.go_to(3)
    desk.viewer.layers.selection.active = labels
    labels.mode, labels.brush_size = "erase", 12
    for y in (14, 20, 26):
        drag(desk, (y, 8), (y, 34))
    assert not desk.frame(3).any()
    desk.press_key("K")
    desk.wait_idle()
    assert "object 1 on frame 3" in form.status.text()
    assert desk.session.masklets[1].absent == (3,) and desk.session.approved(1) == (3,)
    assert not desk.frame(3).any() and desk.frame(2).any() and desk.frame(4).any() and not desk.notes()
