"""Find the movies of a data set with their truth, and the results that belong to them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_sam2.errors import EvaluationError
from napari_sam2.io.label_files import EXPECTED

FRAMES, TRUTHS = "JPEGImages", "Annotations"
DATA_SETS = (
    "folders with img.tif and gt.tif; Cell Tracking Challenge folders (01 and 01_GT); or JPEGImages and Annotations"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One movie of a data set: its name, where its frames are (None if they are not there), and its truth."""

    name: str
    movie: Path | None
    truth: Path


def find_entries(root: Path, names: Sequence[str] = ()) -> list[Entry]:
    """Find the movies of a data set, by default all, sorted by name.

    One movie: a folder with `gt.tif` and, if it is to be tracked, `img.tif`; or whatever `open_labels` takes. Several:
    a folder of such folders; `01` with `01_GT`, `02` with `02_GT`; or `JPEGImages` with `Annotations`, each with a
    folder a movie, perhaps below one folder for the resolution.

    Raises
    ------
    EvaluationError
        If there are none, or not those that are named.
    """
    if not root.exists():
        raise EvaluationError(f"there is no {root}: expected {DATA_SETS}")
    found = {entry.name: entry for entry in _entries(root)}
    if strangers := [name for name in names if name not in found]:
        raise EvaluationError(f"there is no movie {strangers[0]!r} in {root}: it has {', '.join(found) or 'none'}")
    if not found:
        raise EvaluationError(f"there is no movie with truth in {root}: expected {DATA_SETS}; or {EXPECTED}")
    return [found[name] for name in sorted(names or found)]


def result_of(results: Path, entry: Entry, *, alone: bool) -> Path:
    """Where the results on a movie are: `results/NAME`, of `01_GT` `results/01_RES`; of a movie alone, `results`.

    Raises
    ------
    EvaluationError
        If they are not there.
    """
    places = [results / f"{entry.name}_RES", results / entry.name, *([results] if alone else [])]
    for place in places:
        if place.exists():
            return place
    raise EvaluationError(
        f"there are no results on the movie {entry.name}: expected "
        + (f"{results}" if alone else f"{places[1]}; or give the truth of one movie")
    )


def _entries(root: Path) -> list[Entry]:
    if root.is_file() or (root / "gt.tif").is_file() or (root / "TRA").is_dir():
        return [_single(root)]
    annotations = sorted(root.glob(f"{TRUTHS}*"))
    if annotations:
        return _pictures(root, annotations[0])
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir())
    challenge = [f for f in folders if re.fullmatch(r"\d\d_GT", f.name) and (f / "TRA").is_dir()]
    if challenge:
        return [_single(folder) for folder in challenge]
    several = [_single(folder) for folder in folders if (folder / "gt.tif").is_file()]
    labels = any(re.search(r"\.(tif|tiff|png)$", path.name, re.I) for path in root.iterdir())
    objects = any(re.fullmatch(r"\d{3}", folder.name) for folder in folders)
    return several or ([_single(root)] if labels or objects else [])


def _single(truth: Path) -> Entry:
    """The movie beside a truth, if it is there."""
    if truth.is_file():
        return Entry(truth.stem, None, truth)
    if truth.name.endswith("_GT"):
        sequence = truth.with_name(truth.name.removesuffix("_GT"))
        return Entry(sequence.name, sequence if sequence.is_dir() else None, truth)
    movie = truth / "img.tif"
    return Entry(truth.name, movie if movie.is_file() else None, truth)


def _pictures(root: Path, annotations: Path) -> list[Entry]:
    truths = _movie_folders(annotations)
    frames: dict[str, Path] = {}
    for pictures in sorted(root.glob(f"{FRAMES}*")):
        frames |= _movie_folders(pictures)
    return [Entry(name, frames.get(name), truth) for name, truth in truths.items()]


def _movie_folders(folder: Path) -> dict[str, Path]:
    """Folders of movies by name; DAVIS has a folder for the resolution between, such as 480p."""
    inside = sorted(child for child in folder.iterdir() if child.is_dir())
    if len(inside) == 1 and re.fullmatch(r"\d+p|Full-Resolution", inside[0].name):
        inside = sorted(child for child in inside[0].iterdir() if child.is_dir())
    return {child.name: child for child in inside}
