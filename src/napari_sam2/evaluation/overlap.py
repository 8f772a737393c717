"""Overlap of masklets with true objects, and the clicks that such a comparison starts from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2.errors import EvaluationError
from napari_sam2.io.label_movie import Labels
from napari_sam2.prompts import PointPrompt


@dataclass(frozen=True, slots=True)
class Overlap:
    """IoU of N objects on T frames.

    Attributes
    ----------
    iou : (T, N) float
        NaN where the true object is not there.
    shown : (T, N) bool
        Where there is a mask of it.
    """

    iou: NDArray[np.float64]
    shown: NDArray[np.bool_]

    @property
    def first_frame(self) -> float:
        """Mean IoU over the objects on the first frame; NaN if none is there."""
        there = self.iou[0][~np.isnan(self.iou[0])]
        return float(there.mean()) if there.size else float("nan")

    @property
    def movie(self) -> float:
        """Mean IoU over all objects and frames."""
        return float(np.nanmean(self.iou))

    @property
    def followed(self) -> float:
        """Share of objects with IoU above 0.5 on the last frame on which they are there."""
        last = [column[~np.isnan(column)][-1] for column in self.iou.T if not np.isnan(column).all()]
        return float(np.mean(np.array(last) > 0.5))

    @property
    def false_masks(self) -> float:
        """Share of the frames on which an object is not there that have a mask of it; NaN if all always are."""
        absent = np.isnan(self.iou)
        return float(self.shown[absent].mean()) if absent.any() else float("nan")


def measure_overlap(truth: Labels, labels: Labels, object_ids: list[int]) -> Overlap:
    """IoU of each object's true and found mask.

    Parameters
    ----------
    truth, labels : (T, Y, X)
        Labels in which an object has the same ID.
    object_ids
        The objects to compare.

    Raises
    ------
    EvaluationError
        If the shapes differ.
    """
    check_shapes(truth, labels)
    rows = [frame_overlap(*pair, object_ids) for pair in zip(truth, labels, strict=True)]
    return Overlap(np.stack([iou for iou, _ in rows]), np.stack([shown for _, shown in rows]))


def frame_overlap(
    truth: NDArray[np.integer], labels: NDArray[np.integer], object_ids: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """IoU (N,) of objects on a frame (Y, X), NaN where they are not there, and which have a mask (N,)."""
    iou, shown = np.full(len(object_ids), np.nan), np.zeros(len(object_ids), bool)
    for column, object_id in enumerate(object_ids):
        true, found = truth == object_id, labels == object_id
        shown[column] = found.any()
        if true.any():
            iou[column] = (true & found).sum() / (true | found).sum()
    return iou, shown


def check_shapes(truth: Labels, labels: Labels, *, at_least: int = 1) -> None:
    """Refuse labels that are not of the same movie (T, Y, X), or of fewer frames than it takes.

    Raises
    ------
    EvaluationError
        See above.
    """
    if tuple(truth.shape) != tuple(labels.shape):
        raise EvaluationError(
            f"truth has the shape {tuple(truth.shape)}, labels {tuple(labels.shape)}; they must be of the same movie"
        )
    if truth.shape[0] < at_least:
        raise EvaluationError(f"there are {truth.shape[0]} frames to compare, expected {at_least} or more")


def true_clicks(
    labels: NDArray[np.integer], *, frame: int = 0, min_area: int = 12, max_objects: int | None = None
) -> list[PointPrompt]:
    """One click on the deepest pixel of each object of a label frame (Y, X), IDs as in the labels."""
    from scipy import ndimage

    ids, numbers, areas = np.unique(labels, return_inverse=True, return_counts=True)
    boxes = ndimage.find_objects(numbers.reshape(labels.shape) + 1)
    chosen = np.flatnonzero((ids > 0) & (areas >= min_area))
    if max_objects is not None and len(chosen) > max_objects:
        chosen = chosen[np.linspace(0, len(chosen) - 1, max_objects).astype(int)]
    clicks = []
    for object_id, box in ((int(ids[i]), boxes[i]) for i in chosen):
        mask, offset = labels[box] == object_id, (box[0].start, box[1].start)
        clicks.append(PointPrompt.inside(mask, frame=frame, object_id=object_id, offset=offset))
    return clicks


def count_switches(truth: Labels, labels: Labels, object_ids: list[int]) -> int:
    """How often an object's mask changes over to another cell.

    Its mask covers more of another true object than of its own, and covered most of its own on the frame before.
    Arguments and errors as of `measure_overlap`; `truth` should hold all objects, not only those that are followed.
    """
    check_shapes(truth, labels)
    switches, was_right = 0, dict.fromkeys(object_ids, False)
    for true_frame, found_frame in zip(truth, labels, strict=True):
        for object_id in object_ids:
            under = true_frame[found_frame == object_id]
            ids, areas = np.unique(under[under > 0], return_counts=True)
            if not len(ids):
                was_right[object_id] = False
                continue
            own = int(areas[ids == object_id].sum())
            is_right = own == areas.max()
            switches += was_right[object_id] and not is_right
            was_right[object_id] = bool(is_right)
    return switches
