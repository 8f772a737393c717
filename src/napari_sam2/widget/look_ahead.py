"""Getting ready for clicks where the user has stopped."""

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QCheckBox, QWidget

from napari_sam2.widget.open_movie import OpenMovie
from napari_sam2.widget.viewing import shown_frame, unwrapped

_AFTER_MS = 300


class LookAhead(QObject):
    """Has the frames around the one on screen encoded, as soon as nothing happened for a moment.

    Parameters
    ----------
    widget
        Nothing is done while it is not to be seen.
    switch
        Whether it is wanted.
    movie
        The one chosen; None if there is none.
    """

    def __init__(self, widget: QWidget, viewer: Any, switch: QCheckBox, movie: Callable[[], OpenMovie | None]) -> None:
        super().__init__(widget)
        self._widget = widget
        self._viewer = viewer
        self._switch = switch
        self._chosen = movie
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_AFTER_MS)
        self._timer.timeout.connect(self._begin)
        switch.toggled.connect(self.soon)
        viewer.dims.events.current_step.connect(self.soon)

    def soon(self, *_: object) -> None:
        """Begin in a moment, unless something happens; what was looked at until now is left."""
        movie = self._chosen()
        if movie is not None:
            movie.controller.give_way()
        self._timer.start()

    def shut_down(self) -> None:
        """Begin no more."""
        self._timer.stop()
        self._viewer.dims.events.current_step.disconnect(self.soon)

    def _begin(self) -> None:
        movie = self._chosen()
        if movie is None or not self._switch.isChecked() or not self._widget.isVisible():
            return
        if _is_playing(self._viewer):
            self._timer.start()
            return
        frame = shown_frame(self._viewer, movie.image)
        if frame is not None and movie.controller.state == "idle":
            movie.controller.look_ahead(frame, movie.tool.object_id)


def _is_playing(viewer: Any) -> bool:
    """Whether the viewer plays the movie; napari has no public way to ask."""
    window = getattr(unwrapped(viewer), "window", None)
    dims = getattr(getattr(window, "_qt_viewer", None), "dims", None)
    return bool(getattr(dims, "is_playing", False))
