"""Between napari's layers and our types; no Qt here, so that it works with `napari.components.ViewerModel` too."""

from napari_sam2.layers.chosen_input import (
    choose_input,
    chosen_input,
    guessed_axes,
    layer_shape,
    needs_choice,
    other_axes,
    time_axis,
)
from napari_sam2.layers.hand_edits import HandEdits
from napari_sam2.layers.labels_reader import read_labels_layer
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
from napari_sam2.layers.transforms import Alignment, carried_over, movie_shape

__all__ = [
    "Alignment",
    "Drawing",
    "HandEdits",
    "MaskLayer",
    "MaskLayers",
    "Saving",
    "add_clicks",
    "add_drawings",
    "carried_over",
    "choose_input",
    "chosen_input",
    "create_labels_layer",
    "create_prompt_layer",
    "create_shape_layer",
    "guessed_axes",
    "layer_shape",
    "merge_labels",
    "movie_shape",
    "needs_choice",
    "open_layer_session",
    "other_axes",
    "read_frame",
    "read_labels_layer",
    "read_prompts",
    "read_shapes",
    "replace_points",
    "reset_undo",
    "take_shapes",
    "time_axis",
    "write_frame",
]
