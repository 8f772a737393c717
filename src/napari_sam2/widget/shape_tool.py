"""What the next shape says: which object it is about. No Qt here."""

from collections.abc import Callable
from typing import Any, Literal

from napari.layers import Shapes

from napari_sam2.layers.shape_reader import shape_defaults
from napari_sam2.widget.keys import Keys

ShapeKind = Literal["rectangle", "ellipse", "polygon", "polygon_lasso"]


class ShapeTool:
    """Gives each shape drawn on a prompt layer the ID of the object that `object_id` tells, and the layer its keys.

    As with clicks, what counts is not the layer's `feature_defaults`: napari sets those anew at each selection.
    """

    def __init__(self, shapes: Shapes, object_id: Callable[[], int], keys: Keys) -> None:
        self.shapes = shapes
        self._keys = keys
        keys.bind(shapes, "shapes")
        self._object_id = object_id
        shapes.mouse_drag_callbacks.append(self._on_press)

    def draw(self, kind: ShapeKind) -> None:
        """Let the next drag draw a shape of a kind."""
        self.shapes.selected_data = set()
        self.shapes.mode = f"add_{kind}"

    def detach(self) -> None:
        """Leave the layer as an ordinary Shapes layer."""
        if self._on_press in self.shapes.mouse_drag_callbacks:
            self.shapes.mouse_drag_callbacks.remove(self._on_press)
        self._keys.unbind(self.shapes)

    def _on_press(self, layer: Shapes, _event: Any) -> None:
        if str(layer.mode).startswith("add_"):
            layer.feature_defaults = shape_defaults(self._object_id())
