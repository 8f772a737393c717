"""Stored sessions that are to be opened, with the stand-in network."""

from pathlib import Path

import pytest

from napari_sam2.layers import Saving
from napari_sam2.session_files.session_folder import open_stored
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.widget.saved_movie import SavedMovie
from toy_model import ToyModel
from toy_scene import FAST, STILL, click
from toy_session import again, begin
from widget.toy_desk import ToyBench, movie, open_toy

pytestmark = pytest.mark.widget


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
