"""Track movies with truth from one click per object, by the command line, and measure what a user would see.

    python tests/benchmarks/track_real_movies.py DATA [NAME ...] [--max-objects 40] [--max-frames 30] [-- OPTION ...]
    python tests/benchmarks/track_real_movies.py DATA --baseline

DATA holds one folder a movie with `img.tif` and `gt.tif`. Each movie is tracked forward by a fresh `napari-sam2 track`
process; options after `--` are handed to it. Seconds per frame hold everything: start of Python, loading, writing.
`--baseline` tracks with Otsu's threshold, a watershed and overlap linking instead, the usual first thing to try.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from scipy import ndimage
from skimage import filters, measure, morphology, segmentation

from napari_sam2.evaluation.overlap import Overlap, measure_overlap, true_clicks
from napari_sam2.io.clicks import write_clicks


@dataclass(frozen=True)
class Run:
    objects: int
    frames: int
    overlap: Overlap
    seconds: float
    peak_megabytes: float


def run_movie(folder: Path, max_objects: int | None, max_frames: int | None, options: list[str]) -> Run:
    movie = tifffile.imread(folder / "img.tif")[:max_frames]
    truth = tifffile.imread(folder / "gt.tif")[:max_frames]
    clicks = true_clicks(truth[0], max_objects=max_objects)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        tifffile.imwrite(work / "movie.tif", movie)
        write_clicks(work / "clicks.csv", clicks)
        command = [Path(sys.executable).with_name("napari-sam2"), "track", work / "movie.tif"]
        command += ["--points", work / "clicks.csv", "--out", work, "--direction", "forward", *options]
        started = time.perf_counter()
        process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        if status:
            raise SystemExit(f"napari-sam2 track failed on {folder.name}")
        labels = tifffile.imread(work / "labels.tif")
    overlap = measure_overlap(truth, labels, [c.object_id for c in clicks])
    return Run(len(clicks), len(truth), overlap, seconds, usage.ru_maxrss / 1024)


def segments(frame: np.ndarray) -> np.ndarray:
    """Otsu's threshold, and a watershed of the distance transform."""
    smooth = filters.gaussian(frame.astype(np.float32), 1)
    mask = smooth > filters.threshold_otsu(smooth)
    mask = ndimage.binary_fill_holes(~mask if mask.mean() > 0.5 else mask)
    depth = filters.gaussian(ndimage.distance_transform_edt(mask), 1)
    return segmentation.watershed(-depth, measure.label(morphology.h_maxima(depth, 0.7)), mask=mask)


def run_baseline(folder: Path, max_objects: int | None, max_frames: int | None) -> Run:
    """Each clicked segment, linked to the segment it overlaps most on the next frame."""
    movie = tifffile.imread(folder / "img.tif")[:max_frames]
    truth = tifffile.imread(folder / "gt.tif")[:max_frames]
    clicks = true_clicks(truth[0], max_objects=max_objects)
    labels, current, started = np.zeros(truth.shape, np.uint32), {}, time.perf_counter()
    for t, frame in enumerate(movie):
        found = segments(frame)
        if t == 0:
            chosen = {c.object_id: found[int(c.y), int(c.x)] for c in clicks}
        else:
            shares = {i: np.bincount(found[mask], minlength=2) for i, mask in current.items()}
            chosen = {i: 1 + counts[1:].argmax() if counts[1:].any() else 0 for i, counts in shares.items()}
        current = {i: found == label for i, label in chosen.items() if label}
        for object_id, mask in current.items():
            labels[t][mask] = object_id
    overlap = measure_overlap(truth, labels, [c.object_id for c in clicks])
    return Run(len(clicks), len(truth), overlap, time.perf_counter() - started, float("nan"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--max-objects", type=int, default=40)
    parser.add_argument("--max-frames", type=int, default=30)
    parser.add_argument("--baseline", action="store_true")
    own, options = (sys.argv[1:], []) if "--" not in sys.argv else _split(sys.argv[1:])
    arguments = parser.parse_args(own)
    names = arguments.names or sorted(p.parent.name for p in arguments.data.glob("*/img.tif"))
    runs = {}
    print(f"{'movie':20s} objects frames  first  movie  followed  s/frame  peak MB")
    for name in names:
        folder, limits = arguments.data / name, (arguments.max_objects or None, arguments.max_frames or None)
        run = run_baseline(folder, *limits) if arguments.baseline else run_movie(folder, *limits, options)
        runs[name] = run
        o = run.overlap
        print(
            f"{name:20s} {run.objects:7d} {run.frames:6d}  {o.first_frame:.3f}  {o.movie:.3f}  {o.followed:8.3f}"
            f"  {run.seconds / run.frames:7.2f}  {run.peak_megabytes:7.0f}",
            flush=True,
        )
    overlaps = [r.overlap for r in runs.values()]
    means = [np.mean([getattr(o, part) for o in overlaps]) for part in ("first_frame", "movie", "followed")]
    print(f"{'mean':20s} {'':14s}  {means[0]:.3f}  {means[1]:.3f}  {means[2]:8.3f}")


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


if __name__ == "__main__":
    main()
