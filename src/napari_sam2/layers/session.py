"""Opening the session of an image layer."""

from typing import TYPE_CHECKING

from napari.layers import Image

from napari_sam2.layers.chosen_input import as_video
from napari_sam2.layers.saving import Saving
from napari_sam2.layers.transforms import movie_shape
from napari_sam2.session_setup import SessionSetup

if TYPE_CHECKING:
    from napari_sam2.tracking_session import TrackingSession


def open_layer_session(
    image_layer: Image,
    model: str = "cell",
    *,
    setup: SessionSetup | None = None,
    saving: Saving | None = None,
) -> "TrackingSession":
    """Load the model and open a session on the movie of an image layer; imports torch, so keep it off the GUI thread.

    Parameters
    ----------
    image_layer
        A movie (T, Y, X), or (T, Y, X, 3) in color, or one of more axes of which something was chosen.
    model
        One of `napari_sam2.models.MODEL_NAMES`, or the path of a checkpoint.
    setup
        What is chosen; by default all is as usual.
    saving
        Stores it, or takes it from where it is stored; by default it is not stored.

    Raises
    ------
    MovieError
        If the layer is no movie, or cannot be read.
    CheckpointError, DeviceError
        If the model cannot be loaded, or not on the device chosen.
    PromptError
        If something was chosen that the model cannot do.
    SessionError
        If a stored session cannot be opened.
    """
    from napari_sam2.api import open_session

    movie_shape(image_layer)
    setup = setup or SessionSetup()
    if saving is not None:
        return saving.open(model, setup)
    return open_session(as_video(image_layer), model=model, **setup.as_arguments())
