"""`napari-sam2 evaluate` and `napari-sam2 benchmark`, as a user calls them."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from napari_sam2.cli import app
from napari_sam2.synthetic import render_movie
from test_tracking_session import SPEC

FRAMES = 3


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], terminal_width=200)


@pytest.fixture(scope="module")
def movie():
    return render_movie(SPEC)


@pytest.fixture
def data(tmp_path, movie):
    """A data set of one movie, and results that are the truth."""
    (tmp_path / "data" / "cells").mkdir(parents=True)
    tifffile.imwrite(tmp_path / "data" / "cells" / "img.tif", movie.frames[:5], photometric="minisblack")
    tifffile.imwrite(tmp_path / "data" / "cells" / "gt.tif", movie.labels[:5], photometric="minisblack")
    tifffile.imwrite(tmp_path / "labels.tif", movie.labels[:5], photometric="minisblack")
    return tmp_path


def test_results_are_compared_with_truth(data):
    out, picture = data / "report.json", data / "report.png"
    truth = data / "data" / "cells"
    done = run("evaluate", data / "labels.tif", truth, "--out", out, "--picture", picture, "--davis-ends")
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[1].split()[:6] == ["cells", "10", "5", "1.000", "1.000", "1.000"]
    (scores,) = json.loads(out.read_text())["movies"]
    assert scores["values"]["J&F"] == 1
    assert picture.exists()


def test_ctc_measures_of_a_data_set(data):
    pytest.importorskip("ctc_metrics")
    (data / "results" / "cells").mkdir(parents=True)
    (data / "labels.tif").rename(data / "results" / "cells" / "labels.tif")
    done = run("evaluate", data / "results", data / "data", "--measures", "ctc")
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[1].split()[3:] == ["1.000", "1.000", "1.000"]


def test_mistakes_are_told_in_a_line(data):
    done = run("evaluate", data / "nothing", data / "data")
    assert done.exit_code == 1
    assert "Error: there are no results on the movie cells: expected" in done.output
    assert "Traceback" not in done.output
    done = run("evaluate", data / "labels.tif", data / "data", "--measures", "iou")
    assert "Error: there is no measure 'iou'" in done.output
    (data / "data" / "cells" / "img.tif").unlink()
    done = run("benchmark", data / "data")
    assert "Error: the movie cells is not there, only its truth" in done.output


@pytest.mark.slow
def test_reports_that_could_not_be_written_are_refused_before_the_work(data, monkeypatch):
    monkeypatch.setattr("napari_sam2.io.data_sets.find_entries", None)
    done = run("benchmark", data / "data", "--out", "report.txt")
    assert done.exit_code == 1
    assert ".json or .csv" in done.output
    done = run("benchmark", data / "data", "--picture", "report.png", "--measures", "davis")
    assert done.exit_code == 1
    assert "add overlap to --measures" in done.output
    done = run("benchmark", data / "data", "--out", data / "reports" / "all.json")
    assert done.exit_code == 1
    assert "there is no folder" in done.output


def test_what_is_done_is_reported_if_a_later_movie_fails(data, movie):
    (data / "data" / "late").mkdir()
    tifffile.imwrite(data / "data" / "late" / "gt.tif", movie.labels[:3], photometric="minisblack")
    done = run("benchmark", data / "data", "--max-objects", 1, "--max-frames", 2, "--out", data / "r.csv")
    assert done.exit_code == 1
    assert "Error: the movie late is not there" in done.output
    assert (data / "r.csv").read_text().splitlines()[1].startswith("cells,1,2,")


@pytest.mark.slow
@pytest.mark.parametrize("corrections", ["offline", "online"])
def test_movies_are_tracked_and_corrected(data, corrections):
    out = data / "report.json"
    done = run(
        "benchmark", data / "data", "cells", "--max-objects", 2, "--max-frames", FRAMES, "--corrections", corrections,
        "--max-corrections", 1, "--clicks-per-frame", 2, "--measures", "overlap", "--out", out,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    (scores,) = json.loads(out.read_text())["movies"]
    assert (scores["frames"], len(scores["object_ids"])) == (FRAMES, 2)
    assert scores["values"]["movie"] > 0.5
    rounds = scores["rounds"]
    assert 1 <= rounds[0]["clicks"] <= 2
    assert scores["values"]["corrected"] == rounds[-1]["iou"] >= rounds[0]["iou"] - 0.02


@pytest.mark.slow
def test_pictures_with_truth_on_some_frames(tmp_path, movie):
    frames = tmp_path / "JPEGImages" / "cells"
    truth = tmp_path / "Annotations" / "cells"
    frames.mkdir(parents=True)
    truth.mkdir(parents=True)
    for t in range(4):
        level = movie.frames[t] / movie.frames.max() * 255
        Image.fromarray(level.astype(np.uint8)).save(frames / f"{10 + t:05d}.jpg", quality=95)
        if t % 2 == 0:
            Image.fromarray(movie.labels[t].astype(np.uint8)).save(truth / f"{10 + t:05d}.png")
    done = run("benchmark", tmp_path, "--max-objects", 2, "--measures", "overlap")
    assert done.exit_code == 0, done.output
    name, objects, frames_compared, first, *_ = done.stdout.splitlines()[1].split()
    assert (name, objects, frames_compared) == ("cells", "2", "2")
    assert float(first) > 0.5
