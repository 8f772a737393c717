"""The controller with a session without a model and jobs that run in this thread."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_sam2.cleaning import Cleaning
from napari_sam2.errors import PropagationError
from napari_sam2.layers import create_labels_layer, create_prompt_layer, read_frame
from napari_sam2.layers.prompt_reader import prompt_defaults
from napari_sam2.masklets import FrameMask, Masklet
from napari_sam2.widget.answers import PropagationRequest
from napari_sam2.widget.controller import Controller
from widget.fakes import FakeSession, StepRunner

SHAPE = (8, 40, 60)


class Bench:
    """A movie, its layers, a controller, and all that it said."""

    def __init__(self, *, paused: bool = False, **hooks: Callable[..., None]) -> None:
        self.viewer = ViewerModel()
        self.image = self.viewer.add_layer(Image(np.zeros(SHAPE, np.uint8), name="movie"))
        self.points = self.viewer.add_layer(create_prompt_layer(self.image))
        self.session = FakeSession(SHAPE, **hooks)
        self.opened = 0
        self.runner = StepRunner(paused=paused)
        self.notes: list[str] = []
        self.errors: list[Exception] = []
        self.progress: list[tuple[int, int]] = []
        self.controller = Controller(
            self.image,
            self.points,
            open_session=self.open,
            make_labels=self.make_labels,
            runner=self.runner,
            shown_frame=lambda: 0,
        )
        self.controller.note.connect(self.notes.append)
        self.controller.failed.connect(self.errors.append)
        self.controller.progress.connect(lambda done, total: self.progress.append((done, total)))

    def open(self) -> FakeSession:
        self.opened += 1
        return self.session

    def make_labels(self, name: str) -> Labels:
        return self.viewer.add_layer(create_labels_layer(self.image, name))

    def click(self, t: float, y: float, x: float, object_id: int = 1, positive: bool = True) -> None:
        self.points.feature_defaults = prompt_defaults(object_id, positive=positive)
        self.points.add([t, y, x])

    def frame(self, frame: int) -> np.ndarray:
        assert self.controller.masks is not None
        return read_frame(self.controller.masks.main.layer, frame)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.controller.close()


def test_a_click_makes_a_mask_of_its_own_frame_and_object(bench: Bench) -> None:
    bench.click(3, 20, 30, object_id=4)
    assert bench.frame(3)[20, 30] == 4
    assert bench.frame(0).max() == 0
    assert bench.controller.state == "idle"
    assert bench.opened == 1


def test_row18_moved_deleted_and_replaced_points_change_the_mask(bench: Bench) -> None:
    bench.click(3, 20, 30)
    bench.points.data = [[3, 20, 10]]
    assert bench.frame(3)[20, 10] == 1 and bench.frame(3)[20, 30] == 0
    bench.points.data = [[5, 20, 10]]
    assert bench.frame(3).max() == 0 and bench.frame(5)[20, 10] == 1
    bench.points.selected_data = {0}
    bench.points.remove_selected()
    assert bench.frame(5).max() == 0


def test_a_negative_click_cuts_and_an_only_negative_one_is_explained(bench: Bench) -> None:
    bench.click(0, 20, 30, positive=False)
    assert "positive" in bench.notes[0]
    assert bench.frame(0).max() == 0
    bench.click(0, 20, 26)
    assert bench.frame(0)[20, 20] == 1 and bench.frame(0)[20, 30] == 0


def test_an_object_without_a_usable_prompt_does_not_hold_up_the_others(bench: Bench) -> None:
    bench.click(0, 5, 5, object_id=1, positive=False)
    bench.click(0, 20, 30, object_id=2)
    assert bench.frame(0)[20, 30] == 2


def test_features_can_be_edited(bench: Bench) -> None:
    bench.click(0, 20, 30)
    bench.points.features = bench.points.features.assign(object_id=[7])
    assert bench.frame(0)[20, 30] == 7


def test_row17_points_outside_are_ignored_with_one_note(bench: Bench) -> None:
    bench.click(0, -30, 500)
    bench.click(0, 20, 30)
    assert len(bench.notes) == 1 and "ignored" in bench.notes[0]
    assert bench.frame(0)[20, 30] == 1


def test_a_newer_click_overtakes_an_older_one() -> None:
    bench = Bench(paused=True)
    bench.click(0, 20, 10)
    _job, steps = bench.runner.jobs[0]
    old_answer = next(steps)
    bench.points.data = [[0, 20, 40]]
    drawn: list[int] = []
    bench.controller.frame_written.connect(drawn.append)
    bench.runner.jobs[0][0].on_step(old_answer)
    assert not drawn, "the answer to the first click must not be shown any more"
    bench.runner.finish()
    assert bench.frame(0)[20, 40] == 1 and bench.frame(0)[20, 10] == 0
    bench.controller.close()


def test_newer_clicks_are_answered_first_and_none_is_lost() -> None:
    bench = Bench(paused=True)
    bench.click(0, 20, 10, object_id=1)
    for object_id in (2, 3, 4):
        bench.click(object_id, 20, 30, object_id=object_id)
    bench.runner.finish()
    assert [object_id for _, object_id in bench.session.asked] == [4, 3, 2, 1]
    assert [int(bench.frame(f).max()) for f in (0, 2, 3, 4)] == [1, 2, 3, 4]
    bench.controller.close()


@pytest.mark.parametrize(
    ("request_", "frames"),
    [
        (PropagationRequest("forward"), range(3, 8)),
        (PropagationRequest("backward"), range(4)),
        (PropagationRequest("both"), range(8)),
        (PropagationRequest("forward", 3, 5), range(3, 6)),
    ],
)
def test_propagation_fills_the_frames_asked_for(bench: Bench, request_: PropagationRequest, frames: range) -> None:
    bench.click(3, 20, 30)
    bench.controller.propagate(request_)
    assert [frame for frame in range(8) if bench.frame(frame).max()] == list(frames)
    assert bench.progress[-1] == (len(frames), len(frames))


def test_an_object_that_is_gone_is_shown_as_gone_and_named() -> None:
    bench = Bench()
    said: list[str] = []
    bench.controller.status.connect(said.append)
    bench.click(0, 20, 30, object_id=7)
    bench.controller.propagate(PropagationRequest("forward"))
    assert all(bench.frame(frame).max() == 7 for frame in range(8))
    bench.session.absent, bench.session.empty = {(7, 4)}, {(7, 5)}
    bench.controller.propagate(PropagationRequest("forward"))
    assert [frame for frame in range(8) if bench.frame(frame).max()] == [0, 1, 2, 3, 6, 7], "not the masks of before"
    assert [text.startswith("frame 5 of 8") for text in said if text.endswith("; absent: 7")] == [True]
    bench.controller.close()


def test_propagating_nothing_says_what_to_do(bench: Bench) -> None:
    bench.controller.propagate(PropagationRequest("forward"))
    assert "click" in bench.notes[0]
    assert bench.controller.state == "idle"


def test_cancel_leaves_what_is_done_and_a_rerun_works() -> None:
    bench = Bench(paused=True)
    bench.click(0, 20, 30)
    bench.runner.finish()
    bench.controller.propagate(PropagationRequest("forward"))
    bench.runner.step()  # the session is told of the prompts
    for _ in range(3):
        bench.runner.step()
    assert bench.controller.state == "propagating"
    assert not bench.viewer.layers["masks"].editable
    bench.controller.cancel()
    assert bench.controller.state == "idle"
    assert [bool(bench.frame(frame).max()) for frame in range(5)] == [True, True, True, False, False]
    assert bench.viewer.layers["masks"].editable
    bench.controller.propagate(PropagationRequest("forward"))
    bench.runner.finish()
    assert all(bench.frame(frame).max() for frame in range(8))
    bench.controller.close()


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory."), MemoryError(), PropagationError("no luck")])
def test_row05_an_error_keeps_the_frames_before_it_and_the_widget_usable(error: Exception) -> None:
    broken = [True]

    def fail(frame: int) -> None:
        if frame == 5 and broken[0]:
            raise error

    bench = Bench(before_frame=fail)
    bench.click(0, 20, 30)
    bench.controller.propagate(PropagationRequest("forward"))
    (raised,) = bench.errors
    assert isinstance(raised, PropagationError)
    assert [bool(bench.frame(frame).max()) for frame in range(8)] == [True] * 5 + [False] * 3
    assert bench.controller.state == "idle" and bench.viewer.layers["masks"].editable
    broken[0] = False
    bench.controller.propagate(PropagationRequest("forward"))
    assert bench.frame(7).max() == 1
    bench.controller.close()


def test_a_failing_click_is_told_once_and_does_not_come_again() -> None:
    def fail(frame: int, object_id: int) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    bench = Bench(before_segment=fail)
    bench.click(0, 20, 30)
    (error,) = bench.errors
    assert isinstance(error, PropagationError) and "mat1" in str(error)
    assert bench.controller.state == "idle"
    bench.controller.close()


def test_clicks_during_a_run_are_answered_after_it() -> None:
    bench = Bench(paused=True)
    bench.click(0, 20, 30)
    bench.runner.finish()
    bench.controller.propagate(PropagationRequest("forward"))
    bench.runner.step()
    bench.click(6, 10, 10, object_id=2)
    assert (2, 6) not in bench.session.prompts
    bench.runner.finish()
    assert bench.frame(6)[10, 10] == 2 and bench.frame(6)[20, 30] == 1
    bench.controller.close()


@pytest.mark.parametrize("how", ["cancel", "error"])
def test_clicks_during_a_run_that_does_not_end_well_are_answered_too(how: str) -> None:
    broken = [False]

    def fail(frame: int) -> None:
        if broken[0]:
            raise RuntimeError("no more")

    bench = Bench(paused=True, before_frame=fail)
    bench.click(0, 20, 30)
    bench.runner.finish()
    bench.controller.propagate(PropagationRequest("forward"))
    bench.runner.step()
    bench.click(6, 10, 10, object_id=2)
    if how == "cancel":
        bench.controller.cancel()
    broken[0] = True
    bench.runner.finish()
    assert bench.frame(6)[10, 10] == 2 and bench.frame(6)[20, 30] == 0
    assert bench.controller.state == "idle"
    bench.controller.close()


def test_painting_alone_can_be_propagated(bench: Bench) -> None:
    labels = bench.viewer.layers["masks"]
    labels.brush_size = 8
    labels.paint((0, 5, 5), 3)
    bench.controller.propagate(PropagationRequest("forward"))
    assert bench.opened == 1
    assert [int(bench.frame(frame)[5, 5]) for frame in range(8)] == [3] * 8


def test_a_frame_that_cannot_be_written_stops_the_run_in_words(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.click(0, 20, 30)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_sam2.layers.masks.write_frame", full)
    bench.controller.propagate(PropagationRequest("forward"))
    assert "No space left" in str(bench.errors[0])
    assert bench.controller.state == "idle" and len(bench.errors) == 1


def test_row01_a_removed_mask_layer_stops_the_run_and_comes_back_with_the_next_click() -> None:
    bench = Bench(paused=True)
    bench.click(0, 20, 30)
    bench.runner.finish()
    bench.controller.propagate(PropagationRequest("forward"))
    bench.runner.step()  # the session is told of the prompts
    for _ in range(3):
        bench.runner.step()
    labels = bench.viewer.layers["masks"]
    bench.viewer.layers.remove(labels)
    bench.controller.labels_removed(labels)
    bench.runner.finish()
    assert bench.controller.state == "idle" and len(bench.notes) == 1 and not bench.errors
    bench.click(5, 10, 10, object_id=2)
    bench.runner.finish()
    assert [int(bench.frame(frame).max()) for frame in (0, 1, 2, 5)] == [1, 1, 1, 2]
    bench.controller.close()


def test_objects_get_layers_of_their_own(bench: Bench) -> None:
    bench.click(0, 20, 30, object_id=1)
    bench.click(0, 20, 50, object_id=2)
    bench.controller.propagate(PropagationRequest("forward"))
    bench.controller.split([2])
    own = bench.viewer.layers["object 2"]
    assert all(set(np.unique(read_frame(own, frame))) == {0, 2} for frame in range(8))
    bench.click(4, 5, 50, object_id=2)
    assert read_frame(own, 4)[5, 50] == 2
    bench.viewer.layers.remove(own)
    bench.controller.labels_removed(own)
    bench.click(4, 5, 40, object_id=2)
    assert not bench.notes


def test_row26_painting_steers_the_propagation_and_stays(bench: Bench) -> None:
    bench.click(0, 20, 30)
    labels = bench.viewer.layers["masks"]
    labels.brush_size = 8
    labels.paint((3, 5, 5), 1)
    painted = bench.frame(3)
    bench.controller.propagate(PropagationRequest("forward"))
    assert bench.frame(3)[5, 5] == 1
    assert (bench.frame(3)[painted == 1] == 1).all()
    assert bench.session.prompts[1, 3].mask is not None
    assert bench.frame(6)[5, 5] == 1


def test_the_session_is_told_of_another_cleaning_between_two_frames_by_whoever_works_with_it() -> None:
    bench = Bench(paused=True)
    bench.click(0, 20, 30)
    bench.runner.finish()
    bench.controller.propagate(PropagationRequest("forward"))
    bench.runner.step()
    bench.controller.set_cleaning(Cleaning(fill_holes=7))
    assert bench.session.cleaning == Cleaning(), "not in the thread of the widget, in the middle of a frame"
    bench.runner.step()
    assert bench.session.cleaning == Cleaning(fill_holes=7)
    bench.controller.close()


def test_masks_of_a_stored_session_are_shown_from_the_start_again_if_the_model_changes_meanwhile() -> None:
    bench = Bench(paused=True)
    for frame in range(4):
        mask = np.zeros(SHAPE[1:], bool)
        mask[10:20, 10:20] = True
        bench.session.masklets[3] = bench.session.masklets.get(3, Masklet(3))
        bench.session.masklets[3].add(FrameMask.from_full(mask, frame=frame, object_id=3, score=1, predicted_iou=1))
    bench.controller.reopen_with(bench.open, is_stored=True)
    bench.runner.step()
    while not bench.frame(0).any():
        assert bench.runner.step()
    assert not bench.frame(3).any()
    bench.controller.reopen_with(bench.open)
    bench.runner.finish()
    assert all(bench.frame(t)[15, 15] == 3 for t in range(4))
    bench.controller.close()


def test_row42_object_ids_are_never_given_twice(bench: Bench) -> None:
    bench.click(0, 20, 30, object_id=5)
    bench.points.data = np.empty((0, 3))
    assert bench.controller.object_ids == ()
    assert bench.controller.next_object_id == 6
    bench.session.next_object_id = 9
    assert bench.controller.next_object_id == 9, "a session that was stored may have had others"


def test_another_model_answers_the_clicks_anew_and_keeps_other_masks(bench: Bench) -> None:
    bench.click(0, 20, 30)
    bench.controller.propagate(PropagationRequest("forward"))
    other = FakeSession(SHAPE, radius=3)
    bench.controller.reopen_with(lambda: other)
    assert bench.controller.session is other
    assert np.count_nonzero(bench.frame(0)) < np.count_nonzero(bench.frame(1))


def test_a_layer_without_ids_is_refused_in_words(bench: Bench) -> None:
    bench.controller.prompts.watch(Bench().viewer.add_points(np.zeros((1, 3)), name="mine"))
    assert "object_id" in bench.notes[0]
