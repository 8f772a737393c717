"""Labels of one frame, from Cellpose, StarDist or an earlier result, as mask prompts."""

import os
import warnings
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.errors import EvaluationError, PromptError
from napari_sam2.io.label_files import open_labels, read_png
from napari_sam2.io.label_movie import LabelMovie
from napari_sam2.io.movies import LazyArray, TiffMovie
from napari_sam2.prompts import MAX_OBJECT_ID, MaskPrompt


def prompts_from_labels(
    labels: Any,
    frame: int,
    *,
    taken: Collection[int] = (),
    first_free: int | None = None,
    min_area: int = 1,
) -> list[MaskPrompt]:
    """Make a mask prompt of each object in the labels of one frame.

    Parameters
    ----------
    labels
        (Y, X) whole numbers or bool, as large as a frame, 0 for none; axes of length one are dropped. Or the path of a
        file with them: a TIFF, a PNG in gray levels or with a palette, an .npy file, a folder of results.
    frame
        The frame of the movie that they are of, from 0.
    taken
        Object IDs that are in use. An object keeps its label as its ID if that is free, and else gets a new one.
    first_free
        The first of the new IDs; by default one more than the highest of all.
    min_area
        Objects with fewer pixels are left out. Of an object in several pieces, pieces with fewer pixels are left out,
        too.

    Returns
    -------
    In the order of the labels.

    Raises
    ------
    PromptError
        If these are no labels of one frame, or nothing is left of them.

    Warns
    -----
    UserWarning
        If some objects are in several pieces: in most cases, two cells that have one label.

    Examples
    --------
    >>> labels = np.zeros((8, 8), int)
    >>> labels[:2, :2], labels[5:, 5:] = 1, 7
    >>> [(prompt.object_id, int(prompt.crop.sum())) for prompt in prompts_from_labels(labels, 0, taken=[7])]
    [(1, 4), (8, 9)]
    """
    plane = _plane(read_labels(labels, frame) if isinstance(labels, (str, os.PathLike)) else labels)
    values, numbers = _numbered(plane)
    high = max([0, *taken, *(int(v) for v in values)]) + 1 if first_free is None else first_free
    high = max(high, *(int(v) + 1 for v in values)) if len(values) else high
    if high > MAX_OBJECT_ID:
        raise PromptError(f"labels go up to {int(values[-1])}, and object IDs to {MAX_OBJECT_ID}: renumber them")
    used, prompts, scattered = set(taken), [], []
    for number, (value, place) in enumerate(zip(values, ndimage.find_objects(numbers), strict=True), start=1):
        mask, pieces = _without_crumbs(numbers[place] == number, min_area)
        if not mask.any():
            continue
        object_id = int(value)
        if object_id in used:
            object_id, high = high, high + 1
        used.add(object_id)
        scattered += [object_id] * (pieces > 1)
        offset = place[0].start, place[1].start
        prompts.append(MaskPrompt.of_crop(frame, object_id, mask, offset, plane.shape))
    if not prompts:
        raise PromptError(f"there is no object of at least {min_area} pixels in the labels: all the rest is 0")
    if scattered:
        warnings.warn(_in_pieces(scattered), stacklevel=2)
    return prompts


def read_labels(path: str | os.PathLike[str], frame: int) -> NDArray[Any]:
    """The labels (Y, X) of one frame in a file: a picture of one frame, or a stack, of which only the frame is read.

    Raises
    ------
    PromptError
        If there are none of this frame.
    """
    path = Path(path)
    try:
        if path.suffix.lower() == ".npy":
            # Without pickle: nothing in the file is executed.
            return _of_frame(np.load(path, mmap_mode="r", allow_pickle=False), frame, path)
        if path.suffix.lower() == ".png":
            return read_png(path)
        if path.is_dir():
            return _in_folder(open_labels(path, void=None), frame, path)
        with closing(TiffMovie(path)) as stack:
            return _of_frame(stack, frame, path)
    except PromptError:
        raise
    except (EvaluationError, OSError, ValueError) as error:
        raise PromptError(
            f"cannot read labels of frame {frame} from {path} ({error}): expected a TIFF, a PNG, an .npy file without "
            "objects in it, or a folder of results"
        ) from error


