"""Sessions that the widget stores, with the bundled model: what is there after a restart, and what may go wrong."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.layers import Image

from napari_sam2.api import open_session, reopen_session
from napari_sam2.layers import Saving
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt
from napari_sam2.session_files.autosave import Autosave
from napari_sam2.session_files.database import is_session
from napari_sam2.synthetic import sample_movie
from widget.conftest import Desk
from widget.test_real_model import clear_cells

pytestmark = pytest.mark.slow
NUM_FRAMES = 3
OTHER_PLACE = {"scale": (1.0, 0.13, 0.17), "translate": (0.0, 3.3, -5.1), "rotate": 8}


@pytest.fixture(scope="module")
def cells() -> Any:
    return sample_movie()


@pytest.fixture
def movie(tmp_path: Path, cells: Any) -> Path:
    path = tmp_path / "data" / "movie.tif"
    path.parent.mkdir()
    tifffile.imwrite(path, cells.frames[:NUM_FRAMES], photometric="minisblack")
    return path


def show(desk: Desk, movie: Path) -> Image:
    (image,) = desk.viewer.open(str(movie), plugin="napari", layer_type="image", **OTHER_PLACE)
    desk.dock()
    desk.go_to(0)
    desk.settle(20)
    return image


def track(desk: Desk, image: Image, cells: Any, number: int = 2) -> np.ndarray:
    for count, (_, y, x) in enumerate(clear_cells(cells.labels[0], number)):
        if count:
            desk.press_key("M")
        desk.click_canvas(image, y, x)
    desk.wait_idle(120_000)
    desk.click(desk.widget.form.propagate)
    desk.wait_idle(120_000)
    return masks(desk)


def masks(desk: Desk) -> np.ndarray:
    return np.stack([desk.frame(frame) for frame in range(NUM_FRAMES)])


def next_desk(desk: Desk, make_napari_viewer: Any) -> Desk:
    """Close the viewer, and return another one."""
    desk.leave()
    desk.viewer.close()
    desk.settle()
    other = Desk(make_napari_viewer(show=True), desk.qtbot)
    other.settle()
    return other


def press_open(desk: Desk) -> None:
    desk.click(desk.widget.form.saved.button)
    desk.wait_idle(60_000)


def line(desk: Desk) -> str:
    return desk.widget.form.saved.text.text()


def test_row34_points_and_masks_are_back_in_a_new_viewer(
    bare_desk: Desk, movie: Path, cells: Any, make_napari_viewer: Any
) -> None:
    before = track(bare_desk, show(bare_desk, movie), cells)
    points = bare_desk.viewer.layers["point_prompts"]
    data, features = points.data.copy(), points.features.copy()
    assert line(bare_desk) == "Saved: movie.sam2"
    assert bare_desk.widget.form.saved.text.toolTip() == str(movie.with_suffix(".sam2"))
    assert not bare_desk.notes() and not bare_desk.widget.form.saved.button.isEnabled()

    desk = next_desk(bare_desk, make_napari_viewer)
    show(desk, movie)
    assert "Open saved session" in desk.notes()[-1] and line(desk) == "Found: movie.sam2"
    press_open(desk)
    points = desk.viewer.layers["point_prompts"]
    np.testing.assert_array_equal(points.data, data)
    assert points.features["object_id"].tolist() == features["object_id"].tolist()
    assert points.features["polarity"].tolist() == features["polarity"].tolist()
    np.testing.assert_array_equal(masks(desk), before)
    assert desk.widget.form.objects.table.objects.object_ids == [1, 2] and desk.widget.form.object_id.value() == 3
    assert line(desk) == "Saved: movie.sam2" and len(desk.notes()) == 1
    # What the layers say is what the session knows: nothing is asked anew.
    assert desk.widget.session.set_prompts(desk.widget.controller.prompts.usable()[0]) == set()
    desk.leave()


def test_row34_boxes_and_masks_stay_in_the_session(
    bare_desk: Desk, movie: Path, cells: Any, make_napari_viewer: Any
) -> None:
    image = show(bare_desk, movie)
    track(bare_desk, image, cells, 1)
    ((_, y, x),) = clear_cells(cells.labels[0], 1)
    painted = np.zeros(cells.labels[0].shape, bool)
    painted[5:25, 5:25] = True
    bare_desk.widget.session.add_prompts(BoxPrompt(1, 2, y - 10, x - 10, y + 10, x + 10), MaskPrompt(0, 3, painted))
    known = bare_desk.widget.session.prompts

    desk = next_desk(bare_desk, make_napari_viewer)
    image = show(desk, movie)
    press_open(desk)
    desk.viewer.layers["point_prompts"].selected_data = set()
    desk.go_to(2)
    desk.click_canvas(image, y, x)
    desk.wait_idle(60_000)
    assert {key: desk.widget.session.prompts[key] for key in known} == known
    assert (4, 2) in desk.widget.session.prompts
    desk.leave()


def test_a_session_that_cannot_be_opened_is_told_of_and_the_next_click_counts_once(
    bare_desk: Desk, movie: Path, cells: Any, make_napari_viewer: Any
) -> None:
    track(bare_desk, show(bare_desk, movie), cells, 1)
    desk = next_desk(bare_desk, make_napari_viewer)
    # Another movie of the same name: the session is not of this one.
    tifffile.imwrite(movie, cells.frames[1 : 1 + NUM_FRAMES], photometric="minisblack")
    image = show(desk, movie)
    points, modes = desk.viewer.layers["point_prompts"], []
    points.events.mode.connect(lambda event: modes.append(str(event.mode)))
    press_open(desk)
    assert any("is not the movie of the session" in note for note in desk.notes())
    assert modes == ["pan_zoom", "add"], "while it opens, nobody knows which object a click is about"
    ((_, y, x),) = clear_cells(cells.labels[1], 1)
    desk.click_canvas(image, y, x)
    desk.wait_idle(60_000)
    assert len(points.data) == 1
    assert [len(group.points) for group in desk.widget.session.prompts.values()] == [1]
    desk.leave()


def test_a_click_begins_another_session_and_leaves_the_first_as_it_is(
    bare_desk: Desk, movie: Path, cells: Any, make_napari_viewer: Any
) -> None:
    track(bare_desk, show(bare_desk, movie), cells)
    desk = next_desk(bare_desk, make_napari_viewer)
    track(desk, show(desk, movie), cells, 1)
    assert line(desk) == "Saved: movie-2.sam2"
    desk.leave()
    assert is_session(movie.with_suffix(".sam2")) and is_session(movie.with_name("movie-2.sam2"))


def test_row30_two_movies_have_two_sessions(bare_desk: Desk, movie: Path, cells: Any, sessions_folder: Path) -> None:
    image = show(bare_desk, movie)
    track(bare_desk, image, cells, 1)
    image.visible = False
    made = bare_desk.viewer.add_image(cells.frames[:NUM_FRAMES], name="made: here", **OTHER_PLACE)
    bare_desk.widget.form.image.value = made
    bare_desk.settle()
    assert line(bare_desk) == "" and bare_desk.widget.form.saved.button.isEnabled()
    bare_desk.viewer.layers["point_prompts [1]"].add([0, *clear_cells(cells.labels[0], 1)[0][1:]])
    bare_desk.wait_idle(60_000)
    (folder,) = sessions_folder.iterdir()
    assert folder.name.endswith("_made_here.sam2") and is_session(folder)
    assert line(bare_desk) == f"Saved: {folder.name}" and not bare_desk.notes()
    assert {path.name for path in movie.parent.iterdir()} == {"movie.tif", "movie.sam2"}


def test_row32_on_a_full_disk_the_masks_stay_and_one_note_is_told(bare_desk: Desk, movie: Path, cells: Any) -> None:
    image = show(bare_desk, movie)
    ((_, y, x), (_, y2, x2)) = clear_cells(cells.labels[0], 2)
    bare_desk.click_canvas(image, y, x)
    bare_desk.wait_idle(60_000)
    (log,) = [log for log in bare_desk.widget.session.logs._logs if isinstance(log, Autosave)]
    connection = log.store.database._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    bare_desk.press_key("M")
    bare_desk.click_canvas(image, y2, x2)
    bare_desk.wait_idle(60_000)
    assert line(bare_desk) == "Not saved: database or disk is full"
    assert (bare_desk.frame(0) == 1).any() and (bare_desk.frame(0) == 2).any()
    bare_desk.click(bare_desk.widget.form.propagate)
    bare_desk.wait_idle(60_000)
    (note,) = bare_desk.notes()
    assert "cannot be written" in note and "Nothing is lost" in note

    connection.execute("PRAGMA max_page_count = 1000000")
    bare_desk.click(bare_desk.widget.form.propagate)
    bare_desk.wait_idle(60_000)
    assert line(bare_desk) == "Saved: movie.sam2" and len(bare_desk.notes()) == 1
    assert all((masks(bare_desk)[t] == 2).any() for t in range(NUM_FRAMES))


def test_a_run_that_can_no_longer_be_stored_stops_and_shows_the_frame(bare_desk: Desk, movie: Path, cells: Any) -> None:
    tifffile.imwrite(movie, np.repeat(cells.frames[:1], 12, axis=0), photometric="minisblack")
    image = show(bare_desk, movie)
    bare_desk.click_canvas(image, *clear_cells(cells.labels[0], 1)[0][1:])
    bare_desk.wait_idle(60_000)
    (log,) = [log for log in bare_desk.widget.session.logs._logs if isinstance(log, Autosave)]
    log.store.database._connection.execute("PRAGMA query_only = 1")
    written: list[int] = []
    bare_desk.widget.controller.frame_written.connect(written.append)
    bare_desk.click(bare_desk.widget.form.propagate)
    bare_desk.wait_idle(60_000)
    assert "Canceled" in bare_desk.widget.form.status.text() and len(bare_desk.notes()) == 1
    assert 1 <= len(written) < 12
    assert all((bare_desk.frame(frame) == 1).any() for frame in written)


HOLDER = """
import sys
from pathlib import Path
from napari_sam2.session_files.database import Database
database = Database.open(Path(sys.argv[1]))
print("open", flush=True)
if sys.stdin.readline():
    with database.transaction() as connection:
        for table in ("objects", "prompts", "answers", "frames", "signs", "marks"):
            connection.execute(f"DELETE FROM {table}")
    print("removed", flush=True)
