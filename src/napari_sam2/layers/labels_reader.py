"""Labels layers, as of Cellpose or StarDist, as prompts for all their objects on one frame."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_sam2.errors import PromptError
from napari_sam2.label_prompts import prompts_from_labels
from napari_sam2.layers.chosen_input import time_axis
from napari_sam2.layers.transforms import movie_shape
from napari_sam2.prompts import MaskPrompt


def read_labels_layer(
    labels_layer: Labels,
    image_layer: Image,
    frame: int,
    point: Sequence[float],
    *,
    first_free: int,
    on_note: Callable[[str], None],
) -> list[MaskPrompt]:
    """Make a mask prompt of each object that a layer has on a frame.

    Parameters
    ----------
    labels_layer
        Of the same pixels as the movie. A layer (Y, X) counts for any frame; of one with more axes, that of as many
        entries as the movie has frames is time, and of the others what is on screen is taken.
    image_layer, frame
        The movie, and one of its frames.
    point
        The place in the world that is on screen.
    first_free
        Object IDs below it are in use: who has one of them as label gets a new one.
    on_note
        Told, in a sentence, what is worth knowing of the objects.

    Raises
    ------
    PromptError
        If the layer is of another size than the movie, or has nothing on the frame.
    """
    plane = labels_on_frame(labels_layer, image_layer, frame, point)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        prompts = prompts_from_labels(plane, frame, taken=range(1, first_free), first_free=first_free)
    for warning in told:
        on_note(f"In '{labels_layer.name}', {warning.message}.")
    renumbered = sum(int(plane[_first_pixel(prompt)]) != prompt.object_id for prompt in prompts)
    if renumbered:
        on_note(
            f"{renumbered} of the {len(prompts)} objects of '{labels_layer.name}' have new IDs, because theirs were in "
            "use."
        )
    return prompts


def labels_on_frame(labels_layer: Labels, image_layer: Image, frame: int, point: Sequence[float]) -> NDArray[Any]:
    """The labels (Y, X) of a frame; see `read_labels_layer`."""
    num_frames, height, width = movie_shape(image_layer)
    data = labels_layer.data[0] if labels_layer.multiscale else labels_layer.data
    if tuple(data.shape[-2:]) != (height, width):
        raise PromptError(
            f"layer '{labels_layer.name}' has the shape {tuple(data.shape)}, and frames are {height} x {width} pixels: "
            "choose labels of this movie"
        )
    places = np.nan_to_num(np.asarray(labels_layer.world_to_data(point), dtype=np.float64))
    key = [min(max(round(place), 0), size - 1) for place, size in zip(places, data.shape, strict=True)][:-2]
    time = time_axis(image_layer) if labels_layer.ndim == image_layer.ndim else 0
    if key and data.shape[time] == num_frames:
        key[time] = frame
    return np.asarray(data[tuple(key)])


def _first_pixel(prompt: MaskPrompt) -> tuple[int, int]:
    y, x = np.unravel_index(int(prompt.crop.argmax()), prompt.crop.shape)
    return prompt.offset[0] + int(y), prompt.offset[1] + int(x)