def _in_folder(movie: LabelMovie, frame: int, path: Path) -> NDArray[Any]:
    # One frame without a number, as `everything` writes it, is whichever one is asked for.
    numbers = movie.numbers if movie.numbered or len(movie) > 1 else (frame,)
    if frame not in numbers:
        raise PromptError(f"the labels in {path} are of {_listed(numbers)}, and there are none of frame {frame}")
    return np.asarray(movie.read(numbers.index(frame)))


def _listed(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"frame {numbers[0]}"
    if numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"the frames {numbers[0]} to {numbers[-1]}"
    shown = ", ".join(map(str, numbers[:5]))
    return f"{len(numbers)} frames, {shown}{', ...' * (len(numbers) > 5)}"


def _of_frame(labels: LazyArray, frame: int, path: Path) -> NDArray[Any]:
    count = labels.shape[0] if len(labels.shape) == 3 else 1
    if count == 1:
        return np.asarray(labels[()])
    if not 0 <= frame < count:
        raise PromptError(f"the labels in {path} are of {_listed(range(count))}, and there are none of frame {frame}")
    return np.asarray(labels[frame])


def _plane(labels: Any) -> NDArray[Any]:
    labels = np.asarray(labels)
    plane = labels.reshape([n for n in labels.shape if n != 1] if labels.ndim > 2 else labels.shape)
    if plane.ndim != 2 or plane.size == 0:
        raise PromptError(f"labels have the shape {labels.shape}, expected (Y, X): take those of one frame")
    if plane.dtype.kind == "f" and np.isfinite(plane).all() and (plane == np.round(plane)).all():
        plane = plane.astype(np.int64)
    if plane.dtype.kind not in "bui":
        raise PromptError(
            f"labels are of {plane.dtype}, expected whole numbers, one for each object: is this an image, or a "
            "probability?"
        )
    if plane.dtype.kind == "i" and int(plane.min()) < 0:
        raise PromptError(f"labels go down to {int(plane.min())}, expected 0 for none and numbers above it")
    numbers: NDArray[Any] = plane.astype(np.uint8) if plane.dtype == bool else plane
    return numbers


def _numbered(plane: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """The labels there are, rising, without 0; and the plane with their places in that, from 1."""
    if int(plane.max()) < plane.size:
        # Ten times as fast as sorting the pixels of a large frame.
        present = np.bincount(plane.reshape(-1)) > 0
        present[0] = False
        places = np.cumsum(present, dtype=np.int32) * present
        return np.flatnonzero(present), places[plane].astype(np.int32)
    values, compact = np.unique(plane, return_inverse=True)
    first = int(values[0] == 0)
    return values[first:], (compact.reshape(plane.shape) + 1 - first).astype(np.int32)


def _without_crumbs(mask: NDArray[np.bool_], min_area: int) -> tuple[NDArray[np.bool_], int]:
    """The pieces of a mask that are large enough, and how many there are."""
    pieces, count = ndimage.label(mask, structure=np.ones((3, 3)))
    areas = np.bincount(pieces.reshape(-1), minlength=count + 1)
    areas[0] = 0
    kept = areas >= max(min_area, 1)
    whole: NDArray[np.bool_] = kept[pieces]
    return whole, int(np.count_nonzero(kept))


def _in_pieces(object_ids: list[int]) -> str:
    shown = ", ".join(map(str, object_ids[:5])) + (", ..." if len(object_ids) > 5 else "")
    one = len(object_ids) == 1
    return (
        f"{'object' if one else 'objects'} {shown} {'is' if one else 'are'} in several pieces: if these are cells of "
        "their own, give each a label of its own"
    )