sys.stdin.read()
"""


def test_row33_a_session_open_elsewhere_is_opened_to_be_looked_at(
    bare_desk: Desk, movie: Path, cells: Any, make_napari_viewer: Any
) -> None:
    before = track(bare_desk, show(bare_desk, movie), cells, 1)
    desk = next_desk(bare_desk, make_napari_viewer)
    command = [sys.executable, "-c", HOLDER, str(movie.with_suffix(".sam2"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "open\n"
        show(desk, movie)
        press_open(desk)
        assert line(desk) == "Read only: movie.sam2"
        assert f"it is open in process {holder.pid}" in desk.notes()[-1]
        np.testing.assert_array_equal(masks(desk), before)
        desk.viewer.layers["point_prompts"].add([0, 20, 20])
        desk.wait_idle(60_000)
        assert "can only be looked at" in desk.notes()[-1]
        assert desk.widget.form.saved.reload.isVisibleTo(desk.widget)
        assert holder.stdin is not None
        holder.stdin.write("remove\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "removed\n"
        desk.click(desk.widget.form.saved.reload)
        desk.wait_idle(60_000)
        assert not masks(desk).any()
        assert len(desk.widget.session.masklets) == 0
        desk.leave()
        holder.communicate("")


def test_row35_a_changed_movie_is_refused_and_nothing_is_lost(
    bare_desk: Desk, movie: Path, cells: Any, make_napari_viewer: Any
) -> None:
    track(bare_desk, show(bare_desk, movie), cells, 1)
    desk = next_desk(bare_desk, make_napari_viewer)
    tifffile.imwrite(movie, cells.frames[:NUM_FRAMES] + 1, photometric="minisblack")
    image = show(desk, movie)
    press_open(desk)
    assert "is not the movie of the session" in desk.notes()[-1] and "frame 0" in desk.notes()[-1]
    assert desk.widget.session is None and line(desk) == "Found: movie.sam2"
    track(desk, image, cells, 1)
    assert line(desk) == "Saved: movie-2.sam2"
    desk.leave()


def test_another_model_goes_on_in_the_same_folder(bare_desk: Desk, movie: Path, cells: Any) -> None:
    before = track(bare_desk, show(bare_desk, movie), cells, 1)
    bare_desk.widget.form.diameter.setValue(30)
    bare_desk.widget.form.diameter.editingFinished.emit()
    bare_desk.wait_idle(60_000)
    session = bare_desk.widget.session
    assert session.settings.diameter == 30 and line(bare_desk) == "Saved: movie.sam2"
    np.testing.assert_array_equal(bare_desk.frame(2), before[2])
    assert session.masklets[1].frames == (0, 1, 2) and not bare_desk.notes()


def test_another_model_goes_on_where_nothing_is_stored(
    bare_desk: Desk, movie: Path, cells: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_sam2.layers.saving.new_places", lambda *_: ())
    before = track(bare_desk, show(bare_desk, movie), cells)
    bare_desk.widget.session.rename(1, "mother")
    bare_desk.widget.session.approve(1, 2)
    bare_desk.widget.form.diameter.setValue(30)
    bare_desk.widget.form.diameter.editingFinished.emit()
    bare_desk.wait_idle(60_000)
    session = bare_desk.widget.session
    assert session.settings.diameter == 30 and line(bare_desk) == "" and not bare_desk.notes()
    np.testing.assert_array_equal(masks(bare_desk)[1:], before[1:])
    assert [session.masklets[i].frames for i in (1, 2)] == [(0, 1, 2)] * 2
    assert session.names == {1: "mother"} and session.approved(1) == (2,)
    bare_desk.widget.runs.propagate()
    bare_desk.wait_idle(60_000)
    np.testing.assert_array_equal(masks(bare_desk)[2] == 1, before[2] == 1)
    assert not list(movie.parent.glob("*.sam2"))


def test_the_folder_is_let_go_of_when_the_movie_or_the_viewer_goes(bare_desk: Desk, movie: Path, cells: Any) -> None:
    image = show(bare_desk, movie)
    bare_desk.click_canvas(image, *clear_cells(cells.labels[0], 1)[0][1:])
    bare_desk.wait_idle(60_000)
    assert (movie.with_suffix(".sam2") / "owner.json").exists()
    bare_desk.viewer.layers.remove(image)
    bare_desk.settle()
    assert not (movie.with_suffix(".sam2") / "owner.json").exists()


def test_row04_closing_during_a_run_stores_its_frames_and_lets_go(bare_desk: Desk, movie: Path, cells: Any) -> None:
    image = show(bare_desk, movie)
    bare_desk.click_canvas(image, *clear_cells(cells.labels[0], 1)[0][1:])
    bare_desk.wait_idle(60_000)
    widget = bare_desk.widget
    written: list[int] = []
    widget.controller.frame_written.connect(written.append)
    bare_desk.click(widget.form.propagate)
    bare_desk.qtbot.waitUntil(lambda: bool(written), timeout=30_000)
    session = widget.session
    bare_desk.leave()
    assert not (movie.with_suffix(".sam2") / "owner.json").exists() and not session.logs
    assert Saving(image).offered == movie.with_suffix(".sam2")
    stored = reopen_session(movie.with_suffix(".sam2"), read_only=True)
    assert set(written) <= set(stored.masklets[1].frames) and (1, 0) in stored.prompts
    stored.close()


def test_row34_a_session_dropped_on_napari_opens_its_movie_and_goes_on(
    bare_desk: Desk, movie: Path, cells: Any, make_napari_viewer: Any
) -> None:
    opened = show(bare_desk, movie)
    before, there = track(bare_desk, opened, cells), opened.data_to_world((1, 30, 40))
    desk = next_desk(bare_desk, make_napari_viewer)
    (image,) = desk.viewer.open(str(movie.with_suffix(".sam2")), plugin="napari-sam2")
    assert image.name == "movie"
    np.testing.assert_allclose(image.data_to_world((1, 30, 40)), there)
    desk.dock()
    desk.wait_idle(60_000)
    np.testing.assert_array_equal(masks(desk), before)
    assert line(desk) == "Saved: movie.sam2" and len(desk.viewer.layers["point_prompts"].data) == 2
    assert not desk.notes()
    desk.leave()


def test_a_propagation_that_was_interrupted_is_gone_on_with_by_resume(bare_desk: Desk, movie: Path, cells: Any) -> None:
    ((_, y, x),) = clear_cells(cells.labels[0], 1)
    with_one = open_session(movie, autosave=movie.with_suffix(".sam2"))
    with_one.add_prompts(PointPrompt(0, 1, y, x))
    frames = with_one.propagate()
    assert [next(frames).frame, next(frames).frame] == [0, 1]
    frames.close()
    with_one.close()

    show(bare_desk, movie)
    press_open(bare_desk)
    pause = bare_desk.widget.form.pause
    assert pause.text() == "Resume" and not masks(bare_desk)[2].any()
    bare_desk.click(pause)
    bare_desk.wait_idle(60_000)
    assert masks(bare_desk)[2].any() and not pause.isEnabled()
    bare_desk.leave()
