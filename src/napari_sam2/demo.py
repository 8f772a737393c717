"""The demonstration: the sample movie, a few clicks, masklets, a picture, and how good they are."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from napari_sam2.api import Progress, TrackResult, track
from napari_sam2.evaluation.overlap import Overlap, measure_overlap, true_clicks
from napari_sam2.io.clicks import write_clicks
from napari_sam2.io.overlay import draw_overlay, write_animation, write_overlay
from napari_sam2.models import load_model
from napari_sam2.synthetic import write_sample

MAX_CLICKS = 10


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What the demonstration found.

    Attributes
    ----------
    frames, objects
        How many.
    seconds_per_frame
        Of tracking all objects, reading and encoding included; loading the model is not.
    overlap
        Against the sample's truth.
    """

    frames: int
    objects: int
    seconds_per_frame: float
    overlap: Overlap


def run_demo(
    out: Path, *, model: str = "cell", progress: Progress | None = None, say: Callable[[str], object] = lambda _: None
) -> DemoReport:
    """Track a few cells of the sample movie and write everything into `out`.

    `movie.tif` and `movie_labels.tif`, the sample and its truth; `clicks.csv`; `labels.tif`, `tracks.csv` and
    `res_track.txt`, the masklets; `overlay.png` and `overlay.gif`.
    """
    out.mkdir(parents=True, exist_ok=True)
    say("Writing the sample movie")
    movie_path, truth_path = write_sample(out / "movie.tif")
    truth = tifffile.imread(truth_path)
    clicks = true_clicks(truth[0], max_objects=MAX_CLICKS)
    write_clicks(out / "clicks.csv", clicks)
    say(f"Following {len(clicks)} cells, one click each")
    network = load_model(model)
    started = time.perf_counter()
    result = track(movie_path, prompts=clicks, model=network, progress=progress)
    seconds = (time.perf_counter() - started) / len(truth)
    result.save(out)
    say("Drawing")
    _draw(result, out)
    overlap = measure_overlap(truth, result.labels(), [c.object_id for c in clicks])
    return DemoReport(len(truth), len(clicks), seconds, overlap)


def _draw(result: TrackResult, out: Path) -> None:
    video, session = result.session.video, result.session
    pictures = [draw_overlay(video.frame(t), session.labels(t)) for t in range(video.num_frames)]
    write_animation(out / "overlay.gif", pictures)
    middle = video.num_frames // 2
    write_overlay(out / "overlay.png", np.asarray(video.frame(middle)), session.labels(middle))
