"""Find all cells on one frame of movies with truth, without a click, and count what became of the true ones.

    python tests/benchmarks/segment_everything.py DATA [NAME ...] [--frames first|last|all] [--pictures FOLDER]

DATA holds one folder a movie with `img.tif` and `gt.tif`, frames without truth being all 0 or named in `meta.json`. The
first frame with truth is taken, or the last, or every one. All settings are the defaults, so the diameter is estimated
anew on each frame; seconds hold that, but not loading the model. Each true cell counts once: found (a mask has an IoU
above 0.5 with it), else split, merged or missed; false are masks that found nothing. `--pictures` draws each frame with
true outlines in green and those found in magenta, white where they agree.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from skimage.segmentation import find_boundaries

from napari_sam2.evaluation.counts import Counts, count_cells
from napari_sam2.found_objects import Everything
from napari_sam2.models import load_model
from napari_sam2.settings import EverythingSettings
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.video import Video

COLUMNS = ("cells", "found", "missed", "split", "merged", "false")


@dataclass(frozen=True)
class Row:
    frames: int
    counts: dict[str, int]
    iou: float
    diameters: tuple[float, float]
    seconds: float


def find(session: TrackingSession, frame: int, settings: EverythingSettings) -> Everything:
    search = session.everything(frame, settings=settings)
    while True:
        try:
            next(search)
        except StopIteration as end:
            return end.value


def with_truth(folder: Path, truth: np.ndarray, which: str) -> list[int]:
    """Frames whose truth is complete, as far as is known."""
    about = folder / "meta.json"
    without = set(json.loads(about.read_text()).get("frames_without_gt", [])) if about.exists() else set()
    frames = [t for t in range(len(truth)) if truth[t].any() and t not in without]
    return {"first": frames[:1], "last": frames[-1:], "all": frames}[which]


def run_movie(folder: Path, model, which: str, settings: EverythingSettings, diameter, pictures: Path | None) -> Row:
    truth, video = tifffile.imread(folder / "gt.tif"), Video.open(folder / "img.tif")
    frames = with_truth(folder, truth, which)
    results: list[Counts] = []
    diameters, true_diameters, seconds = [], [], 0.0
    for frame in frames:
        # A session each, so that nothing found before helps.
        session = TrackingSession(video, model, diameter=diameter)
        started = time.perf_counter()
        found = find(session, frame, settings)
        seconds += time.perf_counter() - started
        results.append(count_cells(truth[frame], found.labels()))
        diameters.append(found.diameter or np.nan)
        areas = np.bincount(truth[frame].ravel())[1:]
        true_diameters.append(2 * np.sqrt(np.median(areas[areas > 0]) / np.pi))
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            draw(pictures / f"{folder.name}_{frame}.png", video.frame(frame), truth[frame], found.labels())
    found_cells = sum(r.found for r in results)
    return Row(
        len(frames),
        {name: sum(getattr(r, name) for r in results) for name in COLUMNS},
        sum(r.iou * r.found for r in results if r.found) / max(1, found_cells),
        (float(np.mean(true_diameters)), float(np.nanmean(diameters))),
        seconds / len(frames),
    )


def draw(path: Path, image: np.ndarray, truth: np.ndarray, labels: np.ndarray) -> None:
    zoom = max(1, 1400 // max(truth.shape))

    def large(pixels: np.ndarray) -> np.ndarray:
        return pixels.repeat(zoom, axis=0).repeat(zoom, axis=1)

    picture = np.round(large(image) * 255).astype(np.uint8)
    true, found = (find_boundaries(large(x), mode="inner") for x in (truth, labels))
    picture[true], picture[found], picture[true & found] = (0, 220, 0), (255, 0, 255), (255, 255, 255)
    Image.fromarray(picture).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--frames", choices=("first", "last", "all"), default="first")
    parser.add_argument("--model", default="cell")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--diameter", type=float, help="pixels; estimated by default")
    parser.add_argument("--quality", type=float, default=EverythingSettings().quality)
    parser.add_argument("--pictures", type=Path)
    arguments = parser.parse_args()
    model, settings = (
        load_model(arguments.model, device=arguments.device),
        EverythingSettings(quality=arguments.quality),
    )
    names = arguments.names or sorted(p.parent.name for p in arguments.data.glob("*/img.tif"))
    print("| movie | frames | " + " | ".join(COLUMNS) + " | IoU of found | diameter true / used | s a frame |")
    print("|---" * (len(COLUMNS) + 5) + "|")
    totals = dict.fromkeys(COLUMNS, 0)
    for name in names:
        folder = arguments.data / name
        row = run_movie(folder, model, arguments.frames, settings, arguments.diameter, arguments.pictures)
        cells = " | ".join(str(row.counts[column]) for column in COLUMNS)
        sizes = " / ".join(f"{diameter:.0f}" for diameter in row.diameters)
        print(
            f"| {name} | {row.frames} | {cells} | {row.iou:.3f} | {sizes} | {row.seconds:.1f} |",
            flush=True,
        )
        totals = {column: totals[column] + row.counts[column] for column in COLUMNS}
    print("| **all** | | " + " | ".join(f"**{totals[column]}**" for column in COLUMNS) + " | | | |")


if __name__ == "__main__":
    main()
