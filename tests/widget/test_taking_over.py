"""Labels and found cells become objects, all or none: in the layers, in the session, in its undo and in its store."""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_sam2.errors import PropagationError
from napari_sam2.found_objects import Everything
from napari_sam2.layers.prompt_reader import prompt_defaults
from napari_sam2.masklets import FrameMask
from napari_sam2.prompts import MaskPrompt, PointPrompt
from napari_sam2.settings import EverythingSettings
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.widget import edits
from napari_sam2.widget.answers import PropagationRequest, SearchRequest
from sam2_torch.mask_generator import Progress
from toy_model import ToyModel
from toy_scene import FAST, RADIUS
from toy_session import again, begin
from widget.conftest import Desk
from widget.fakes import wait
from widget.toy_desk import ToyBench, movie

FRAME = 2
PLACES = ((30, 40), (30, 200), (160, 60))
FIRST_NEW = 2


def disc(place: tuple[int, int]) -> np.ndarray:
    yy, xx = np.indices(movie().shape[1:])
    return (yy - place[0]) ** 2 + (xx - place[1]) ** 2 <= RADIUS**2


def everything(self: TrackingSession, frame: int, *, settings: Any = None) -> Generator[Progress, None, Everything]:
    """Finds discs at the places."""
    yield Progress(1, 1)
    found = [
        FrameMask.from_full(disc(p), frame=frame, object_id=i, score=5.0, predicted_iou=0.9)
        for i, p in enumerate(PLACES, 1)
    ]
    clicks = [PointPrompt(frame, i, float(y), float(x)) for i, (y, x) in enumerate(PLACES, 1)]
    return Everything(frame, movie().shape[1:], tuple(mask for mask in found if mask), tuple(clicks))


def search(bench: ToyBench) -> None:
    bench.controller.segment_everything(SearchRequest(FRAME, EverythingSettings()))


def give_labels(bench: ToyBench) -> None:
    first = bench.controller.next_object_id
    bench.controller.use_masks([MaskPrompt(FRAME, first + k, disc(place)) for k, place in enumerate(PLACES)])


Ask = Callable[[ToyBench], None]
both_ways = pytest.mark.parametrize("ask", [search, give_labels])


@pytest.fixture
def bench(toy: ToyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ToyBench]:
    """One object that was clicked and followed, in a stored session."""
    monkeypatch.setattr(TrackingSession, "everything", everything)
    bench = ToyBench(toy, opener=lambda: begin(toy, tmp_path / "toy.sam2", movie=movie()))
    bench.click(0, 1, FAST)
    bench.controller.propagate(PropagationRequest("forward"))
    bench.runner.paused = True
    yield bench
    bench.controller.close()


def stored_ids(bench: ToyBench, toy: ToyModel, folder: Path) -> tuple[int, ...]:
    """Close the session, and see what was stored of it."""
    prompts, masks = bench.session.prompts, {i: dict(m) for i, m in bench.session.masklets.items()}
    bench.controller.close()
    session = again(toy, folder, movie=movie())
    assert session.prompts == prompts
    assert {i: dict(m) for i, m in session.masklets.items()} == masks
    session.close()
    return tuple(sorted(masks))


def check_nothing_taken(bench: ToyBench) -> None:
    assert tuple(bench.session.masklets) == bench.session.object_ids == bench.controller.object_ids == (1,)
    assert {object_id for object_id, _ in bench.session.prompts} == {1}
    assert bench.point_ids() == [1] and bench.controller.prompts.kept == []
    assert bench.controller.steps == ("propagation", None)
    bench.check()


@both_ways
@pytest.mark.parametrize("num_steps", range(1, 9))
def test_canceled_at_any_step_all_of_them_are_objects_or_none(
    bench: ToyBench, toy: ToyModel, tmp_path: Path, ask: Ask, num_steps: int
) -> None:
    told: list[tuple[int, ...]] = []
    bench.controller.found.connect(told.append)
    ask(bench)
    for _ in range(num_steps):
        bench.runner.step()
    bench.controller.cancel()
    bench.runner.finish()
    assert bench.controller.state == "idle"
    if told:
        assert told == [(2, 3, 4)] and bench.controller.object_ids == (1, 2, 3, 4)
        assert bench.controller.steps == ("prompts of objects 2, 3 and 4", None)
        bench.check()
    else:
        check_nothing_taken(bench)
    assert stored_ids(bench, toy, tmp_path / "toy.sam2") == bench.controller.object_ids


@both_ways
def test_what_was_taken_over_is_one_step_to_undo(bench: ToyBench, ask: Ask) -> None:
    ask(bench)
    bench.runner.finish()
    assert set(np.unique(bench.frames()[FRAME])) == {0, 1, 2, 3, 4}
    bench.check()
    bench.controller.edit(edits.undo())
    bench.runner.finish()
    assert tuple(bench.session.masklets) == (1,) and bench.point_ids() == [1]
    assert bench.controller.steps == ("propagation", "prompts of objects 2, 3 and 4")
    bench.check()


