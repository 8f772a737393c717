"""Overlap of masklets with true objects, and the clicks that such a comparison starts from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2.prompts import PointPrompt


@dataclass(frozen=True, slots=True)
class Overlap:
    """IoU of N objects on T frames.

    Attributes
    ----------
    iou : (T, N) float
        NaN where the true object is not there.
    """

    iou: NDArray[np.float64]

    @property
    def first_frame(self) -> float:
        """Mean IoU over the objects on the first frame."""
        return float(np.nanmean(self.iou[0]))

    @property
    def movie(self) -> float:
        """Mean IoU over all objects and frames."""
        return float(np.nanmean(self.iou))

    @property
    def followed(self) -> float:
        """Share of objects with IoU above 0.5 on the last frame on which they are there."""
        last = [column[~np.isnan(column)][-1] for column in self.iou.T]
        return float(np.mean(np.array(last) > 0.5))


def measure_overlap(truth: NDArray[np.integer], labels: NDArray[np.integer], object_ids: list[int]) -> Overlap:
    """IoU of each object's true and found mask.

    Parameters
    ----------
    truth, labels : (T, Y, X)
        Label images in which an object has the same ID.
    object_ids
        The objects to compare.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if truth.shape != labels.shape:
        raise ValueError(f"truth has the shape {truth.shape}, labels {labels.shape}; they must be of the same movie")
    iou = np.full((len(truth), len(object_ids)), np.nan)
    for t, (true_frame, found_frame) in enumerate(zip(truth, labels, strict=True)):
        for column, object_id in enumerate(object_ids):
            true, found = true_frame == object_id, found_frame == object_id
            if true.any():
                iou[t, column] = (true & found).sum() / (true | found).sum()
    return Overlap(iou)


def true_clicks(
    labels: NDArray[np.integer], *, frame: int = 0, min_area: int = 12, max_objects: int | None = None
) -> list[PointPrompt]:
    """One click on the deepest pixel of each object of a label frame (Y, X), IDs as in the labels."""
    ids, areas = np.unique(labels, return_counts=True)
    ids = ids[(ids > 0) & (areas >= min_area)]
    if max_objects is not None and len(ids) > max_objects:
        ids = ids[np.linspace(0, len(ids) - 1, max_objects).astype(int)]
    return [PointPrompt.inside(labels == i, frame=frame, object_id=int(i)) for i in ids]


def count_switches(truth: NDArray[np.integer], labels: NDArray[np.integer], object_ids: list[int]) -> int:
    """How often an object's mask changes over to another cell.

    Its mask covers more of another true object than of its own, and covered most of its own on the frame before.
    Arguments and errors as of `measure_overlap`; `truth` should hold all objects, not only those that are followed.
    """
    if truth.shape != labels.shape:
        raise ValueError(f"truth has the shape {truth.shape}, labels {labels.shape}; they must be of the same movie")
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
