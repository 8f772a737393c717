"""What the next click says: which object, and whether the pixel belongs to it. No Qt here."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from napari.layers import Points
from psygnal import Signal

from napari_sam2.layers import other_axes, time_axis
from napari_sam2.layers.prompt_reader import prompt_defaults
from napari_sam2.widget.keys import Keys

LEFT_BUTTON, RIGHT_BUTTON = 1, 2

WITHOUT_FRAME = "Clicks need one frame on screen: show the movie in 2-D with time on the slider."
ON_ANOTHER_PLANE = "The movie is on another plane than the one on screen: move the slider there, or choose it as input."


class ClickTool:
    """Gives each click on a prompt layer its object ID and polarity, and keeps those off that have no frame.

    What counts is kept here, not in the layer's `feature_defaults`: napari sets those anew at each selection.
    """

    changed: ClassVar[Signal] = Signal()

    def __init__(self, points: Points, *, keys: Keys, on_refused: Callable[[str], None]) -> None:
        self.points = points
        self._keys = keys
        self._on_refused = on_refused
        self._object_id = 1
        self._positive = True
        self._refuse = ""
        points.mouse_drag_callbacks.append(self._on_press)
        points.events.data.connect(self._on_data)
        points.events.features.connect(self._apply)
        keys.bind(points, "points")

    @property
    def object_id(self) -> int:
        """The object that clicks are about."""
        return self._object_id

    @object_id.setter
    def object_id(self, object_id: int) -> None:
        if object_id != self._object_id:
            self._object_id = object_id
            self._apply()
            self.changed.emit()

    @property
    def positive(self) -> bool:
        """Whether a left click says that the pixel belongs to the object; a right click always says it does not."""
        return self._positive

    @positive.setter
    def positive(self, positive: bool) -> None:
        if positive != self._positive:
            self._positive = positive
            self._apply()
            self.changed.emit()

    def detach(self) -> None:
        """Leave the layer as an ordinary Points layer."""
        if self._on_press in self.points.mouse_drag_callbacks:
            self.points.mouse_drag_callbacks.remove(self._on_press)
        self.points.events.data.disconnect(self._on_data)
        self.points.events.features.disconnect(self._apply)
        self._keys.unbind(self.points)

    def _on_press(self, layer: Points, event: Any) -> None:
        if layer.mode != "add":
            return
        # Axes of the layer are the last ones of the world; with time on screen, a click is not on one frame, and in 3-D
        # not on one pixel.
        time = len(event.position) - layer.ndim + time_axis(layer)
        if time in event.dims_displayed or len(event.dims_displayed) > 2:
            self._refuse = WITHOUT_FRAME
        else:
            place = np.asarray(layer.world_to_data(event.position))[other_axes(layer)]
            self._refuse = ON_ANOTHER_PLANE if (np.abs(place) > 0.5 + 1e-6).any() else ""
        positive = self._positive and event.button != RIGHT_BUTTON
        self._say(positive=positive)

    def _on_data(self, event: Any) -> None:
        if event.action != "added":
            return
        if self._refuse:
            refused, self._refuse = self._refuse, ""
            self.points.data = self.points.data[: event.data_indices[0]]
            self._on_refused(refused)
        elif (others := other_axes(self.points)) and self.points.data[:, others].any():
            # In the middle of all planes they are seen on each of them.
            data = self.points.data.copy()
            data[:, others] = 0
            self.points.data = data

    def _apply(self, event: Any = None) -> None:
        self._say(positive=self._positive)

    def _say(self, *, positive: bool) -> None:
        defaults = prompt_defaults(self._object_id, positive=positive)
        # Somebody may have taken a feature away; whoever reads the points tells of that.
        self.points.feature_defaults = defaults[[name for name in defaults if name in self.points.features]]
