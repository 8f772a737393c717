"""The command line, as a user calls it."""

import csv

import numpy as np
import pytest
import tifffile
import typer
from scipy import ndimage
from typer.testing import CliRunner

from napari_sam2.cli import app
from napari_sam2.errors import MovieError
from napari_sam2.io.clicks import read_clicks
from napari_sam2.io.tracks import read_tracks
from napari_sam2.synthetic import render_movie
from test_tracking_session import SPEC

CLICKS = "object_id,frame,y,x,positive\n5,0,62,69,1\n5,0,40,69,0\n9,1,125,5,1\n"


@pytest.fixture
def files(tmp_path):
    tifffile.imwrite(tmp_path / "movie.tif", render_movie(SPEC).frames[:3], photometric="minisblack")
    (tmp_path / "clicks.csv").write_text(CLICKS)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_track_writes_labels_and_tracks(files):
    done = run("track", files / "movie.tif", "--points", files / "clicks.csv", "--out", files / "out")
    assert done.exit_code == 0, done.output
    labels = tifffile.imread(files / "out" / "labels.tif")
    assert labels.shape == (3, 160, 180)
    assert labels.dtype == np.uint32
    assert set(np.unique(labels)) <= {0, 5, 9}
    with tifffile.TiffFile(files / "out" / "labels.tif") as tif:
        assert len(tif.pages) == 3
    rows = list(csv.DictReader((files / "out" / "tracks.csv").read_text().splitlines()))
    assert list(rows[0]) == ["object_id", "frame", "y", "x", "area", "score", "predicted_iou", "confidence"]
    first = next(r for r in rows if (r["object_id"], r["frame"]) == ("5", "0"))
    assert int(first["area"]) == (labels[0] == 5).sum()
    assert abs(float(first["y"]) - 62) < 10


def test_track_stays_within_frames(files):
    arguments = ("track", files / "movie.tif", "--points", files / "clicks.csv", "--out", files / "out")
    done = run(*arguments, "--first", 1, "--last", 1)
    assert done.exit_code == 0, done.output
    frames = {r.object_id: [] for r in read_tracks(files / "out" / "tracks.csv")}
    for row in read_tracks(files / "out" / "tracks.csv"):
        frames[row.object_id].append(row.frame)
    assert set(frames[5]) == {0, 1}, "its prompt on frame 0 is answered, and it is tracked to frame 1"
    assert set(frames.get(9, [1])) == {1}
    done = run(*arguments, "--first", 2, "--last", 1)
    assert done.exit_code == 1
    assert "Error: No frames from 2 to 1: the movie has the frames 0 to 2." in done.output


def test_track_tidies_masks_up_if_told_to(files):
    arguments = ("track", files / "movie.tif", "--points", files / "clicks.csv", "--out", files / "out")
    done = run(*arguments, "--fill-holes", 20, "--remove-pieces", 100000, "--overlapping", "--last", 1)
    assert done.exit_code == 0, done.output
    labels = tifffile.imread(files / "out" / "labels.tif")
    assert ndimage.label(labels[1] == 5, np.ones((3, 3)))[1] == 1
    done = run(*arguments, "--fill-holes", -1)
    assert done.exit_code == 1
    assert "fill_holes is -1, expected an area" in done.output


def test_everything_writes_labels_and_clicks_that_can_be_tracked(files):
    out = files / "found"
    done = run("everything", files / "movie.tif", "--out", out, "--frame", 1, "--diameter", 30, "--quality", 0.6)
    assert done.exit_code == 0, done.output
    labels = tifffile.imread(out / "labels.tif")
    assert labels.shape == (1, 160, 180)
    clicks = read_clicks(out / "clicks.csv")
    assert len(clicks) == labels.max() >= 4
    assert f"of {len(clicks)} cells" in done.output
    assert all(click.frame == 1 and labels[0, int(click.y), int(click.x)] == click.object_id for click in clicks)
    for prompts in (("--points", out / "clicks.csv"), ("--labels", out, "--labels-frame", 1)):
        done = run("track", files / "movie.tif", *prompts, "--out", out / "tracked")
        assert done.exit_code == 0, done.output
    done = run("everything", files / "movie.tif", "--out", out, "--quality", 2)
    assert done.exit_code == 1
    assert "Error: quality is 2.0, expected 0 (take all masks) to 1" in done.output


