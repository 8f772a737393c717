"""`napari-sam2 track --session`, `session info` and `session export`, with the bundled model."""

import warnings

import pytest
import tifffile
from typer.testing import CliRunner

from napari_sam2 import propagating_session
from napari_sam2.api import open_session, read_points, reopen_session
from napari_sam2.cli import app
from napari_sam2.prompts import BoxPrompt, PointPrompt
from napari_sam2.session_objects import SessionObjects
from napari_sam2.synthetic import render_movie
from test_tracking_session import SPEC
from toy_scene import iou

CLICKS = "object_id,frame,y,x,positive\n5,0,62,69,1\n"


@pytest.fixture
def files(tmp_path):
    tifffile.imwrite(tmp_path / "movie.tif", render_movie(SPEC).frames[:5], photometric="minisblack")
    (tmp_path / "clicks.csv").write_text(CLICKS)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def track(files, *more):
    return run(
        "track", files / "movie.tif", "--points", files / "clicks.csv", "--out", files / "out",
        "--session", files / "s.sam2", *more,
    )  # fmt: skip


@pytest.mark.slow
def test_a_session_is_exported_while_it_is_open_elsewhere_and_wherever_its_movie_is(files):
    assert track(files).exit_code == 0
    session = reopen_session(files / "s.sam2")
    session.add_prompts(PointPrompt(2, 6, 62, 69))
    session.segment(2, 6)
    session.set_parent(6, 5)
    (files / "movie.tif").rename(files / "moved.tif")
    told = run("session", "export", files / "s.sam2", "--out", files / "exported")
    assert told.exit_code == 1 and "or its path on the command line" in told.output
    told = run("session", "export", files / "s.sam2", "--out", files / "exported", "--movie", files / "moved.tif")
    assert told.exit_code == 0, told.output
    assert "of 2 objects to" in told.output
    labels = tifffile.imread(files / "exported" / "labels.tif")
    assert all((labels[t] == session.labels(t)).all() for t in range(5))
    assert (files / "exported" / "res_track.txt").read_text() == "5 0 4 0\n6 2 2 5\n"
    session.close()


@pytest.mark.slow
def test_an_interrupted_run_goes_on_and_a_finished_one_is_not_done_again(files, monkeypatch):
    whole = open_session(files / "movie.tif")
    whole.set_prompts(read_points(files / "clicks.csv"))
    list(whole.propagate("both"))
    session = open_session(files / "movie.tif", autosave=files / "s.sam2")
    session.set_prompts(read_points(files / "clicks.csv"))
    for result in session.propagate("both"):
        if result.frame == 1:
            break
    session.close()
    told = run("session", "info", files / "s.sam2")
    assert told.exit_code == 0, told.output
    assert "both, 1 objects, interrupted after frame 1" in told.output
    assert "5 frames of 160 x 180" in told.output
    assert "cell, SHA-256" in told.output
    done = track(files)
    assert done.exit_code == 0, done.output
    assert "Going on with the session in" in done.output
    assert "frame 1 was the last that was done" in done.output
    opened = reopen_session(files / "s.sam2")
    assert opened.run.is_done
    assert opened.masklets[5].frames == whole.masklets[5].frames
    for t, mask in whole.masklets[5].items():
        full = whole.labels(t) == 5
        assert iou(opened.masklets[5][t], full) > (0.999 if t <= 1 else 0.95), mask.frame
    opened.close()
    labels = tifffile.imread(files / "out" / "labels.tif")
    visited = []
    monkeypatch.setattr(propagating_session, "visit", lambda *args: visited.append(args))
    again = track(files)
    assert again.exit_code == 0, again.output
    assert not visited, "a finished run is not repeated"
    assert (tifffile.imread(files / "out" / "labels.tif") == labels).all()


@pytest.mark.slow
def test_other_clicks_are_followed_anew_and_prompts_that_a_table_cannot_hold_are_not_replaced(files):
    assert track(files).exit_code == 0
    before = tifffile.imread(files / "out" / "labels.tif")
    (files / "clicks.csv").write_text(CLICKS.replace("62,69", "110,60"))
    assert track(files).exit_code == 0
    after = tifffile.imread(files / "out" / "labels.tif")
    assert all((after[t] != before[t]).any() for t in range(5)), "a run that was done does not stand for other clicks"
    session = reopen_session(files / "s.sam2")
    session.add_prompts(BoxPrompt(0, 6, 50, 50, 80, 90))
    session.close()
    done = track(files)
    assert done.exit_code == 1
    assert "boxes or masks as prompts, which a table of clicks would replace" in done.output
    assert reopen_session(files / "s.sam2").prompts[6, 0].box is not None


