"""The demonstration: what `make demo` promises."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam2.demo import run_demo
from napari_sam2.io.tracks import read_tracks


@pytest.mark.slow
def test_demo_follows_cells_of_the_sample_movie(tmp_path):
    report = run_demo(tmp_path)
    movie, labels = (tifffile.imread(tmp_path / name) for name in ("movie.tif", "labels.tif"))
    assert movie.shape == labels.shape
    assert movie.shape[0] >= 30
    assert movie.shape[1:] == (512, 512)
    assert report.objects >= 10
    assert report.overlap.first_frame > 0.7
    assert report.overlap.movie > 0.6
    rows = read_tracks(tmp_path / "tracks.csv")
    assert {r.object_id for r in rows} == set(np.unique(labels)) - {0}
    with Image.open(tmp_path / "overlay.png") as picture:
        assert np.asarray(picture).std() > 10
    with Image.open(tmp_path / "overlay.gif") as animation:
        assert animation.n_frames == len(movie)
