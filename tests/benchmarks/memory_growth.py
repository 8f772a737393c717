"""Show that memory does not grow with the length of a movie.

    python tests/benchmarks/memory_growth.py [--frames 100 1000] [--objects 5] [--size 1024] [--runs 3]

For each length, fresh processes track objects through a lazy movie whose frames are computed when asked for, and drop
each masklet frame after it was yielded. Printed, above resident memory after loading the model: what is held between
two frames, the median of the last fifty, and the peak within a frame. The medians of the runs are compared. The script
fails if what is held grows; peaks grow a little for long, as regions of ever other sizes leave gaps between blocks.
Linux only (/proc).
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import dask.array as da
import numpy as np

LIMIT = 1.1
FIGURES = Path("/proc/self/status")


def resident(name: str) -> float:
    """Megabytes of VmRSS (now) or VmHWM (peak)."""
    line = next(x for x in FIGURES.read_text().splitlines() if x.startswith(name))
    return int(line.split()[1]) / 1024


def lazy_movie(num_frames: int, size: int, num_objects: int) -> da.Array:
    """Discs that wander on noise, uint16, one chunk a frame."""

    def frame(block_info=None):
        t = block_info[None]["chunk-location"][0]
        rng = np.random.default_rng(t)
        picture = rng.normal(1000, 60, (size, size)).astype(np.float32)
        for k in range(num_objects):
            y, x = center(k, t, size)
            y0, x0 = int(y) - 30, int(x) - 30
            ys, xs = np.mgrid[y0 : y0 + 60, x0 : x0 + 60]
            picture[y0 : y0 + 60, x0 : x0 + 60] += 3000 * (np.hypot(ys - y, xs - x) < 20)
        return picture.astype(np.uint16)[None]

    return da.map_blocks(frame, chunks=((1,) * num_frames, (size,), (size,)), dtype=np.uint16)


def center(k: int, t: int, size: int) -> tuple[float, float]:
    """Where disc k is on frame t: on a circle of its own, round in 79 frames, so that each length sees all there is."""
    angle = 0.08 * t + k
    middle = (0.25 + 0.5 * (k % 2)) * size, (0.2 + 0.15 * k) * size
    return middle[0] + 60 * np.sin(angle), middle[1] + 60 * np.cos(angle)


def run(num_frames: int, num_objects: int, size: int) -> None:
    """Track one movie in this process and print its figures."""
    from napari_sam2.models import load_model
    from napari_sam2.prompts import PointPrompt
    from napari_sam2.tracking_session import TrackingSession
    from napari_sam2.video import Video

    model = load_model("cell", device="cpu")
    session = TrackingSession(Video(lazy_movie(num_frames, size, num_objects)), model)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here on
    loaded, started = resident("VmRSS"), time.perf_counter()
    session.set_prompts(PointPrompt(0, k + 1, *center(k, 0, size)) for k in range(num_objects))
    present, held = 0, []
    for result in session.propagate("forward"):
        present += len(result.masks)
        for masklet in session.masklets.values():
            masklet.remove(result.frame)
        held.append(resident("VmRSS"))
    seconds = (time.perf_counter() - started) / num_frames
    peak = resident("VmHWM") - loaded
    kept = statistics.median(held[-50:]) - loaded
    print(f"{num_frames} {kept:.1f} {peak:.1f} {seconds:.3f} {present / num_frames / num_objects:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--objects", type=int, default=5)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=3, help="for each length")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        run(arguments.one, arguments.objects, arguments.size)
        return
    kept, peaks = [], []
    print("frames  held, MB  peak, MB  s/frame  objects present")
    for frames in arguments.frames:
        command = [sys.executable, __file__, "--one", str(frames)]
        command += ["--objects", str(arguments.objects), "--size", str(arguments.size)]
        runs = []
        for _ in range(arguments.runs):
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            runs.append((float(out[1]), float(out[2])))
            print(f"{out[0]:>6s}  {out[1]:>8s}  {out[2]:>8s}  {out[3]:>7s}  {float(out[4]):>15.1%}", flush=True)
        kept.append(statistics.median(run[0] for run in runs))
        peaks.append(statistics.median(run[1] for run in runs))
    ratio = kept[-1] / kept[0]
    print(f"longest over shortest: {ratio:.3f} held, {peaks[-1] / peaks[0]:.3f} at the peak")
    if ratio > LIMIT:
        raise SystemExit(f"memory grows with the length of the movie: {ratio:.3f} is above {LIMIT}")


if __name__ == "__main__":
    main()
