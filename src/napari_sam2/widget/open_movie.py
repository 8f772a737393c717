"""One movie that is worked on: its layers in the viewer, its controller and its clicks. No Qt here."""

from collections.abc import Callable
from functools import partial
from typing import Any

from napari.layers import Image, Labels, Points

from napari_sam2.layers import create_labels_layer, create_prompt_layer
from napari_sam2.widget.answers import SessionLike
from napari_sam2.widget.click_tool import ClickTool
from napari_sam2.widget.controller import Controller
from napari_sam2.widget.jobs import JobRunner
from napari_sam2.widget.viewing import shown_frame


class OpenMovie:
    """The session of one movie.

    Attributes
    ----------
    image
        The movie. Sessions belong to the layer, not to its name nor to what a list of layers has selected.
    controller
        What its clicks and buttons set in motion.
    tool
        What its next click says.

    Raises
    ------
    MovieError
        If the layer is no movie.
    """

    def __init__(
        self,
        viewer: Any,
        image: Image,
        *,
        open_session: Callable[[], SessionLike],
        runner: JobRunner,
        keys: dict[str, Callable[[], None]],
        note: Callable[[str], None],
        on_tool_changed: Callable[[], None],
    ) -> None:
        self.image = image
        self._viewer = viewer
        self._keys = keys
        self._note = note
        self._on_tool_changed = on_tool_changed
        points = create_prompt_layer(image)
        self.tool = ClickTool(points, on_refused=note)
        self.controller = Controller(
            image,
            points,
            open_session=open_session,
            make_labels=self._make_labels,
            runner=runner,
            shown_frame=partial(shown_frame, viewer, image),
        )
        self.controller.note.connect(note)
        self._show_points()

    def new_object(self) -> None:
        """Let the next clicks be about an object that has none yet."""
        self.ensure_prompt_layer()
        if self.controller.prompts.has_object(self.tool.object_id):
            self.tool.object_id = self.controller.next_object_id

    def ensure_prompt_layer(self) -> None:
        """Make a new prompt layer if there is none any more."""
        if self.controller.prompts.points is None:
            points = create_prompt_layer(self.image)
            self.tool = ClickTool(points, on_refused=self._note)
            self.tool.object_id = self.controller.next_object_id
            self.controller.prompts.watch(points)
            self._show_points()

    def layer_removed(self, layer: Any) -> None:
        """Take note that a layer other than the movie was removed from the viewer."""
        if layer == self.controller.prompts.points:
            self.controller.prompts.unwatch()
            self.tool.detach()
            self._note("The prompts were removed; the masks stay. 'New object' makes a new prompt layer.")
        elif isinstance(layer, Labels):
            self.controller.labels_removed(layer)

    def selected_objects(self) -> list[int]:
        """Return the IDs of the objects whose points are selected."""
        points: Points | None = self.controller.prompts.points
        if points is None:
            return []
        return sorted({int(points.features["object_id"].iloc[index]) for index in points.selected_data})

    def color(self) -> Any:
        """Return the color (R, G, B, A) that the current object has in the masks; None if it is not known."""
        masks = self.controller.masks
        return None if masks is None else masks.main.layer.get_color(self.tool.object_id)

    def close(self) -> None:
        """End the session; a run stops at its next frame, and the layers stay as ordinary layers."""
        self.controller.close()
        self.tool.detach()

    def _show_points(self) -> None:
        self.tool.bind_keys(self._keys)
        self.tool.changed.connect(self._on_tool_changed)
        self._viewer.add_layer(self.tool.points)
        self._viewer.layers.selection.active = self.tool.points
        self.tool.points.mode = "add"

    def _make_labels(self, name: str) -> Labels:
        labels = create_labels_layer(self.image, name)
        active = self._viewer.layers.selection.active
        self._viewer.add_layer(labels)
        if active is not None:
            # Clicks go on where they went.
            self._viewer.layers.selection.active = active
        return labels
