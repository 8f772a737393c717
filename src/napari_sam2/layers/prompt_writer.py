"""Prompts that the plugin makes or removes, in the layers of prompts."""

from collections.abc import Collection, Sequence

import numpy as np
from napari.layers import Image, Points, Shapes

from napari_sam2.layers.prompt_reader import NEGATIVE, POSITIVE
from napari_sam2.layers.transforms import from_image_pixels
from napari_sam2.prompts import PointPrompt


def add_clicks(points_layer: Points, image_layer: Image, clicks: Sequence[PointPrompt]) -> None:
    """Add clicks as points, as if they had been made by hand; none of them is selected.

    Parameters
    ----------
    points_layer
        From `create_prompt_layer`. It is first told that points were added, and then what they are about.
    image_layer
        The movie.
    """
    if not clicks:
        return
    first, defaults = len(points_layer.data), points_layer.feature_defaults.copy()
    tyx = np.array([(click.frame, click.y, click.x) for click in clicks], dtype=np.float64)
    points_layer.add(from_image_pixels(tyx, points_layer, image_layer))
    points_layer.selected_data = set()
    features = points_layer.features.copy()
    features.loc[first:, "object_id"] = [click.object_id for click in clicks]
    features.loc[first:, "polarity"] = [POSITIVE if click.positive else NEGATIVE for click in clicks]
    points_layer.features = features
    # napari takes them from the last point.
    points_layer.feature_defaults = defaults


def remove_objects(layer: Points | Shapes, object_ids: Collection[int]) -> None:
    """Remove all points or shapes of some objects."""
    wanted = np.flatnonzero(layer.features["object_id"].isin(list(object_ids)).to_numpy())
    if wanted.size == 0:
        return
    if isinstance(layer, Points):
        layer.remove([int(index) for index in wanted])
    else:
        layer.selected_data = {int(index) for index in wanted}
        layer.remove_selected()
