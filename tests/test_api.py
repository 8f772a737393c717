"""Tracking in three lines, and everything that may be handed to it."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tifffile

import napari_sam2
from napari_sam2.api import TrackResult, read_points
from napari_sam2.errors import CheckpointError, MovieError, NapariSam2Error, PromptError
from napari_sam2.input_choice import InputChoice
from napari_sam2.io.clicks import write_clicks
from napari_sam2.io.label_files import open_labels
from napari_sam2.io.track_lines import TrackLine, read_track_lines, write_track_lines
from napari_sam2.io.tracks import read_tracks
from napari_sam2.masklets import FrameMask, Masklet
from napari_sam2.prompts import PointPrompt
from napari_sam2.synthetic import render_movie
from napari_sam2.video import Video
from test_tracking_session import SPEC


@pytest.fixture(scope="module")
def model():
    return napari_sam2.load_model("cell", device="cpu")


@pytest.fixture(scope="module")
def movie():
    return render_movie(SPEC).frames[:4]


def test_three_lines_from_a_file(tmp_path, movie):
    tifffile.imwrite(tmp_path / "movie.tif", movie, photometric="minisblack")
    result = napari_sam2.track(tmp_path / "movie.tif", points=[(0, 62, 69)])
    result.save(tmp_path / "out")
    labels = tifffile.imread(tmp_path / "out" / "labels.tif")
    assert labels.shape == movie.shape
    assert labels.dtype == np.uint32
    assert np.array_equal(labels, result.labels())
    assert set(np.unique(labels)) == {0, 1}
    rows = read_tracks(tmp_path / "out" / "tracks.csv")
    assert [r.frame for r in rows] == list(result.masklets[1].frames)
    assert rows[0].area == (labels[0] == 1).sum()
    assert (tmp_path / "out" / "res_track.txt").read_text() == "1 0 3 0\n"


def test_the_lineage_is_saved_and_evaluated(tmp_path, movie):
    result = napari_sam2.track(movie, points=[(0, 62, 69)])
    session = result.session
    session.end(1, 2)
    session.add_prompts(napari_sam2.PointPrompt(2, 2, 62, 69), napari_sam2.PointPrompt(0, 3, 100, 30))
    session.segment(2, 2)
    session.set_parent(2, 1)
    session.set_parent(1, 3)
    result.save(tmp_path)
    lines = read_track_lines(tmp_path / "res_track.txt")
    assert lines == (TrackLine(1, 0, 1, 0), TrackLine(2, 2, 2, 1)), "object 3 has no mask, so it is nobody's parent"
    assert open_labels(tmp_path).lines == lines


def test_a_table_of_tracks_comes_back(tmp_path):
    lines = (TrackLine(1, 0, 4, 0), TrackLine(7, 5, 9, 1))
    write_track_lines(tmp_path / "man_track.txt", lines)
    assert read_track_lines(tmp_path / "man_track.txt") == lines


def test_row22_saving_holds_few_masks_at_a_time(tmp_path):
    masklets, count = {i: Masklet(i) for i in (2, 1)}, 4000
    for i, masklet in masklets.items():
        for t in range(count):
            masklet.add(FrameMask(t, i, (0, 0, 3, 3), np.ones((3, 3), bool), 3.0, 0.9))
    session = SimpleNamespace(
        # The labels of all frames would take long to write.
        video=SimpleNamespace(num_frames=1, shape_yx=(4, 4)),
        masklets=masklets,
        parents={},
        labels=lambda t: np.eye(4, dtype=np.uint32),
        confidence=lambda i: (np.array(masklets[i].frames), np.full(count, 0.25 * i)),
    )
    tracemalloc.start()
    try:
        TrackResult(session).save(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 100 * 2 * count
    finally:
        tracemalloc.stop()
    rows = [(r.object_id, r.frame, r.confidence) for r in read_tracks(tmp_path / "tracks.csv")]
    assert rows == [(i, t, 0.25 * i) for i in (1, 2) for t in range(count)]


def test_progress_counts_up(movie, model):
    calls = []
    napari_sam2.track(
        movie, [(1, 62, 69)], model=model, progress=lambda r, done, total: calls.append((r.frame, done, total))
    )
    assert calls == [(1, 1, 4), (2, 2, 4), (3, 3, 4), (0, 4, 4)]


def test_frames_may_be_limited(movie, model):
    calls = []
    result = napari_sam2.track(
        movie,
        [(1, 62, 69)],
        model=model,
        first=1,
        last=2,
        progress=lambda r, done, total: calls.append((r.frame, total)),
    )
    assert calls == [(1, 2), (2, 2)]
    assert result.masklets[1].frames == (1, 2)
    with pytest.raises(PromptError, match="No frames from 3 to 2"):
        napari_sam2.track(movie, [(1, 62, 69)], model=model, first=3, last=2)


def test_contrast_is_not_ignored_where_the_movie_is_opened_already(movie, model):
    stack = np.stack([movie * 0, movie], axis=1)
    video = Video.open(stack, InputChoice("TZYX", plane=1), contrast=(10, 200))
    assert napari_sam2.open_session(video, model=model, contrast=(10, 200)).video is video
    with pytest.raises(MovieError, match="is opened already, with a contrast of 10 to 200: choose another one when"):
        napari_sam2.open_session(video, model=model, contrast=(100, 4000))


def test_settings_of_memory_reach_the_session(movie, model):
    session = napari_sam2.open_session(movie, model=model, max_prompted=2, restart_at_prompts=True)
    assert session._follower.rules.max_prompted == 2
    assert session._follower.rules.restart_at_prompts
    with pytest.raises(PromptError, match="max_prompted is 0, expected 1 or more"):
        napari_sam2.open_session(movie, model=model, max_prompted=0)


def test_every_form_of_points_is_the_same_clicks(tmp_path):
    expected = [PointPrompt(0, 1, 5.0, 6.0), PointPrompt(2, 2, 7.0, 8.0)]
    write_clicks(tmp_path / "clicks.csv", expected)
    rows = [(0, 5, 6), (2.2, 7, 8)]
    table = pd.DataFrame({"object_id": [1, 2], "polarity": pd.Categorical(["positive", "positive"])})
    for given in (
        rows,
        np.array(rows),
        expected,
        tmp_path / "clicks.csv",
        SimpleNamespace(data=np.array(rows), features=table),
    ):
        assert read_points(given) == expected


def test_a_layer_without_our_features_gives_one_object_a_point():
    layer = SimpleNamespace(data=np.array([(0, 5, 6), (0, 7, 8)]), features=pd.DataFrame(index=range(2)))
    assert [p.object_id for p in read_points(layer)] == [1, 2]


def test_negative_points_of_a_layer():
    table = pd.DataFrame({"object_id": [4, 4], "polarity": ["positive", "negative"]})
    layer = SimpleNamespace(data=np.array([(0, 5, 6), (0, 7, 8)]), features=table)
    assert [(p.object_id, p.positive) for p in read_points(layer)] == [(4, True), (4, False)]


@pytest.mark.parametrize("layout", ["rgb", "uint16", "float"])
def test_kinds_of_movies(layout, movie, model):
    if layout == "rgb":
        movie = np.repeat(movie[..., None], 3, axis=-1)
    elif layout == "uint16":
        movie = movie.astype(np.uint16) * 13 + 400
    else:
        movie = movie / 255.0
    result = napari_sam2.track(movie, [(0, 62, 69)], model=model)
    assert 300 < result.masklets[1][0].area < 1500


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"movie": "nowhere.tif"}, MovieError, "nowhere.tif"),
        ({"movie": np.zeros((20, 20))}, MovieError, "no time axis"),
        ({"movie": np.zeros((2, 3, 20, 20))}, MovieError, "choose a plane or a channel"),
        ({"movie": np.full((2, 160, 180), 7)}, MovieError, "nothing to segment"),
        ({"movie": np.full((2, 160, 180), np.nan)}, MovieError, "nothing to segment"),
        ({"points": [(0, 500, 3)]}, PromptError, "outside the image"),
        ({"points": [(9, 5, 3)]}, PromptError, "frames 0 to 3"),
        ({"points": [(5, 3)]}, PromptError, r"expected rows of three numbers \(t, y, x\)"),
        ({"points": []}, PromptError, "Nothing to follow"),
        ({"points": 5}, PromptError, "expected rows of three numbers"),
        ({"points": [(0, 1, 2), (0, 1)]}, PromptError, "expected rows of three numbers"),
        ({"points": ["here"]}, PromptError, "expected rows of three numbers"),
        ({"device": "tpu", "model": "cell"}, NapariSam2Error, "There is no device 'tpu'"),
        ({"points": [PointPrompt(0, 1, 5, 5, positive=False)]}, PromptError, "object 1"),
        ({"model": "sam3"}, CheckpointError, "There is no model 'sam3'"),
        ({"model": "none.pt"}, CheckpointError, "No weights file at"),
    ],
)
def test_bad_input_gets_a_clear_error(change, error, message, movie, model):
    arguments = {"movie": movie, "points": [(0, 62, 69)], "model": model} | change
    with pytest.raises(error, match=message):
        napari_sam2.track(arguments.pop("movie"), **arguments)


def test_one_flat_frame_does_not_stop_the_movie(movie, model):
    movie = movie.astype(np.float32)
    movie[2] = np.nan
    result = napari_sam2.track(movie, [(0, 62, 69)], model=model)
    assert 0 in result.masklets[1]


def test_layers_that_do_not_lie_on_one_another_are_refused(movie, model):
    image = SimpleNamespace(data=movie, rgb=False, name="m", scale=np.array([1, 0.5, 0.5]), translate=np.zeros(3))
    points = SimpleNamespace(data=np.array([(0, 31, 35)]), features=pd.DataFrame(index=range(1)), scale=np.ones(3))
    with pytest.raises(PromptError, match=r"points layer has the scale \[1.0, 1.0, 1.0\], the movie \[1.0, 0.5, 0.5\]"):
        napari_sam2.track(image, points, model=model)


def test_an_object_id_that_is_no_number_is_refused():
    layer = SimpleNamespace(data=np.array([(0, 5, 6)]), features=pd.DataFrame({"object_id": [np.nan]}))
    with pytest.raises(PromptError, match="holds no whole number"):
        read_points(layer)
