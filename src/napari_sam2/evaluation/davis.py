"""Region similarity J and contour accuracy F, as DAVIS defines them.

Perazzi et al., *A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation*, CVPR 2016, section 5;
the measures of several objects as in Pont-Tuset et al., *The 2017 DAVIS Challenge*, 2017. Written from the papers.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.evaluation.overlap import check_shapes
from napari_sam2.io.label_movie import Labels

TOLERANCE = 0.008
"""Share of the image's diagonal by which a contour may be off."""


@dataclass(frozen=True, slots=True)
class DavisScores:
    """J and F of N objects on T frames, each 0 to 1.

    Attributes
    ----------
    region, contour : (T, N) float
        J and F. On frames on which an object neither is nor is found both are 1, as in DAVIS.
    """

    region: NDArray[np.float64]
    contour: NDArray[np.float64]

    @property
    def j(self) -> float:
        """Mean over the frames of each object, then over the objects."""
        return float(self.region.mean(0).mean())

    @property
    def f(self) -> float:
        """Mean over the frames of each object, then over the objects."""
        return float(self.contour.mean(0).mean())

    @property
    def j_and_f(self) -> float:
        """Mean of J and F."""
        return (self.j + self.f) / 2


def measure_davis(truth: Labels, labels: Labels, object_ids: list[int], *, leave_out_ends: bool = False) -> DavisScores:
    """J and F of each object on each frame.

    Parameters
    ----------
    truth, labels : (T, Y, X)
        Labels in which an object has the same ID.
    object_ids
        The objects to compare.
    leave_out_ends
        Leave out the first frame and the last, as the semi-supervised protocol of DAVIS does, in which the mask of the
        first frame is given. By default all frames count, for here a click is given, and what came of it is measured.

    Raises
    ------
    EvaluationError
        If the shapes differ, or no frame is left.
    """
    check_shapes(truth, labels, at_least=3 if leave_out_ends else 1)
    count = truth.shape[0]
    counted = range(1, count - 1) if leave_out_ends else range(count)
    region, contour = [], []
    for t, (true_frame, found_frame) in enumerate(zip(truth, labels, strict=True)):
        if t in counted:
            pairs = [(true_frame == i, found_frame == i) for i in object_ids]
            region.append([region_similarity(true, found) for true, found in pairs])
            contour.append([contour_accuracy(true, found) for true, found in pairs])
    return DavisScores(np.array(region, float), np.array(contour, float))


def region_similarity(truth: NDArray[np.bool_], found: NDArray[np.bool_]) -> float:
    """J, the intersection of two masks (Y, X) over their union; 1 if both are empty."""
    union = np.count_nonzero(truth | found)
    return np.count_nonzero(truth & found) / union if union else 1.0


def contour_accuracy(truth: NDArray[np.bool_], found: NDArray[np.bool_], *, tolerance: float = TOLERANCE) -> float:
    """F, the harmonic mean of precision and recall of the contour pixels of two masks (Y, X).

    A contour pixel counts as right if one of the other contour lies within a disc around it, whose radius is
    `tolerance` times the diagonal of the image, rounded up: what dilating the other contour by that disc comes to.
    1 if neither mask has a contour, 0 if only one has.
    """
    true_edge, found_edge = contour_pixels(truth), contour_pixels(found)
    if not true_edge.any() or not found_edge.any():
        return float(true_edge.any() == found_edge.any())
    radius = math.ceil(tolerance * math.hypot(*truth.shape))
    part = _bounds(true_edge | found_edge)
    true_edge, found_edge = true_edge[part], found_edge[part]
    precision = _share_near(found_edge, true_edge, radius)
    recall = _share_near(true_edge, found_edge, radius)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def contour_pixels(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels (Y, X) that differ from the one below, the one to the right, or the one below to the right.

    A contour one pixel wide; the border of the image is none.
    """
    edge = np.zeros(mask.shape, bool)
    edge[:-1] |= mask[:-1] != mask[1:]
    edge[:, :-1] |= mask[:, :-1] != mask[:, 1:]
    edge[:-1, :-1] |= mask[:-1, :-1] != mask[1:, 1:]
    return edge


def _share_near(pixels: NDArray[np.bool_], others: NDArray[np.bool_], radius: int) -> float:
    """Which share of some pixels has one of the others within a radius."""
    distance: NDArray[Any] = ndimage.distance_transform_edt(~others)
    return float((distance[pixels] <= radius).mean())


def _bounds(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    (part,) = ndimage.find_objects(mask.astype(np.uint8))
    rows, columns = part
    return rows, columns
