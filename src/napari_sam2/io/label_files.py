"""Open labels in the layouts that people have, see docs/evaluation.md."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_sam2.errors import EvaluationError, MovieError
from napari_sam2.io.label_movie import LabelMovie
from napari_sam2.io.movies import TIFF_SUFFIXES, open_movie_file
from napari_sam2.io.run_lengths import open_sav_masklets
from napari_sam2.io.track_lines import TrackLine, read_track_lines

VOID = 255
"""In PNGs of data sets, pixels that are left out of account: here background."""

EXPECTED = (
    "a labels TIFF; a folder with labels.tif or gt.tif; a Cell Tracking Challenge folder (01_GT with TRA, or 01_RES); "
    "a folder of palette PNGs, one a frame; or an SA-V .json"
)


def open_labels(path: Path, *, void: int | None = VOID) -> LabelMovie:
    """Open labels, true or found; frames are read when they are asked for.

    A TIFF (T, Y, X); a folder with `labels.tif` (our results) or `gt.tif`; `NN_GT` or `NN_RES` of the Cell Tracking
    Challenge; a folder of palette PNGs as of DAVIS, YouTube-VOS, MOSE and LVOS; a folder of folders of PNGs, one an
    object, or a `.json`, as of SA-V. SA-V counts objects from 0, here their IDs are one more.

    Parameters
    ----------
    path
        Of the file or folder.
    void
        The number in PNGs of 8 bits that becomes background; None if it is an object like the others.

    Raises
    ------
    EvaluationError
        If it is none of these, or damaged.
    MissingExtraError
        For an SA-V `.json` without the extra that decodes it.
    """
    if not path.exists():
        raise EvaluationError(f"there are no labels at {path}: give {EXPECTED}")
    if path.is_file():
        if path.suffix.lower() == ".json":
            return open_sav_masklets(path)
        return _tiff_stack(path)
    for name in ("labels.tif", "gt.tif"):
        if (path / name).is_file():
            return replace(_tiff_stack(path / name), lines=_lines_in(path))
    if (path / "TRA").is_dir():
        return _ctc_truth(path)
    if masks := _numbered(path, TIFF_SUFFIXES):
        return replace(_files(path.name, masks, tifffile.imread), lines=_lines_in(path))
    if pictures := _numbered(path, (".png",)):
        return _files(path.name, pictures, partial(_read_without, void))
    if folders := sorted(f for f in path.iterdir() if f.is_dir() and re.fullmatch(r"\d{3}", f.name)):
        return _object_folders(path.name, folders)
    raise EvaluationError(f"there are no labels in the folder {path}: expected {EXPECTED}")


def read_png(path: Path) -> NDArray[Any]:
    """Read a PNG as (Y, X) labels: the numbers in it, not the colors that the palette gives them.

    Raises
    ------
    ValueError
        If it is in color.
    """
    with Image.open(path) as picture:
        if picture.mode not in ("P", "L", "1", "I;16", "I"):
            raise ValueError(f"the PNG is in color ({picture.mode}): expected a palette or gray levels that are labels")
        return np.asarray(picture)


def _read_without(void: int | None, path: Path) -> NDArray[Any]:
    labels = read_png(path)
    return labels if void is None or labels.dtype != np.uint8 else np.where(labels == void, 0, labels)


def _tiff_stack(path: Path) -> LabelMovie:
    try:
        stack = open_movie_file(path)
    except MovieError as exc:
        raise EvaluationError(f"cannot read the labels {path}: {exc}") from exc
    shape = tuple(stack.shape)
    if len(shape) != 3:
        raise EvaluationError(f"the labels {path} have the shape {shape}, expected (T, Y, X); save them as one stack")
    return LabelMovie(path.name, tuple(range(shape[0])), (shape[1], shape[2]), lambda k: np.asarray(stack[k]))


def _ctc_truth(folder: Path) -> LabelMovie:
    tracked = _numbered(folder / "TRA", TIFF_SUFFIXES)
    if not tracked:
        raise EvaluationError(f"{folder / 'TRA'} holds no TIFF: expected man_track000.tif and so on")
    truth = _files(folder.name, tracked, tifffile.imread)
    exact = _numbered(folder / "SEG", TIFF_SUFFIXES) if (folder / "SEG").is_dir() else {}
    segmentation = _files(f"{folder.name}/SEG", exact, tifffile.imread) if exact else None
    return replace(truth, lines=_lines_in(folder / "TRA"), segmentation=segmentation)


def _lines_in(folder: Path) -> tuple[TrackLine, ...] | None:
    for name in ("man_track.txt", "res_track.txt"):
        if (folder / name).is_file():
            return read_track_lines(folder / name)
    return None


def frame_number(path: Path) -> int | None:
    """The number that a file's name ends with; None if it ends with none."""
    number = re.search(r"(\d+)$", path.stem)
    return None if number is None else int(number[1])


def _numbered(folder: Path, suffixes: Sequence[str]) -> dict[int, Path]:
    """Files by the number that their names end with, in the order of the numbers."""
    found: dict[int, Path] = {}
    if not folder.is_dir():
        return found
    for path in sorted(folder.iterdir()):
        number = frame_number(path)
        if path.suffix.lower() not in suffixes or path.name.startswith(".") or number is None:
            continue
        if number in found:
            raise EvaluationError(
                f"{path} and {found[number].name} are both frame {number}: "
                "expected one 2D image a frame; volumes cannot be evaluated"
            )
        found[number] = path
    return dict(sorted(found.items()))


def _files(name: str, paths: dict[int, Path], read: Callable[[Path], NDArray[Any]]) -> LabelMovie:
    files = list(paths.values())
    try:
        shape = np.asarray(read(files[0])).shape
    except Exception as exc:
        raise EvaluationError(f"cannot read {files[0]}: {exc}") from exc
    if len(shape) != 2:
        raise EvaluationError(f"{files[0]} has the shape {shape}, expected (Y, X): volumes cannot be evaluated")
    return LabelMovie(name, tuple(paths), (shape[0], shape[1]), lambda k: read(files[k]), numbered=True)


def _object_folders(name: str, folders: list[Path]) -> LabelMovie:
    """A folder an object, in which any pixel that is not 0 belongs to it; where they overlap the smaller ID wins."""
    by_object = {int(folder.name) + 1: _numbered(folder, (".png",)) for folder in folders}
    numbers = sorted({number for paths in by_object.values() for number in paths})
    if not numbers:
        raise EvaluationError(f"the folders {folders[0]} and so on hold no PNG: expected one a frame")
    first = next(paths[numbers[0]] for paths in by_object.values() if numbers[0] in paths)
    with Image.open(first) as picture:
        shape = (picture.height, picture.width)

    def read(k: int) -> NDArray[Any]:
        labels = np.zeros(shape, np.int64)
        for object_id in sorted(by_object, reverse=True):
            if numbers[k] in by_object[object_id]:
                with Image.open(by_object[object_id][numbers[k]]) as mask:
                    labels[np.asarray(mask) > 0] = object_id
        return labels

    return LabelMovie(name, tuple(numbers), shape, read, numbered=True)
