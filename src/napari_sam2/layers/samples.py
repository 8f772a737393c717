"""Sample data for File > Open Sample."""

from typing import Any

import numpy as np


def sample_data() -> list[tuple[Any, dict[str, Any], str]]:
    """Return the sample movie of dividing cells as one image layer, (T, Y, X)."""
    from napari_sam2.synthetic import sample_movie

    frames = sample_movie().frames
    low, high = np.percentile(frames[0], (0.5, 99.9))
    return [
        (
            frames,
            {"name": "cells", "contrast_limits": (float(low), float(high)), "axis_labels": ("t", "y", "x")},
            "image",
        )
    ]
