"""Between napari's layers and our types; no Qt here, so that it works with `napari.components.ViewerModel` too."""

from napari_sam2.layers.hand_edits import HandEdits
from napari_sam2.layers.masklet_writer import (
    create_labels_layer,
    merge_labels,
    read_frame,
    reset_undo,
    write_frame,
)
from napari_sam2.layers.masks import MaskLayer, MaskLayers
from napari_sam2.layers.prompt_reader import create_prompt_layer, read_prompts
from napari_sam2.layers.prompt_writer import Drawing, add_clicks, add_drawings, replace_points, take_shapes
from napari_sam2.layers.saving import Saving
from napari_sam2.layers.session import open_layer_session
from napari_sam2.layers.shape_reader import create_shape_layer, read_shapes
from napari_sam2.layers.transforms import carried_over, movie_shape

__all__ = [
    "Drawing",
    "HandEdits",
    "MaskLayer",
    "MaskLayers",
    "Saving",
    "add_clicks",
    "add_drawings",
    "carried_over",
    "create_labels_layer",
    "create_prompt_layer",
    "create_shape_layer",
    "merge_labels",
    "movie_shape",
    "open_layer_session",
    "read_frame",
    "read_prompts",
    "read_shapes",
    "replace_points",
    "reset_undo",
    "take_shapes",
    "write_frame",
]
