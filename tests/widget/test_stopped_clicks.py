"""Clicks that are not answered because something is stopped: what layers show is what the session has, all the same."""

from collections.abc import Iterator

import pytest

from napari_sam2.tracking_session import TrackingSession
from napari_sam2.widget import edits
from napari_sam2.widget.answers import PropagationRequest
from toy_model import ToyModel
from toy_scene import FAST, STILL
from widget.toy_desk import NUM_FRAMES, ToyBench


@pytest.fixture
def bench(toy: ToyModel) -> Iterator[ToyBench]:
    """One object that was followed to the end."""
    bench = ToyBench(toy)
    bench.click(0, 1, STILL)
    bench.controller.propagate(PropagationRequest("forward"))
    yield bench
    bench.controller.close()


@pytest.mark.parametrize(
    "request_",
    [
        PropagationRequest("forward", last=2),
        PropagationRequest("forward", first=6),
        PropagationRequest(None),
        PropagationRequest(None, object_ids=(1,)),
    ],
)
@pytest.mark.parametrize("how", ["cancel", "error"])
def test_a_click_that_was_dropped_is_shown_if_a_run_answers_it(
    bench: ToyBench, request_: PropagationRequest, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "cancel":
        bench.runner.paused = True
        bench.click(4, 2, FAST)
        bench.controller.cancel()
        bench.runner.paused = False
    else:
        with monkeypatch.context() as broken:
            broken.setattr(TrackingSession, "segment", lambda *_: (_ for _ in ()).throw(MemoryError("no more")))
            bench.click(4, 2, FAST)
        bench.errors.clear()
    assert bench.point_ids() == [1, 2] and not (bench.frames() == 2).any()
    bench.controller.propagate(request_)
    bench.runner.finish()
    bench.check()


def test_what_was_dropped_and_shown_is_not_written_for_ever(bench: ToyBench) -> None:
    bench.runner.paused = True
    bench.click(4, 2, FAST)
    bench.controller.cancel()
    bench.runner.paused = False
    bench.controller.propagate(PropagationRequest("forward"))
    bench.runner.finish()
    bench.check()
    bench.controller.edit(edits.remove([2]))
    bench.written.clear()
    bench.controller.propagate(PropagationRequest(None))
    assert bench.written == []


def test_a_point_that_was_moved_and_not_answered_is_shown_if_a_run_answers_it(bench: ToyBench) -> None:
    bench.click(4, 2, FAST)
    bench.runner.paused = True
    data = bench.points.data.copy()
    data[1, 1:] = data[0, 1:]
    bench.points.data = data
    bench.controller.cancel()
    bench.runner.paused = False
    bench.controller.propagate(PropagationRequest("forward", last=2))
    bench.controller.propagate(PropagationRequest("forward", last=NUM_FRAMES - 1))
    bench.check()
