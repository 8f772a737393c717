"""The session that is worked on in a viewer, for the console and for scripts."""

from typing import TYPE_CHECKING, Any, cast

from napari_sam2.errors import SessionError

if TYPE_CHECKING:
    from napari_sam2.tracking_session import TrackingSession


def session(viewer: Any) -> "TrackingSession":
    """Return the session of the movie chosen in the widget *Track cells (SAM 2)*, to be worked with from the console.

    Whatever the widget does is a method of it, and whatever is done to it is shown in the widget and its layers, as
    soon as the console is done. If it is not open yet, that happens here, and takes the time to load the model. While
    the widget works with it, for instance while masks are propagated, every change is refused with a `SessionError`.

    Parameters
    ----------
    viewer
        A napari viewer.

    Raises
    ------
    SessionError
        If the widget is not open in that viewer, or there is no movie in it, or the session is being opened.
    MovieError, CheckpointError
        If it cannot be opened.
    """
    from napari_sam2.widget.docked import docked_widget

    widget = docked_widget(viewer)
    if widget is None:
        raise SessionError("there is no session in this viewer: open Plugins > Track cells (SAM 2) first")
    if widget.controller is None:
        raise SessionError("no movie is chosen in Track cells (SAM 2): choose one there first")
    return cast("TrackingSession", widget.controller.open_now())
