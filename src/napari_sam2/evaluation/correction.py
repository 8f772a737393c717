"""The click that a user would correct a mask with."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.prompts import PointPrompt


def corrective_click(
    truth: NDArray[np.bool_], found: NDArray[np.bool_], *, frame: int, object_id: int
) -> PointPrompt | None:
    """A click at the center of the error region of a mask; None if there is no error.

    The center is the pixel that is deepest inside what is missing, or inside what is too much, whichever is deeper:
    a positive click there, or a negative one. Ravi et al., *SAM 2*, 2024, evaluate with clicks at the center of the
    error region; training draws clicks at random instead (`training.clicks`).

    Parameters
    ----------
    truth, found : (Y, X) bool
        The true mask, and the one to correct; empty if there is none.
    """
    missing, excess = truth & ~found, found & ~truth
    depths = [_depth(region) for region in (missing, excess)]
    if not any(depths):
        return None
    positive = depths[0] >= depths[1]
    point = PointPrompt.inside(missing if positive else excess, frame=frame, object_id=object_id)
    return PointPrompt(frame, object_id, point.y, point.x, positive)


def _depth(region: NDArray[np.bool_]) -> float:
    """Distance of the deepest pixel from the outside; 0 for an empty region."""
    return float(ndimage.distance_transform_edt(np.pad(region, 1)).max())
