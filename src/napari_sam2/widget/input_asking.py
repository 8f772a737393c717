"""Asking what of an image of many axes is the movie, and beginning anew with that. No Qt here."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image

from napari_sam2.errors import NapariSam2Error
from napari_sam2.input_choice import InputChoice
from napari_sam2.layers import choose_input, chosen_input, needs_choice, other_axes

if TYPE_CHECKING:
    from napari_sam2.widget.input_choice import InputChoiceBox


class InputAsking:
    """Brings together the box that asks, the layers that remember the answer, and sessions that were stored with one.

    Parameters
    ----------
    viewer
        Shows the plane that was chosen.
    box
        The controls.
    restart
        Begins a session on a layer of which something else was chosen.
    on_error
        Tells the user.
    """

    def __init__(
        self,
        viewer: Any,
        box: "InputChoiceBox",
        *,
        restart: Callable[[Image], None],
        on_error: Callable[[NapariSam2Error], None],
    ) -> None:
        self._viewer = viewer
        self._box = box
        self._restart = restart
        self._on_error = on_error

    def asks(self, image: Image) -> bool:
        """Ask about a layer if that must be done before it is a movie; returns whether it must."""
        if not needs_choice(image) or chosen_input(image) is not None:
            return False
        self._box.show_layer(image, self._viewer.dims.point)
        return True

    def choose(self) -> None:
        """Begin a session on what is chosen in the box."""
        image = self._box.layer
        try:
            if image is not None and self._box.choice() != chosen_input(image):
                show_input(self._viewer, image, self._box.choice())
                self._restart(image)
        except NapariSam2Error as error:
            self._on_error(error)

    def takes_stored(self, image: Image, folder: Path) -> bool:
        """Begin anew with what a stored session was made on, if that is something else; returns whether it is there."""
        try:
            if adopt_stored_input(image, folder):
                self._restart(image)
        except NapariSam2Error as error:
            self._on_error(error)
            return False
        return True


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
