"""The Points layer whose clicks are prompts."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from napari.layers import Image, Points

from napari_sam2.errors import PromptError
from napari_sam2.layers.transforms import carried_over, movie_shape, to_image_pixels
from napari_sam2.prompts import MAX_OBJECT_ID, PointPrompt, nearest_frame

POSITIVE, NEGATIVE = "positive", "negative"
COLORS = {POSITIVE: "limegreen", NEGATIVE: "red"}


def create_prompt_layer(image_layer: Image, name: str = "point_prompts") -> Points:
    """Return an empty Points layer over the image, with the features `object_id` and `polarity`.

    Points are green if positive and red if negative, and carry the ID of their object as text.

    Raises
    ------
    MovieError
        If the image layer is no movie.
    """
    _, height, width = movie_shape(image_layer)
    layer = Points(
        np.empty((0, image_layer.ndim)),
        ndim=image_layer.ndim,
        name=name,
        features=_features([], []),
        feature_defaults=prompt_defaults(1, positive=True),
        face_color="polarity",
        face_color_cycle=COLORS,
        border_color="white",
        border_width=0.15,
        size=min(max(min(height, width) / 50, 3), 25),
        text={"string": "{object_id}", "size": 9, "color": "white", "anchor": "upper_left"},
        **carried_over(image_layer),
    )
    return layer


def prompt_defaults(object_id: int, *, positive: bool) -> pd.DataFrame:
    """Return the features of the next click, as `Points.feature_defaults` takes them."""
    return _features([object_id], [POSITIVE if positive else NEGATIVE])


def read_prompts(
    points_layer: Points, image_layer: Image, *, on_ignored: Callable[[str], None] | None = None
) -> list[PointPrompt]:
    """Read the points as prompts, in pixels of the image; a point's frame is its own t, rounded.

    Parameters
    ----------
    points_layer
        Points with t, y, x as their last axes and the features `object_id` and `polarity` (all positive without it).
    image_layer
        The movie. Both layers may have transforms of their own.
    on_ignored
        Told once, in a sentence, if points were left out: outside the movie, NaN, or without a usable object ID.

    Raises
    ------
    PromptError
        If the layer has no time axis or no `object_id`.
    """
    rows = read_rows(points_layer, image_layer)
    prompts = [prompt for prompt in rows if prompt is not None]
    ignored = len(rows) - len(prompts)
    if ignored and on_ignored is not None:
        on_ignored(
            f"{ignored} {'point' if ignored == 1 else 'points'} of '{points_layer.name}' ignored: outside the movie, "
            "or without an object ID of 1 or more. Move or delete what should not be there."
        )
    return prompts


def read_rows(points_layer: Points, image_layer: Image) -> list[PointPrompt | None]:
    """Read each point as a prompt, None for those that are none. For the rest see `read_prompts`."""
    if len(points_layer.data) == 0:
        return []
    features = points_layer.features
    if points_layer.ndim < 3 or "object_id" not in features:
        raise PromptError(
            f"layer '{points_layer.name}' has {points_layer.ndim} axes and the features {list(features)}, expected "
            "points t, y, x with the features 'object_id' and 'polarity': click in the layer that the plugin makes"
        )
    polarity = features["polarity"] if "polarity" in features else [POSITIVE] * len(features)
    tyx = to_image_pixels(points_layer.data, points_layer, image_layer)
    shape = movie_shape(image_layer)
    prompts: list[PointPrompt | None] = []
    for (t, y, x), object_id, sign in zip(tyx.tolist(), features["object_id"], polarity, strict=True):
        if _is_inside((t, y, x), shape) and _is_object_id(object_id):
            prompts.append(PointPrompt(nearest_frame(t), int(object_id), y, x, positive=str(sign) != NEGATIVE))
        else:
            prompts.append(None)
    return prompts


def _is_inside(tyx: tuple[float, float, float], shape: tuple[int, int, int]) -> bool:
    # A pixel reaches half a pixel to either side of its center; written so that NaN fails.
    return all(-0.5 <= value < size - 0.5 for value, size in zip(tyx, shape, strict=True))


def _is_object_id(value: Any) -> bool:
    try:
        return bool(1 <= value <= MAX_OBJECT_ID and int(value) == value)
    except (TypeError, ValueError):
        return False


def _features(object_ids: list[int], polarities: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "object_id": np.array(object_ids, dtype=np.int64),
            "polarity": pd.Categorical(polarities, categories=[POSITIVE, NEGATIVE]),
        }
    )
