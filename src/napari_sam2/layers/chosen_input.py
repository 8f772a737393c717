"""Which axes, plane and channels of an image layer are the movie; the layer itself remembers it."""

from dataclasses import replace

import numpy as np
from napari.layers import Image, Layer

from napari_sam2.errors import MovieError
from napari_sam2.input_choice import InputChoice, axes_of_names
from napari_sam2.video import Video

INPUT = "napari_sam2_input"
"""Under this name, the metadata of an image layer tell the choice; axes of color are not among its axes."""
TIME_AXIS = "napari_sam2_time_axis"
"""Under this name, the metadata of layers over the image tell which of their axes is time, if it is not the first."""
PLAIN = "TYX"


def needs_choice(image_layer: Image) -> bool:
    """Whether there are more axes than those of a movie."""
    return int(image_layer.ndim) > len(PLAIN)


def chosen_input(image_layer: Image) -> InputChoice | None:
    """What was chosen for a layer, with all that was left open filled in; None if nothing was."""
    choice = image_layer.metadata.get(INPUT)
    # The layer may have got data of other axes since.
    return choice if isinstance(choice, InputChoice) and len(choice.axes or "") == image_layer.ndim else None


def choose_input(image_layer: Image, choice: InputChoice) -> None:
    """Take this of a layer as the movie from now on.

    Raises
    ------
    MovieError
        If it does not fit the layer, or its last axes are not Y and X, as napari shows them.
    """
    choice = replace(choice, axes=None if choice.axes is None else choice.axes.replace("S", ""))
    known = axes_of_names(image_layer.axis_labels)
    choice = choice.of(layer_shape(image_layer), known, f"layer '{image_layer.name}'")
    if not (choice.axes or "").endswith("YX"):
        raise MovieError(
            f"the axes of layer '{image_layer.name}' are {choice.axes}, expected Y and X last: transpose it first"
        )
    image_layer.metadata[INPUT] = choice


def layer_shape(image_layer: Image) -> tuple[int, ...]:
    """The size of each axis of the layer, at full resolution and without that of color."""
    data = image_layer.data[0] if image_layer.multiscale else image_layer.data
    return tuple(int(size) for size in data.shape[: image_layer.ndim])


def layer_axes(image_layer: Image) -> str:
    """A letter for each axis of the layer."""
    choice = chosen_input(image_layer)
    return PLAIN if choice is None or choice.axes is None else choice.axes


def guessed_axes(image_layer: Image) -> str:
    """The letters that the axes most likely have: by their names, else by how many there are."""
    known = axes_of_names(image_layer.axis_labels)
    if known is not None:
        return known
    shape = layer_shape(image_layer)
    if len(shape) == 4:
        return "TCYX" if shape[1] <= 4 else "TZYX"
    return "TCZYX"[-len(shape) :]


def as_video(image_layer: Image) -> Video:
    """The movie in a layer.

    Raises
    ------
    MovieError
        If there is none.
    """
    choice = chosen_input(image_layer)
    if choice is not None and image_layer.rgb:
        choice = replace(choice, axes=f"{choice.axes}S")
    return Video.open(image_layer, choice)


def time_axis(layer: Layer) -> int:
    """Which axis of a movie, or of a layer over one, is time."""
    if isinstance(layer, Image):
        return layer_axes(layer).index("T")
    return int(layer.metadata.get(TIME_AXIS, 0))


def other_axes(layer: Layer) -> list[int]:
    """The axes that are neither time nor on screen."""
    return [axis for axis in range(layer.ndim - 2) if axis != time_axis(layer)]


def slab(image_layer: Image) -> tuple["np.ndarray[tuple[int], np.dtype[np.float64]]", ...]:
    """Where a layer of one pixel along each axis that is not T, Y or X lies: its first pixel, and its thickness.

    It is as thick as all planes together if they were projected, and as all channels: it is seen on each of them.

    Returns
    -------
    Data coordinates of the pixel's middle, and its sizes in pixels of the image; both (ndim,).
    """
    middle, thickness = np.zeros(image_layer.ndim), np.ones(image_layer.ndim)
    choice = chosen_input(image_layer)
    if choice is not None and choice.axes is not None:
        for axis, (letter, size) in enumerate(zip(choice.axes, layer_shape(image_layer), strict=True)):
            if letter == "Z" and choice.plane is not None:
                middle[axis] = choice.plane
            elif letter in "ZC":
                middle[axis], thickness[axis] = (size - 1) / 2, size
    return middle, thickness
