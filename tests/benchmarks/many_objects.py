"""Time and memory against the number of objects and the size of the frame, and where the time goes.

    python tests/benchmarks/many_objects.py [--objects 1 10 100 500] [--sizes 512 1024 2048 4096] [--theirs 1 5 20]
    python tests/benchmarks/many_objects.py --model sam2.1-tiny --objects 1 10 100 --sizes 1024
    python tests/benchmarks/many_objects.py --figure FILE.svg --read FIGURES.json

A synthetic movie of nuclei is laid side by side until the frame is full. Each row is a fresh process: one click an
object, forward, the diameter given; seconds are medians over frames on which memories are full. `sam2.1-tiny` is SAM
2.1 tiny with filled weights, shown windows. `--theirs` times transformers' SAM 2.1 tiny on 1024 x 1024 frames with so
many objects, and draws a line through these for more: an object costs it as much as the one before.
"""

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

SPEC: dict[str, Any] = {
    "seed": 77, "shape_yx": (512, 512), "cell_kind": "nuclei", "look": "fluorescence", "diameter": 36.0,
    "num_cells": 45, "dtype": "uint16",
}  # fmt: skip
FULL = 8
"""Frames until memories are full."""
STATUS = Path("/proc/self/status")


class Tiled:
    """A movie (T, Y, X) laid side by side until frames are `size` wide; a frame is made when it is asked for."""

    def __init__(self, movie: np.ndarray, size: int) -> None:
        self.movie, self.repeat = movie, -(-size // movie.shape[1])
        self.shape, self.dtype = (len(movie), size, size), movie.dtype

    def __getitem__(self, t: int) -> np.ndarray:
        return np.tile(self.movie[t], (self.repeat, self.repeat))[: self.shape[1], : self.shape[2]]


class Shares:
    """Seconds that some functions take, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def watch(self, owner: Any, function: str, name: str) -> None:
        real = getattr(owner, function)

        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return real(*args, **kwargs)
            finally:
                self.seconds[name] += time.perf_counter() - started

        setattr(owner, function, timed)


def watched() -> Shares:
    from napari_sam2 import frame_encoder, propagation, visits
    from sam2_torch import video_predictor

    shares = Shares()
    shares.watch(frame_encoder.FrameEncoder, "_images", "reading")
    shares.watch(frame_encoder, "encode_frame", "encoding")
    shares.watch(video_predictor, "condition_on_memory", "memory attention")
    shares.watch(video_predictor, "decode", "decoder")
    shares.watch(propagation, "memorize", "memory encoder")
    shares.watch(visits, "resolve_overlaps", "overlaps")
    return shares


def one(model_name: str, precision: str, objects: int, size: int, frames: int, threads: int) -> dict[str, Any]:
    """Follow so many objects through one movie, in this process."""
    from napari_sam2.evaluation.overlap import true_clicks
    from napari_sam2.models import load_model
    from napari_sam2.synthetic import MovieSpec, render_movie
    from napari_sam2.tracking_session import TrackingSession
    from napari_sam2.video import Video

    torch.set_num_threads(threads)
    made = render_movie(MovieSpec(num_frames=frames, **SPEC))
    labels = Tiled(made.labels, size)[0].astype(np.uint32)
    rows, columns = np.indices(labels.shape) // SPEC["shape_yx"][0]
    labels = np.where(labels > 0, labels + 1000 * (rows * 100 + columns), 0)
    clicks = true_clicks(labels, min_area=300)
    clicks = [clicks[i] for i in np.linspace(0, len(clicks) - 1, min(objects, len(clicks))).astype(int)]
    if len(clicks) < objects:
        raise SystemExit(f"only {len(clicks)} cells in a frame of {size}")
    model = load_model("cell", device="cpu", precision=precision) if model_name == "cell" else _tiny(precision)
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here on
    session = TrackingSession(Video(Tiled(made.frames, size)), model, diameter=SPEC["diameter"])
    session.add_prompts(*clicks)
    shares, seconds, masks = watched(), [], 0
    run = session.propagate("forward")
    started = time.perf_counter()
    next(run)
    first = time.perf_counter() - started
    for t in range(1, frames):
        if t == min(FULL, frames - 1):
            shares.seconds.clear()
            seconds.clear()
        started = time.perf_counter()
        masks = len(next(run).masks)
        seconds.append(time.perf_counter() - started)
    parts = {name: s / len(seconds) for name, s in shares.seconds.items()}
    return {
        "model": model_name,
        "precision": precision,
        "objects": objects,
        "size": size,
        "first": first,
        "seconds": median(seconds),
        "parts": parts | {"rest": sum(seconds) / len(seconds) - sum(parts.values())},
        "megabytes": _resident("VmHWM") - before,
        "process": _resident("VmHWM"),
        "found": masks,
    }


def _tiny(precision: str) -> Any:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from parity.networks import filled_and_present
    from sam2_torch.config import TINY, windowed

    model = filled_and_present(TINY)
    model.config = windowed(model.config)
    if precision == "bfloat16":
        model.use_bfloat16()
    return model


def theirs(objects: int, frames: int, threads: int) -> dict[str, Any]:
    """Transformers' SAM 2.1 tiny in float32, filled weights, 1024 x 1024, memories full."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from benchmarks.contestants import Textures, Theirs, clicks, normalized
    from parity.networks import filled_and_present
    from parity.twin import video_twin
    from sam2_torch.config import TINY

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    model = filled_and_present(TINY)
    movie = Textures(frames, 1024)
    contestant = Theirs("transformers", video_twin(model, 1024, plain=True), normalized(movie, model, torch.float32))
    contestant.start(clicks(objects, 1024))
    seconds, started = [], time.perf_counter()
    for _ in contestant.frames():
        seconds.append(time.perf_counter() - started)
        started = time.perf_counter()
    full = seconds[min(FULL, frames - 1) :]
    return {"model": "transformers", "objects": objects, "size": 1024, "seconds": median(full)}


def _resident(name: str) -> float:
    """Megabytes of VmRSS (now) or VmHWM (peak)."""
    line = next(x for x in STATUS.read_text().splitlines() if x.startswith(name))
    return int(line.split()[1]) / 1024


def row(found: dict[str, Any]) -> str:
    parts = ", ".join(f"{name} {s:.3f}" for name, s in found.get("parts", {}).items())
    return (
        f"| {found['model']} {found.get('precision', '')} | {found['size']} | {found['objects']} "
        f"| {found['seconds']:.3f} | {found.get('megabytes', float('nan')):.0f} | {parts} |"
    )


def extrapolated(found: list[dict[str, Any]], objects: int) -> float:
    """Seconds of transformers for more objects than were timed, on the line through those that were."""
    known = [(f["objects"], f["seconds"]) for f in found if f["model"] == "transformers"]
    slope, start = np.polyfit(*zip(*known, strict=True), 1)
    return float(start + slope * objects)


def draw(found: list[dict[str, Any]], path: Path) -> None:
    """Seconds a frame against the number of objects, 1024 x 1024."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4))
    for model, precision in dict.fromkeys((f["model"], f.get("precision", "")) for f in found):
        rows = [f for f in found if (f["model"], f.get("precision", "")) == (model, precision) and f["size"] == 1024]
        rows.sort(key=lambda f: f["objects"])
        axes.plot(
            [f["objects"] for f in rows], [f["seconds"] for f in rows], "o-", label=f"{model} {precision}".strip()
        )
    if any(f["model"] == "transformers" for f in found):
        more = np.array([1, 10, 100, 500])
        axes.plot(more, [extrapolated(found, n) for n in more], ":", color="gray", label="transformers, extrapolated")
    axes.set(xscale="log", yscale="log", xlabel="objects", ylabel="seconds a frame, 1024 x 1024, two CPU cores")
    axes.grid(alpha=0.3, which="both")
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("cell", "sam2.1-tiny"), default="cell")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 10, 100, 500])
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024, 2048, 4096])
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--theirs", type=int, nargs="*", default=[])
    parser.add_argument("--out", type=Path, help="add the figures to a JSON file")
    parser.add_argument("--figure", type=Path, help="draw the figures of --read; needs matplotlib")
    parser.add_argument("--read", type=Path)
    parser.add_argument("--one", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.figure:
        draw(json.loads(given.read.read_text()), given.figure)
        return
    if given.one:
        n, size = given.objects[0], given.sizes[0]
        ours = (given.model, given.precision, n, size, given.frames, given.threads)
        print(json.dumps(one(*ours) if given.one == "ours" else theirs(n, given.frames, given.threads)))
        return
    found = json.loads(given.out.read_text()) if given.out and given.out.is_file() else []
    wanted = [("ours", n, size) for size in given.sizes for n in given.objects]
    wanted += [("theirs", n, 1024) for n in given.theirs]
    print("| model | frame | objects | s a frame | MB above the model | of which, s |\n|---|---|---|---|---|---|")
    for side, objects, size in wanted:
        command = [sys.executable, __file__, "--one", side, "--objects", str(objects), "--sizes", str(size)]
        command += ["--model", given.model, "--precision", given.precision, "--frames", str(given.frames)]
        done = subprocess.run([*command, "--threads", str(given.threads)], stdout=subprocess.PIPE, check=False)
        if done.returncode:
            continue  # the frame is too small for so many cells; it said so
        found.append(json.loads(done.stdout.splitlines()[-1]))
        print(row(found[-1]), flush=True)
        if given.out:
            given.out.write_text(json.dumps(found, indent=1))
    for f in [f for f in found if f["model"] == "transformers"][:1] and [f for f in found if f["size"] == 1024]:
        if f["model"] != "transformers":
            times, who = extrapolated(found, f["objects"]) / f["seconds"], f"{f['model']} {f['precision']}"
            print(f"{f['objects']} objects, {who}: transformers takes {times:.0f} times as long")


if __name__ == "__main__":
    main()
