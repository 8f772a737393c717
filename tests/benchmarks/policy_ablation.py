"""Which rules of following many cells earn their place.

    python tests/benchmarks/policy_ablation.py [--data DATA] [--rows ROW ...]

Each row changes one thing about the row it names; all follow up to 40 objects of each movie from one click, forward.
Movies: synthetic ones, dense, with cells that cross, leave and jump, and those of DATA (`img.tif`, `gt.tif`). Printed
for the synthetic and the real movies: mean IoU over the movie, share of objects followed to the end, identity switches;
and how many masks were named for review, with the share of these that are wrong (IoU below 0.5), against that of all.
"""

import argparse
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import tifffile
import torch
from windows_accuracy import DENSE

from napari_sam2.evaluation.overlap import count_switches, measure_overlap, true_clicks
from napari_sam2.memory_policy import CELLS, ORIGINAL, MemoryPolicy
from napari_sam2.models import load_model
from napari_sam2.propagation import Follower
from napari_sam2.sightings import Sighting
from napari_sam2.synthetic import MovieSpec, render_movie
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.video import Video

MORE = {
    "crossing": MovieSpec(
        seed=411, num_frames=20, shape_yx=(512, 512), cell_kind="nuclei", look="fluorescence", diameter=32,
        num_cells=60, contact="overlap", speed=0.35, persistence=0.8,
    ),
    "jumps": MovieSpec(
        seed=412, num_frames=16, shape_yx=(512, 512), cell_kind="amoeboid", look="dic", diameter=40, num_cells=40,
        speed=0.5, persistence=0.3, stage_jitter=0.15,
    ),
    "leaving": MovieSpec(
        seed=413, num_frames=24, shape_yx=(384, 384), cell_kind="nuclei", look="dark", diameter=30, num_cells=50,
        stage_drift=0.25, speed=0.1,
    ),
    "dividing": MovieSpec(
        seed=414, num_frames=24, shape_yx=(512, 512), cell_kind="rods", look="phase", diameter=26, num_cells=40,
        division_rate=0.04, growth=0.03,
    ),
}  # fmt: skip


def foreseeing(follower: Follower, sighting: Sighting) -> None:
    """Instead of `_move_on`: the window goes on as the object moved."""
    move_on(follower, sighting)
    followed, at = sighting.followed, sighting.seen.centroid
    known, before = PLACES.pop(id(followed), (followed, at))
    before = before if known is followed else at  # ids are used again
    if at is not None and not sighting.seen.is_lost:
        follower.look_at(followed, tuple(2 * now - then for now, then in zip(at, before, strict=True)))
        PLACES[id(followed)] = followed, at


move_on, PLACES = Follower._move_on, {}


@dataclass(frozen=True)
class Row:
    policy: MemoryPolicy
    patches: dict = field(default_factory=dict)


COMPETES = MemoryPolicy(competes=True)
ROWS = {
    "original, no second look": Row(ORIGINAL, {"_wider": lambda self, sighting: None}),
    "original, windows foresee motion": Row(ORIGINAL, {"_move_on": foreseeing}),
    "original": Row(ORIGINAL),
    "competition": Row(COMPETES),
    "competition, 3 recent frames": Row(CELLS),
    "competition, 1 recent frame": Row(replace(CELLS, max_recent=1)),
    "competition, score > 0": Row(replace(COMPETES, min_score=0.0)),
    "competition, predicted IoU > 0.5": Row(replace(COMPETES, min_iou=0.5)),
    "competition, jump < 1 diameter": Row(replace(COMPETES, max_jump=1.0)),
    "competition, area within 2": Row(replace(COMPETES, max_change=2.0)),
    "competition, 2 anchors": Row(replace(COMPETES, anchors=2, anchor_every=6)),
    "competition, jump, area, anchors": Row(replace(COMPETES, max_jump=1.0, max_change=2.0, anchors=2, anchor_every=6)),
}


@dataclass
class Tally:
    iou: list[float] = field(default_factory=list)
    followed: list[float] = field(default_factory=list)
    switches: int = 0
    doubtful: list[bool] = field(default_factory=list)
    wrong: list[bool] = field(default_factory=list)


def run(model, frames, truth, row: Row, tally: Tally, max_objects: int) -> None:
    clicks = true_clicks(truth[0], max_objects=max_objects)
    ids = [click.object_id for click in clicks]
    session = TrackingSession(Video(frames), model, memory_policy=row.policy)
    session.add_prompts(*clicks)
    labels, doubts = [], []
    for result in session.propagate("forward"):
        labels.append(session.labels(result.frame))
        doubts.append([object_id in result.doubtful for object_id in ids])
    labels = np.stack(labels)
    overlap = measure_overlap(truth, labels, ids)
    tally.iou.append(overlap.movie)
    tally.followed.append(overlap.followed)
    tally.switches += count_switches(truth, labels, ids)
    known = ~np.isnan(overlap.iou)
    tally.doubtful += np.array(doubts)[known].tolist()
    tally.wrong += (overlap.iou[known] < 0.5).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--max-objects", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    model = load_model("cell", device="cpu")
    made = [(m.frames, m.labels) for m in map(render_movie, (DENSE | MORE).values())]
    paths = sorted(given.data.glob("*/img.tif")) if given.data else []
    real = [(tifffile.imread(p)[:30], tifffile.imread(p.parent / "gt.tif")[:30]) for p in paths]
    print("| rules | synthetic: IoU | followed | switches | real: IoU | followed | switches | for review | wrong |")
    print("|---" * 9 + "|")
    for name in given.rows:
        row, tallies = ROWS[name], (Tally(), Tally())
        kept = {method: getattr(Follower, method) for method in row.patches}
        for method, patch in row.patches.items():
            setattr(Follower, method, patch)
        for tally, group in zip(tallies, (made, real), strict=True):
            for frames, truth in group:
                run(model, frames, truth, row, tally, given.max_objects)
        for method, original in kept.items():
            setattr(Follower, method, original)
        cells = [f"{np.mean(t.iou):.3f} | {np.mean(t.followed):.3f} | {t.switches}" for t in tallies if t.iou]
        doubtful = np.array(tallies[0].doubtful + tallies[1].doubtful, bool)
        wrong = np.array(tallies[0].wrong + tallies[1].wrong, bool)
        share = f"{wrong[doubtful].mean():.2f} ({wrong.mean():.2f})" if doubtful.any() else f"- ({wrong.mean():.2f})"
        print(f"| {name} | {' | '.join(cells)} | {doubtful.sum()} | {share} |", flush=True)


if __name__ == "__main__":
    main()