@pytest.mark.parametrize("is_done", [True, False])
@pytest.mark.parametrize("what", ["first", "out", "kill"])
def test_other_clicks_are_followed_anew_also_after_a_start_that_failed(files, monkeypatch, is_done, what):
    assert track(files).exit_code == 0
    before = tifffile.imread(files / "out" / "labels.tif")
    if not is_done:
        session = reopen_session(files / "s.sam2")
        for result in session.propagate("both"):
            if result.frame == 2:
                break
        session.close()
    (files / "clicks.csv").write_text(CLICKS.replace("62,69", "110,60"))
    if what == "first":
        failed = track(files, "--first", 9)
    elif what == "out":
        (files / "taken").write_text("")
        failed = track(files, "--out", files / "taken")
    else:

        def killed(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(SessionObjects, "prepare", killed)
            failed = track(files)
    assert failed.exit_code != 0
    if what != "kill":
        session = reopen_session(files / "s.sam2")
        assert session.prompts[5, 0].points[0].y == 62, "a command that is refused changes nothing"
        assert session.run is not None
        session.close()
    done = track(files)
    assert done.exit_code == 0, done.output
    after = tifffile.imread(files / "out" / "labels.tif")
    assert all((after[t] != before[t]).any() for t in range(5))


def test_changes_go_with_a_session_and_with_no_frames_or_direction(files):
    assert track(files, "--last", 0).exit_code == 0
    for more, told in (
        (("--first", 1), "--changes goes wherever clicks have changed something, so leave out --first"),
        (("--direction", "both", "--last", 2), "so leave out --direction and --last"),
    ):
        done = track(files, "--changes", *more)
        assert done.exit_code == 1
        assert told in done.output
    new = run(
        "track", files / "movie.tif", "--points", files / "clicks.csv", "--out", files / "new", "--changes",
    )  # fmt: skip
    assert new.exit_code == 1
    assert "--changes needs --session FOLDER" in new.output
    assert not (files / "new").exists()


def test_settings_that_differ_from_those_of_the_session_are_named(files):
    assert track(files, "--last", 0, "--diameter", 30, "--fill-holes", 5).exit_code == 0
    assert track(files, "--last", 0, "--diameter", 30, "--fill-holes", 5, "--separate").exit_code == 0
    assert track(files, "--last", 0).exit_code == 0, "what is left out is as it was"
    (files / "clicks.csv").write_text(CLICKS.replace("62,69", "110,60"))
    done = track(
        files, "--diameter", 20, "--fill-holes", 5, "--overlapping", "--memory-policy", "original", "--windows"
    )
    assert done.exit_code == 1
    told = " ".join(done.output.split())
    assert (
        "has other settings than --diameter 20 (it has 30), --windows, --memory-policy original, --overlapping" in told
    )
    assert "leave these options out to go on with those of the session, or name another folder" in told
    assert "--fill-holes" not in told
    session = reopen_session(files / "s.sam2")
    assert session.prompts[5, 0].points[0].y == 62
    session.close()


def test_warnings_of_others_do_not_keep_a_session_closed(files, monkeypatch):
    assert track(files, "--last", 0).exit_code == 0
    from napari_sam2.session_files import originals

    real = originals.load_model
    monkeypatch.setattr(originals, "load_model", lambda *a, **k: warnings.warn("old", stacklevel=1) or real(*a, **k))
    with pytest.warns(UserWarning, match="old"):
        done = track(files, "--last", 0)
    assert done.exit_code == 0, done.output


def test_errors_are_one_clear_line(files):
    done = run("session", "info", files)
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert "holds no session" in done.output
    assert track(files, "--last", 0).exit_code == 0
    session = reopen_session(files / "s.sam2")
    done = track(files)
    assert done.exit_code == 1
    assert "can only be looked at, because it is open in process" in done.output
    session.close()
    tifffile.imwrite(files / "movie.tif", render_movie(SPEC).frames[1:6], photometric="minisblack")
    done = track(files)
    assert done.exit_code == 1
    assert "movie.tif is not the movie of the session" in done.output
    assert "Traceback" not in done.output


def test_only_what_changed_clicks_can_change_is_followed_again(files):
    assert track(files, "--last", 3).exit_code == 0
    before = tifffile.imread(files / "out" / "labels.tif")
    done = track(files, "--changes")
    assert done.exit_code == 0, done.output
    assert (tifffile.imread(files / "out" / "labels.tif") == before).all(), "nothing has changed"
    (files / "clicks.csv").write_text(CLICKS + "8,0,110,10,1\n")
    done = track(files, "--changes")
    assert done.exit_code == 0, done.output
    session = reopen_session(files / "s.sam2")
    assert session.masklets[5].frames == (0, 1, 2, 3)
    assert {*session.masklets[8], *session.masklets[8].absent} == {0, 1, 2, 3, 4}
    session.close()
