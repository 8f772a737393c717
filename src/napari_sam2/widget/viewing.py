"""The viewer as the widget needs it: which frame of a movie is on screen, and how to show another. No Qt here."""

import time
from typing import Any

import numpy as np
from napari.layers import Image

from napari_sam2.layers import movie_shape, time_axis

_BETWEEN_FRAMES_S = 0.1


def unwrapped(layer: Any) -> Any:
    """Return the layer itself: plugins are given a viewer behind a proxy, and so its layers, too."""
    return getattr(layer, "__wrapped__", layer)


def shown_frame(viewer: Any, image: Image) -> int | None:
    """Return the frame of the movie that is on screen; None if time is an axis on screen, so that there are several."""
    axis = time_axis(image)
    if viewer.dims.ndim - image.ndim + axis in viewer.dims.displayed:
        return None
    t = float(image.world_to_data(viewer.dims.point)[axis])
    return min(max(round(t), 0), movie_shape(image)[0] - 1)


def show_frame(viewer: Any, image: Image, frame: int) -> None:
    """Show a frame of the movie, unless time is an axis on screen."""
    axis = time_axis(image)
    at = viewer.dims.ndim - image.ndim + axis
    if at >= 0 and at not in viewer.dims.displayed:
        place = [0] * image.ndim
        place[axis] = frame
        viewer.dims.set_point(at, image.data_to_world(place)[axis])


def look_at(viewer: Any, image: Image, frame: int, yx: tuple[float, float]) -> None:
    """Show a frame of the movie, with a place (y, x) in pixels in the middle of the canvas."""
    show_frame(viewer, image, frame)
    if shown_frame(viewer, image) is not None:
        camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
        world = np.zeros(viewer.dims.ndim)
        world[-image.ndim :] = image.data_to_world((*[0] * (image.ndim - 2), *yx))
        camera.center = (camera.center[0], *world[list(viewer.dims.displayed[-2:])])


class Follower:
    """Moves the time slider along with a run, until somebody else moves it."""

    def __init__(self, viewer: Any, image: Image) -> None:
        self._viewer = viewer
        self._image = image
        self._asked: int | None = None
        self._last_step: int | None = None
        self._last_time = 0.0
        self._taken_over = False

    def show(self, frame: int, *, at_once: bool = False) -> None:
        """Show a frame, unless the one before was shown less than a tenth of a second ago."""
        dims, self._asked = self._viewer.dims, frame
        axis = dims.ndim - self._image.ndim + time_axis(self._image)
        if axis in dims.displayed or axis < 0:
            return
        if self._last_step is not None and dims.current_step[axis] != self._last_step:
            self._taken_over = True
        now = time.monotonic()
        if self._taken_over or (now - self._last_time < _BETWEEN_FRAMES_S and not at_once):
            return
        show_frame(self._viewer, self._image, frame)
        self._last_step, self._last_time = dims.current_step[axis], now

    def finish(self) -> None:
        """Show the last frame that there was to be shown: the run is over."""
        if self._asked is not None:
            self.show(self._asked, at_once=True)
        self._asked = None