@both_ways
def test_an_error_takes_none_of_them_and_they_can_be_asked_for_again(
    bench: ToyBench, monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    name = "accept" if ask is search else "segment"
    real = getattr(TrackingSession, name)

    def fail(self: TrackingSession, *args: Any) -> Any:
        if {3, getattr(args[0], "object_id", 0)} == {3} or args[1:] == (3,):
            raise MemoryError("no more")
        return real(self, *args)

    with monkeypatch.context() as broken:
        broken.setattr(TrackingSession, name, fail)
        ask(bench)
        bench.runner.finish()
    assert isinstance(bench.errors.pop(), PropagationError)
    check_nothing_taken(bench)
    ask(bench)
    bench.runner.finish()
    assert len(bench.session.masklets) == 4
    bench.check()


@both_ways
def test_a_click_meanwhile_stays_whatever_becomes_of_them(bench: ToyBench, ask: Ask) -> None:
    ask(bench)
    for _ in range(3 if ask is search else 1):
        bench.runner.step()
    bench.click(4, 1, FAST)
    bench.controller.cancel()
    bench.runner.finish()
    assert tuple(bench.session.masklets) == (1,) and set(bench.session.prompts) == {(1, 0), (1, 4)}
    assert bench.controller.steps == ("click on object 1", None)
    bench.check()


def test_a_click_that_is_answered_before_tells_the_session_of_none_of_them(bench: ToyBench) -> None:
    search(bench)
    bench.runner.step()
    bench.click(4, 1, FAST)
    while bench.controller.state == "searching":
        bench.runner.step()
    assert bench.point_ids() == [1, 1, 2, 3, 4] and bench.controller.state == "segmenting"
    bench.runner.step()
    assert set(bench.session.prompts) == {(1, 0), (1, 4)}
    bench.runner.finish()
    assert len(bench.session.masklets) == 4
    bench.check()


def test_what_was_painted_before_is_a_step_of_its_own(bench: ToyBench) -> None:
    bench.labels.brush_size = 6
    bench.labels.paint((3, 20, 20), 1)
    give_labels(bench)
    bench.runner.step()
    bench.controller.cancel()
    bench.runner.finish()
    assert bench.controller.steps == ("painted mask on object 1", None)
    assert tuple(bench.session.masklets) == (1,) and bench.session.prompts[1, 3].mask.mask[20, 20]


@both_ways
@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("num_masks", range(1, 4))
def test_a_click_on_one_of_them_meanwhile_stays_and_is_answered(
    bench: ToyBench, ask: Ask, positive: bool, num_masks: int
) -> None:
    ask(bench)
    for _ in range(num_masks + 2 * (ask is search)):
        bench.runner.step()
    assert bench.controller.state == "searching"
    bench.points.feature_defaults = prompt_defaults(3, positive=positive)
    bench.points.add([FRAME, PLACES[1][0], PLACES[1][1] + 3])
    bench.controller.cancel()
    bench.runner.finish()
    assert bench.point_ids() == [1, *[3] * (1 + (ask is search))]
    assert set(bench.session.prompts) == {(1, 0), (3, FRAME)}
    group = bench.session.prompts[3, FRAME]
    assert len(group.points) == 1 + (ask is search) and (group.mask is not None) == (ask is give_labels)
    bench.check()


def test_a_session_closed_while_they_are_taken_over_has_none_of_them(
    bench: ToyBench, toy: ToyModel, tmp_path: Path
) -> None:
    give_labels(bench)
    bench.runner.step()
    bench.controller.close()
    session = again(toy, tmp_path / "toy.sam2", movie=movie())
    assert tuple(session.masklets) == (1,)
    session.close()


def test_canceled_in_its_thread_nothing_is_left(desk: Desk) -> None:
    desk.hooks["cells"] = [(10, 10), (40, 40), (10, 40)]
    desk.hooks["before_accept"] = wait(0.3)
    form, controller = desk.widget.form, desk.widget.controller
    desk.click(form.everything)
    desk.qtbot.waitUntil(lambda: len(desk.sessions) == 1 and bool(desk.session.accepted), timeout=5000)
    desk.settle()
    desk.click(form.cancel)
    desk.wait_idle()
    assert desk.session.prompts == desk.session.masklets == desk.session.accepted == {}
    assert len(controller.prompts.points.data) == 0 and not desk.frame(0).any()
    assert form.objects.table.objects.object_ids == [] and not desk.notes()
    desk.hooks.clear()
    desk.session.before_accept = wait(0)
    desk.click(form.everything)
    desk.wait_idle()
    assert len(desk.session.accepted) == 3 and len(np.unique(desk.frame(0))) == 4
