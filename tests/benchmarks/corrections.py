"""What a correcting click is worth on the frames after it, with and without the memories of the frames before it.

    python tests/benchmarks/corrections.py DATA [NAME ...] [--model cell] [--max-objects 20] [--max-frames 30]

DATA holds one folder a movie with `img.tif` and `gt.tif`. Each object gets a click on the first frame and is tracked
forward. An object that is lost (IoU below 0.5) gets one more click, on the first frame on which it is, and is tracked
on from there. A control: objects that are not lost get a click on frame 8 that only confirms. Printed is the mean IoU
of the `AFTER` frames after that click, with `restart_at_prompts` off and on.
"""

import argparse
from pathlib import Path

import numpy as np
import tifffile

import napari_sam2
from napari_sam2.evaluation.davis import region_similarity
from napari_sam2.evaluation.overlap import true_clicks
from napari_sam2.prompts import PointPrompt
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.video import Video

AFTER, CONTROL, LOST = 8, 8, 0.5


def ious(session: TrackingSession, object_id: int, truth: np.ndarray) -> list[float]:
    """By frame; NaN where the object is not there in truth."""
    found = []
    for t, labels in enumerate(truth):
        true, shown = labels == object_id, np.zeros(labels.shape, np.uint8)
        if object_id in session.masklets and t in session.masklets[object_id]:
            session.masklets[object_id][t].paint(shown, 1)
        found.append(region_similarity(true, shown > 0) if true.any() else float("nan"))
    return found


def measure(folder: Path, model: object, max_objects: int, max_frames: int) -> None:
    movie = tifffile.imread(folder / "img.tif")[:max_frames]
    truth = tifffile.imread(folder / "gt.tif")[:max_frames]
    clicks = true_clicks(truth[0], max_objects=max_objects)
    rows: dict[str, list[float]] = {}
    for restart in (False, True):
        session = TrackingSession(Video(movie), model, restart_at_prompts=restart)
        session.set_prompts(clicks)
        for _ in session.propagate("forward"):
            pass
        for click in clicks:
            before = np.array(ious(session, click.object_id, truth))
            lost = np.flatnonzero(before < LOST)
            kind, at = ("lost", int(lost[0])) if len(lost) else ("confirmed", CONTROL)
            if at == 0 or at + 1 >= len(truth) or not (truth[at] == click.object_id).any():
                continue
            (there,) = [c for c in true_clicks(truth[at], frame=at) if c.object_id == click.object_id]
            session.add_prompts(PointPrompt(at, click.object_id, there.y, there.x))
            session.segment(at, click.object_id)
            for _ in session.propagate("forward", object_ids=[click.object_id], first=at, last=at + AFTER):
                pass
            after = np.array(ious(session, click.object_id, truth))[at : at + AFTER + 1]
            rows.setdefault(f"{kind}, before", []).append(np.nanmean(before[at + 1 : at + AFTER + 1]))
            rows.setdefault(f"{kind}, on the frame, restart {restart}", []).append(after[0])
            rows.setdefault(f"{kind}, after, restart {restart}", []).append(np.nanmean(after[1:]))
    for name, values in sorted(rows.items()):
        print(f"{folder.name:20s} {name:40s} {np.nanmean(values):.3f}  n = {len(values)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--model", default="cell")
    parser.add_argument("--max-objects", type=int, default=20)
    parser.add_argument("--max-frames", type=int, default=30)
    arguments = parser.parse_args()
    model = napari_sam2.load_model(arguments.model, device="cpu")
    for name in arguments.names or sorted(folder.name for folder in arguments.data.iterdir()):
        measure(arguments.data / name, model, arguments.max_objects, arguments.max_frames)


if __name__ == "__main__":
    main()
