"""Windows cut from one encoded frame against crops encoded one by one: as accurate, object by object?

    python tests/benchmarks/windows_accuracy.py [--data DATA] [--ways crops mosaic ...] [--max-objects 40] [--movies 5]

One click an object on the first frame, forward, no correction. Movies: dense synthetic ones, several of a kind and
their mean, since one object lost in one of them is two hundredths; and those of DATA (one folder a movie with `img.tif`
and `gt.tif`). Ways: `mosaic` as the session does it; `crops`, each object's window with
its surroundings encoded by itself; `wide` and `wide crops`, the same with windows as large as the model was trained on.
Printed: mean IoU on the first frame and over the movie, identity switches, seconds a frame.
"""

import argparse
import time
from collections import defaultdict
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import tifffile
import torch

from napari_sam2 import frame_encoder
from napari_sam2.evaluation.overlap import count_switches, measure_overlap, true_clicks
from napari_sam2.models import load_model
from napari_sam2.synthetic import MovieSpec, render_movie
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.video import Video
from sam2_torch.mosaic import cover

DENSE = {
    "synthetic yeast": MovieSpec(
        seed=401, num_frames=12, shape_yx=(512, 512), cell_kind="yeast", look="phase", diameter=36, num_cells=90,
        clustering=1.0, spacing=0.95,
    ),
    "synthetic nuclei": MovieSpec(
        seed=402, num_frames=12, shape_yx=(512, 512), cell_kind="nuclei", look="fluorescence", diameter=30,
        num_cells=110, clustering=0.8, spacing=0.95,
    ),
    "synthetic rods": MovieSpec(
        seed=403, num_frames=12, shape_yx=(512, 512), cell_kind="rods", look="phase", diameter=26, num_cells=110,
        clustering=1.0, spacing=0.95,
    ),
}  # fmt: skip
WAYS = ("crops", "mosaic", "wide crops", "wide")


def one_by_one(windows, shape_yx, **kwargs):
    """Each window's own region."""
    return list(dict.fromkeys(region for window in windows for region in cover([window], shape_yx, **kwargs)))


def kinds(data: Path | None, names: list[str] | None, num_movies: int):
    """By name, the movies of a kind as functions that give (frames, truth)."""
    for name, spec in DENSE.items():
        if names is None or name in names:
            yield name, [partial(rendered, replace(spec, seed=spec.seed + 1000 * i)) for i in range(num_movies)]
    for path in sorted(data.glob("*/img.tif")) if data else ():
        if names is None or path.parent.name in names:
            yield path.parent.name, [partial(recorded, path.parent)]


def rendered(spec: MovieSpec):
    movie = render_movie(spec)
    return movie.frames, movie.labels


def recorded(folder: Path):
    return tifffile.imread(folder / "img.tif"), tifffile.imread(folder / "gt.tif")


def follow(frames, truth, model, way: str, window_tokens: int, max_objects: int) -> tuple[float, ...]:
    """Objects, frames, mean IoU on the first frame and over the movie, identity switches, seconds a frame."""
    clicks = true_clicks(truth[0], max_objects=max_objects)
    ids = [click.object_id for click in clicks]
    side = model.config.image_size // 16 if "wide" in way else window_tokens
    model.config = replace(model.config, window_tokens=side)
    frame_encoder.cover = one_by_one if "crops" in way else cover
    session = TrackingSession(Video(frames), model)
    session.add_prompts(*clicks)
    started = time.perf_counter()
    labels = np.stack([session.labels(r.frame) for r in session.propagate("forward")])
    seconds = (time.perf_counter() - started) / len(labels)
    overlap, switches = measure_overlap(truth, labels, ids), count_switches(truth, labels, ids)
    return len(ids), len(labels), overlap.first_frame, overlap.movie, switches, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--names", nargs="+")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["crops", "mosaic"])
    parser.add_argument("--max-objects", type=int, default=40)
    parser.add_argument("--max-frames", type=int, default=30)
    parser.add_argument("--movies", type=int, default=5, help="synthetic movies of a kind")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default="cell")
    parser.add_argument("--tokens", type=int, help="side of the windows")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    model = load_model(given.model, device="cpu")
    window_tokens = given.tokens or model.config.window_tokens
    print("| movie | objects | frames | way | first | movie | switches | s a frame |\n" + "|---" * 8 + "|")
    for name, made in kinds(given.data, given.names, given.movies):
        results: dict[str, list[tuple[float, ...]]] = defaultdict(list)
        for make in made:
            frames, truth = (array[: given.max_frames] for array in make())
            for way in given.ways:
                results[way].append(follow(frames, truth, model, way, window_tokens, given.max_objects))
        for way, found in results.items():
            objects, num_frames, first, movie, switches, seconds = np.mean(found, 0)
            total = round(switches * len(found))
            each = ", ".join(f"{movie:.3f}" for *_, movie, _, _ in found)
            several = f" ({each})" if len(found) > 1 else ""
            print(
                f"| {name} | {objects:.0f} | {num_frames:.0f} | {way} | {first:.3f} | {movie:.3f}{several} | {total} "
                f"| {seconds:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
