"""What was chosen of an image of many axes, and the plane of it on screen. No Qt here."""

from pathlib import Path
from typing import Any

from napari.layers import Image

from napari_sam2.input_choice import InputChoice
from napari_sam2.layers import choose_input, chosen_input, needs_choice, other_axes


def show_input(viewer: Any, image: Image, choice: InputChoice) -> None:
    """Take this of a layer as the movie, and show the plane and the channel.

    Raises
    ------
    MovieError
        If it does not fit the layer.
    """
    choose_input(image, choice)
    choice = chosen_input(image) or choice
    wanted = {"Z": choice.plane, "C": choice.channel_list[0] if choice.channel_list else None}
    place = [float(x) for x in image.world_to_data(viewer.dims.point)]
    for axis in other_axes(image):
        if (index := wanted.get((choice.axes or "")[axis])) is not None:
            place[axis] = index
    world = image.data_to_world(place)
    offset = viewer.dims.ndim - image.ndim
    for axis in other_axes(image):
        viewer.dims.set_point(offset + axis, world[axis])


def adopt_stored_input(image: Image, folder: Path) -> bool:
    """Take of a layer what a stored session was made on; returns whether that is another choice than before.

    Raises
    ------
    SessionError, MovieError
        If the session cannot be read, or is of another movie.
    """
    if not needs_choice(image):
        return False
    from napari_sam2.session_files.info import stored_movie

    before, stored = chosen_input(image), stored_movie(folder).choice
    if stored is not None:
        choose_input(image, stored)
    return chosen_input(image) != before
