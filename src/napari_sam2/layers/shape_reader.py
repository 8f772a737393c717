"""The Shapes layer whose shapes are prompts: upright rectangles are boxes, all else that has an inside is a mask."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from napari.layers import Image, Shapes
from numpy.typing import NDArray
from skimage.draw import polygon

from napari_sam2.errors import NapariSam2Error, PromptError
from napari_sam2.layers.transforms import carried_over, movie_shape, to_image_pixels
from napari_sam2.prompts import MAX_OBJECT_ID, BoxPrompt, MaskPrompt, nearest_frame

_UPRIGHT = 0.5
"""Pixels by which the corners of a rectangle may be off the axes before it counts as turned."""
_ELLIPSE_CORNERS = 64


def create_shape_layer(image_layer: Image, name: str = "shape_prompts") -> Shapes:
    """Return an empty Shapes layer over the image with the feature `object_id`, which each shape carries as text.

    Raises
    ------
    MovieError
        If the image layer is no movie.
    """
    _, height, width = movie_shape(image_layer)
    return Shapes(
        ndim=image_layer.ndim,
        name=name,
        features=pd.DataFrame({"object_id": np.array([], dtype=np.int64)}),
        feature_defaults=shape_defaults(1),
        face_color="transparent",
        edge_color="limegreen",
        edge_width=min(max(min(height, width) / 400, 0.5), 4),
        text={"string": "{object_id}", "size": 9, "color": "white", "anchor": "upper_left"},
        **carried_over(image_layer),
    )


def shape_defaults(object_id: int) -> pd.DataFrame:
    """Return the features of the next shape, as `Shapes.feature_defaults` takes them."""
    return pd.DataFrame({"object_id": np.array([object_id], dtype=np.int64)})


def read_shapes(
    shapes_layer: Shapes, image_layer: Image, *, on_ignored: Callable[[str], None] | None = None
) -> list[BoxPrompt | MaskPrompt]:
    """Read shapes as prompts, in pixels of the image; a shape's frame is the t of its vertices, rounded.

    Rectangles are box prompts, and a bounding box stands for one that is turned no more than half a pixel; turned
    rectangles, ellipses, polygons and lassos are mask prompts. What reaches over the border is cut there.

    Parameters
    ----------
    shapes_layer
        Shapes with vertices t, y, x and the feature `object_id`.
    image_layer
        The movie. Both layers may have transforms of their own.
    on_ignored
        Told once, in a sentence, if shapes were left out: lines and paths, shapes outside the movie, over several
        frames, without a pixel, or without a usable object ID.

    Raises
    ------
    PromptError
        If the layer has no time axis or no `object_id`.
    """
    rows = read_shape_rows(shapes_layer, image_layer)
    prompts = [prompt for prompt in rows if prompt is not None]
    ignored = len(rows) - len(prompts)
    if ignored and on_ignored is not None:
        on_ignored(
            f"{ignored} {'shape' if ignored == 1 else 'shapes'} of '{shapes_layer.name}' ignored: lines and paths, and "
            "shapes outside the movie, on several frames or without an object ID of 1 or more, are no prompts. Delete "
            "or move them."
        )
    return prompts


def read_shape_rows(shapes_layer: Shapes, image_layer: Image) -> list[BoxPrompt | MaskPrompt | None]:
    """Read each shape as a prompt, None for those that are none. For the rest see `read_shapes`."""
    if shapes_layer.nshapes == 0:
        return []
    if shapes_layer.ndim < 3 or "object_id" not in shapes_layer.features:
        raise PromptError(
            f"layer '{shapes_layer.name}' has {shapes_layer.ndim} axes and the features {list(shapes_layer.features)}, "
            "expected shapes t, y, x with the feature 'object_id': draw in the layer that the plugin makes"
        )
    num_frames, *shape = movie_shape(image_layer)
    prompts: list[BoxPrompt | MaskPrompt | None] = []
    for kind, vertices, object_id in zip(
        shapes_layer.shape_type, shapes_layer.data, shapes_layer.features["object_id"], strict=True
    ):
        tyx = to_image_pixels(vertices, shapes_layer, image_layer)
        prompts.append(_prompt(str(kind), tyx, object_id, num_frames, (shape[0], shape[1])))
    return prompts


def _prompt(
    kind: str, tyx: NDArray[np.float64], object_id: Any, num_frames: int, shape_yx: tuple[int, int]
) -> BoxPrompt | MaskPrompt | None:
    try:
        frames = {nearest_frame(t) for t in tyx[:, 0]}
        is_usable = bool(1 <= object_id <= MAX_OBJECT_ID) and len(frames) == 1 and np.isfinite(tyx).all()
    except (NapariSam2Error, TypeError):
        return None
    frame = frames.pop()
    if not is_usable or not 0 <= frame < num_frames or kind in ("line", "path"):
        return None
    yx = tyx[:, 1:]
    if kind == "rectangle" and _is_upright(yx):
        (y0, x0), (y1, x1) = yx.min(0), yx.max(0)
        try:
            return BoxPrompt(frame, int(object_id), y0, x0, y1, x1).clip(shape_yx)
        except PromptError:
            return None
    mask = np.zeros(shape_yx, bool)
    outline = _ellipse(yx) if kind == "ellipse" else yx
    mask[polygon(outline[:, 0], outline[:, 1], shape_yx)] = True  # type: ignore[no-untyped-call]
    return MaskPrompt(frame, int(object_id), mask) if mask.any() else None


def _is_upright(yx: NDArray[np.float64]) -> bool:
    """Whether each side of a rectangle keeps to one axis."""
    sides = np.abs(np.diff(yx, axis=0, append=yx[:1]))
    return bool((sides.min(1) <= _UPRIGHT).all())


def _ellipse(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Outline (N, 2) of the ellipse within a parallelogram of four corners."""
    angles = np.linspace(0, 2 * np.pi, _ELLIPSE_CORNERS, endpoint=False)[:, None]
    along, across = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    outline: NDArray[np.float64] = corners.mean(0) + np.cos(angles) * along + np.sin(angles) * across
    return outline