@pytest.mark.parametrize(
    ("movie", "points", "message"),
    [
        ("none.tif", "clicks.csv", "none.tif"),
        ("movie.tif", "none.csv", "none.csv"),
        ("movie.tif", "bad.csv", "bad.csv"),
        ("clicks.csv", "clicks.csv", "clicks.csv"),
    ],
)
def test_errors_are_one_clear_line(files, movie, points, message):
    (files / "bad.csv").write_text("object_id,frame,y,x,positive\n1,zero,3,4,1\n")
    done = run("track", files / movie, "--points", files / points, "--out", files / "out")
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert message in done.output
    assert "Traceback" not in done.output
    assert not (files / "out").exists()


def test_what_was_done_before_an_error_is_written(files, monkeypatch):
    from napari_sam2.video import Video

    real = Video.part

    def breaks_at_two(self, t, *place):
        if t == 2:
            raise MovieError("frame 2 of movie.tif cannot be read")
        return real(self, t, *place)

    monkeypatch.setattr(Video, "part", breaks_at_two)
    done = run("track", files / "movie.tif", "--points", files / "clicks.csv", "--out", files / "out")
    assert done.exit_code == 1
    assert "Error: frame 2 of movie.tif cannot be read" in done.output
    assert {r.frame for r in read_tracks(files / "out" / "tracks.csv")} == {0, 1}
    assert tifffile.imread(files / "out" / "labels.tif").shape == (3, 160, 180)


def test_an_output_folder_that_cannot_be_made_is_noticed_at_once(files):
    (files / "taken").write_text("")
    done = run("track", files / "movie.tif", "--points", files / "clicks.csv", "--out", files / "taken")
    assert done.exit_code == 1
    assert "taken" in done.output
    assert "Traceback" not in done.output


def test_sample_writes_movie_and_truth(tmp_path):
    assert run("sample", tmp_path / "cells.tif").exit_code == 0
    assert tifffile.imread(tmp_path / "cells.tif").shape == tifffile.imread(tmp_path / "cells_labels.tif").shape


def test_help_names_every_command():
    done = run("--help")
    first_words = {line.strip("│ ").partition(" ")[0] for line in done.output.splitlines()}
    registered = typer.main.get_command(app).commands
    assert {"track", "session"} < set(registered) <= first_words
    for name in registered:
        assert run(name, "--help").exit_code == 0


def test_track_follows_labels_of_a_frame_on_a_plane(files):
    frames = render_movie(SPEC)
    stack = np.stack([frames.frames[:3] * 0, frames.frames[:3]], axis=1)
    tifffile.imwrite(files / "deep.tif", stack, photometric="minisblack")
    tifffile.imwrite(files / "labels.tif", frames.labels[1].astype(np.uint16), photometric="minisblack")
    arguments = ("track", files / "deep.tif", "--labels", files / "labels.tif", "--labels-frame", 1, "--out")
    done = run(*arguments, files / "out", "--axes", "TZYX", "--plane", 1, "--session", files / "a.sam2")
    assert done.exit_code == 0, done.output
    written = tifffile.imread(files / "out" / "labels.tif")
    np.testing.assert_array_equal(written[1], frames.labels[1])
    assert {r.frame for r in read_tracks(files / "out" / "tracks.csv")} == {0, 1, 2}
    again = run(*arguments, files / "again", "--axes", "TZYX", "--plane", 1, "--session", files / "a.sam2")
    assert again.exit_code == 0, again.output
    np.testing.assert_array_equal(tifffile.imread(files / "again" / "labels.tif"), written)
    other = run(*arguments, files / "other", "--axes", "TZYX", "--plane", 0, "--session", files / "a.sam2")
    assert other.exit_code == 1 and "plane 0" in other.output
    nothing = run("track", files / "deep.tif", "--out", files / "out")
    assert nothing.exit_code == 1 and "give --points FILE, or --labels FILE" in nothing.output


def test_everything_in_a_projection(files):
    frames = render_movie(SPEC).frames[:1]
    tifffile.imwrite(files / "deep.tif", np.stack([frames, frames // 2], axis=1), photometric="minisblack")
    done = run("everything", files / "deep.tif", "--out", files / "all", "--axes", "TZYX", "--projection", "max")
    assert done.exit_code == 0, done.output
    assert len(read_clicks(files / "all" / "clicks.csv")) > 0
