"""Stored sessions that are to be opened, with the stand-in network."""

from pathlib import Path

from napari_sam2.layers import Saving
from napari_sam2.session_files.session_folder import open_stored
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.widget.jobs import Job, JobEnd
from napari_sam2.widget.saved_movie import SavedMovie
from toy_model import ToyModel
from toy_scene import FAST, STILL, click
from toy_session import again, begin
from widget.fakes import StepRunner
from widget.toy_desk import NUM_FRAMES, ToyBench, movie, open_toy


class LateRunner(StepRunner):
    """As in a viewer: a job that was canceled while it ran ends at its next step."""

    def __init__(self) -> None:
        super().__init__(paused=True)
        self.stopped: list[Job] = []

    def step(self) -> bool:
        if self.jobs and self.jobs[0][0] in self.stopped:
            self._end(self.jobs[0][0], JobEnd(canceled=True))
            return True
        return super().step()

    def cancel(self, job: Job) -> None:
        if self.jobs and self.jobs[0][0] is job:
            self.stopped.append(job)
        else:
            super().cancel(job)


class Stored:
    """A stored session of two objects that were followed to the end, and a movie on which it may be opened."""

    def __init__(self, toy: ToyModel, folder: Path, runner: StepRunner | None = None) -> None:
        stored = begin(toy, folder / "movie.sam2", movie=movie())
        stored.set_prompts([click(0, 1, FAST), click(0, 2, STILL)])
        list(stored.propagate())
        stored.close()
        self.toy, self.folder = toy, folder / "movie.sam2"
        self.bench = ToyBench(toy, runner=runner)
        self.saving = Saving(self.bench.image, elsewhere=folder)
        self.saved = SavedMovie(
            self.saving, self.bench.controller, note=self.bench.notes.append, on_opened=lambda: None
        )

    def opened(self) -> TrackingSession:
        return open_stored(self.folder, self.bench.image, model=self.toy, despite_changes=True).session


def test_stored_masks_are_shown_though_a_setting_changes_meanwhile(toy: ToyModel, tmp_path: Path) -> None:
    stored = Stored(toy, tmp_path, LateRunner())
    bench = stored.bench
    stored.saved.go_on_with(stored.folder, stored.opened)
    while bench.controller.state != "showing":
        bench.runner.step()
    bench.controller.reopen_with(stored.opened)
    bench.controller.reopen_with(stored.opened)
    bench.runner.finish()
    assert len(bench.session.masklets[1]) == NUM_FRAMES and bench.frames()[NUM_FRAMES - 1].any()
    bench.check()
    bench.controller.close()


def test_a_stored_session_brings_the_layer_of_masks_back(toy: ToyModel, tmp_path: Path) -> None:
    stored = Stored(toy, tmp_path)
    bench = stored.bench
    labels = bench.labels
    bench.viewer.layers.remove(labels)
    bench.controller.labels_removed(labels)
    stored.saved.go_on_with(stored.folder, stored.opened)
    assert not stored.saved.is_opening and len(bench.session.masklets[1]) == NUM_FRAMES
    bench.check()
    bench.controller.close()


def test_a_stored_session_that_was_given_up_before_it_opened_is_left_alone(toy: ToyModel, tmp_path: Path) -> None:
    stored = begin(toy, tmp_path / "movie.sam2", movie=movie())
    stored.set_prompts([click(0, 1, FAST), click(0, 2, STILL)])
    stored.close()
    bench = ToyBench(toy, paused=True)
    saving = Saving(bench.image, elsewhere=tmp_path)
    saved = SavedMovie(saving, bench.controller, note=bench.notes.append, on_opened=lambda: None)

    def opened() -> TrackingSession:
        if saving.folder is None:
            return open_toy(toy)
        return open_stored(saving.folder, bench.image, model=toy, despite_changes=True).session

    saved.go_on_with(tmp_path / "movie.sam2", opened)
    bench.controller.cancel()
    bench.runner.paused = False
    bench.click(3, 1, STILL)
    assert [*bench.session.prompts] == [(1, 3)]
    bench.check()
    bench.controller.close()
    assert sorted(again(toy, tmp_path / "movie.sam2", movie=movie()).prompts) == [(1, 0), (2, 0)]
