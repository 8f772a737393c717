"""Sample data for File > Open Sample."""

from typing import Any


def sample_data() -> list[tuple[Any, dict[str, Any], str]]:
    """Return the sample movie of dividing cells as one image layer."""
    from napari_sam2.synthetic import sample_movie

    movie = sample_movie()
    return [(movie, {"name": "cells"}, "image")]
