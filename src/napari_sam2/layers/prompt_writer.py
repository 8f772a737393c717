"""Prompts that the plugin makes or removes, in the layers of prompts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from napari.layers import Image, Points, Shapes
from numpy.typing import NDArray

from napari_sam2.layers.prompt_reader import NEGATIVE, POSITIVE, read_rows
from napari_sam2.layers.shape_reader import read_shape_rows
from napari_sam2.layers.transforms import from_image_pixels, to_image_pixels
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt, Prompt


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


def replace_points(
    points_layer: Points, image_layer: Image, keys: Collection[tuple[int, int]], clicks: Sequence[PointPrompt]
) -> None:
    """Put clicks in the place of all points that are about the objects and frames in `keys`."""
    found = read_rows(points_layer, image_layer)
    gone = [row for row, prompt in enumerate(found) if prompt and (prompt.object_id, prompt.frame) in keys]
    if gone:
        points_layer.remove(gone)
    add_clicks(points_layer, image_layer, clicks)


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """A shape as it was drawn: what napari calls its type, and its vertices (N, 2) y, x in pixels of the image."""

    kind: str
    yx: NDArray[np.float64]

    @classmethod
    def of_box(cls, box: BoxPrompt) -> "Drawing":
        """The rectangle that is read as this box."""
        corners = ((box.y0, box.x0), (box.y0, box.x1), (box.y1, box.x1), (box.y1, box.x0))
        return cls("rectangle", np.array(corners, np.float64))


def take_shapes(
    shapes_layer: Shapes, image_layer: Image, keys: Collection[tuple[int, int]]
) -> list[tuple[BoxPrompt | MaskPrompt, Drawing]]:
    """Remove all shapes that are about the objects and frames in `keys`, and return them and what they said."""
    found = read_shape_rows(shapes_layer, image_layer)
    taken = {row: prompt for row, prompt in enumerate(found) if prompt and (prompt.object_id, prompt.frame) in keys}
    drawings = []
    for row, prompt in taken.items():
        tyx = to_image_pixels(shapes_layer.data[row], shapes_layer, image_layer)
        drawings.append((prompt, Drawing(str(shapes_layer.shape_type[row]), tyx[:, 1:])))
    if taken:
        shapes_layer.selected_data = set(taken)
        shapes_layer.remove_selected()
    return drawings


def add_drawings(shapes_layer: Shapes, image_layer: Image, drawings: Sequence[tuple[Prompt, Drawing]]) -> None:
    """Draw shapes, each for the object and the frame of its prompt; none of them is selected."""
    if not drawings:
        return
    first, defaults = shapes_layer.nshapes, shapes_layer.feature_defaults.copy()
    placed = []
    for prompt, drawing in drawings:
        tyx = np.insert(drawing.yx, 0, prompt.frame, axis=1)
        placed.append((from_image_pixels(tyx, shapes_layer, image_layer), drawing.kind))
    shapes_layer.add(placed)
    shapes_layer.selected_data = set()
    features = shapes_layer.features.copy()
    features.loc[first:, "object_id"] = [prompt.object_id for prompt, _ in drawings]
    shapes_layer.features = features
    shapes_layer.feature_defaults = defaults
