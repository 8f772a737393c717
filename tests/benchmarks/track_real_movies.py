"""Track movies with truth from one click per object, by the command line, and measure what a user would see.

    python tests/benchmarks/track_real_movies.py DATA [NAME ...] [--max-objects 40] [--max-frames 30] [-- OPTION ...]

DATA holds one folder a movie with `img.tif` and `gt.tif`. Each movie is tracked forward by a fresh `napari-sam2 track`
process; options after `--` are handed to it. Seconds per frame hold everything: start of Python, loading, writing.
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--max-objects", type=int, default=40)
    parser.add_argument("--max-frames", type=int, default=30)
    own, options = (sys.argv[1:], []) if "--" not in sys.argv else _split(sys.argv[1:])
    arguments = parser.parse_args(own)
    names = arguments.names or sorted(p.parent.name for p in arguments.data.glob("*/img.tif"))
    runs = {}
    print(f"{'movie':20s} objects frames  first  movie  followed  s/frame  peak MB")
    for name in names:
        run = run_movie(arguments.data / name, arguments.max_objects or None, arguments.max_frames or None, options)
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
