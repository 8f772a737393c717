"""One movie that is worked on: its layers in the viewer, its controller and its clicks. No Qt here."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from napari.layers import Image, Labels, Points, Shapes

from napari_sam2.cleaning import Cleaning
from napari_sam2.errors import PromptError
from napari_sam2.layers import (
    Alignment,
    Saving,
    create_labels_layer,
    create_prompt_layer,
    create_shape_layer,
    read_labels_layer,
)
from napari_sam2.widget.click_tool import ClickTool
from napari_sam2.widget.controller import Controller
from napari_sam2.widget.jobs import JobRunner
from napari_sam2.widget.keys import Keys
from napari_sam2.widget.object_book import ObjectRow
from napari_sam2.widget.saved_movie import SavedMovie
from napari_sam2.widget.session_choices import SessionChoices
from napari_sam2.widget.shape_tool import ShapeKind, ShapeTool
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
    choices
        With what its session is opened.
    measured
        At which diameter (pixels) the object clicked last is looked at; None if that is not known or plays no part.
    saved
        How its session is stored.
    shape_tool
        What its next shape says; None as long as none was asked for.

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
        saving: Saving,
        choices: SessionChoices,
        runner: JobRunner,
        later: Callable[[Callable[[], None]], None],
        keys: Keys,
        note: Callable[[str], None],
        on_tool_changed: Callable[[], None],
        on_replaced: Callable[["OpenMovie"], None],
    ) -> None:
        self.image = image
        self.choices = choices
        self.measured: float | None = None
        self._data = image.data
        self._on_replaced = on_replaced
        image.events.data.connect(self._on_data)
        self._viewer = viewer
        self._keys = keys
        self._note = note
        self._on_tool_changed = on_tool_changed
        self._alignment = Alignment(image)
        points = create_prompt_layer(image)
        self.tool = ClickTool(points, keys=keys, on_refused=note)
        self.shape_tool: ShapeTool | None = None
        self.controller = Controller(
            image,
            points,
            open_session=choices.opener(image, saving),
            make_labels=self._make_labels,
            runner=runner,
            shown_frame=partial(shown_frame, viewer, image),
            make_shapes=self._make_shapes,
            later=later,
        )
        self.saved = SavedMovie(saving, self.controller, note=note, on_opened=self._on_stored_opened)
        self.controller.note.connect(note)
        self.controller.opened.connect(self._on_opened)
        self.controller.measured.connect(self._on_measured)
        self._show_points()

    def new_object(self) -> None:
        """Let the next clicks be about an object that has none yet."""
        self.ensure_prompt_layer()
        if self.controller.has_object(self.tool.object_id):
            self.tool.object_id = self.controller.next_object_id

    def ensure_prompt_layer(self) -> None:
        """Make a new prompt layer if there is none any more."""
        if self.controller.prompts.points is None:
            points = create_prompt_layer(self.image)
            self.tool = ClickTool(points, keys=self._keys, on_refused=self._note)
            self.tool.object_id = self.controller.next_object_id
            self.controller.prompts.watch(points)
            self._show_points()

    def draw(self, kind: ShapeKind) -> None:
        """Let the next drag draw a shape as a prompt, on a layer made for that if there is none."""
        if self.shape_tool is None:
            self._make_shapes()
        if self.shape_tool is not None:
            self._viewer.layers.selection.active = self.shape_tool.shapes
            self.shape_tool.draw(kind)

    def use_labels(self, layer: Labels | None) -> None:
        """Make an object of each that a layer of labels has on the frame on screen; tells why if that cannot be."""
        frame = shown_frame(self._viewer, self.image)
        if layer is None or frame is None:
            missing = "a layer of labels" if layer is None else "one frame to show, in 2-D with time on the slider"
            self._note(f"Choose {missing} first.")
            return
        point, first_free = self._viewer.dims.point, self.controller.next_object_id
        try:
            masks = read_labels_layer(layer, self.image, frame, point, first_free=first_free, on_note=self._note)
        except PromptError as error:
            self._note(str(error))
        else:
            self.controller.use_masks(masks)

    def layer_removed(self, layer: Any) -> None:
        """Take note that a layer other than the movie was removed from the viewer."""
        prompts = self.controller.prompts
        if layer == prompts.points:
            prompts.unwatch(layer)
            self.tool.detach()
            self._note("The prompts were removed; the masks stay. 'New object' makes a new prompt layer.")
        elif layer == prompts.shapes:
            prompts.unwatch(layer)
            self._leave_shapes()
            self._note("The shapes were removed; the masks stay. 'Box' and 'Outline' make a new layer of shapes.")
        elif isinstance(layer, Labels):
            self.controller.labels_removed(layer)

    def selected_objects(self) -> list[int]:
        """Return the IDs of the objects whose points or shapes are selected."""
        layers: list[Points | Shapes | None] = [self.controller.prompts.points, self.controller.prompts.shapes]
        return sorted(
            {
                int(layer.features["object_id"].iloc[index])
                for layer in layers
                if layer is not None
                for index in layer.selected_data
            }
        )

    def color(self, object_id: int) -> Any:
        """Return the color (R, G, B, A) that an object has in the masks; None if it is not known."""
        masks = self.controller.masks
        return None if masks is None else masks.main.layer.get_color(object_id)

    def rows(self) -> dict[int, ObjectRow]:
        """What is told of the objects, by ID."""
        return self.controller.objects.rows

    def close(self) -> None:
        """End the session; a run stops at its next frame, and the layers stay as ordinary layers."""
        self.controller.close()
        self.image.events.data.disconnect(self._on_data)
        self._alignment.close()
        self.tool.detach()
        self._leave_shapes()

    def choose(self, choices: SessionChoices) -> None:
        """Go on with a session that is opened with other choices; its clicks are answered anew.

        Refused, and said so, while a stored session is being opened, as are other ways of tidying up.
        """
        if self._takes_changes():
            self.choices = choices
            self.controller.reopen_with(choices.opener(self.image, self.saved.saving))

    def choose_cleaning(self, cleaning: Cleaning) -> None:
        """Tidy masks up like this from now on."""
        if self._takes_changes():
            self.controller.set_cleaning(cleaning)

    def go_on_with(self, folder: Path) -> None:
        """Open the stored session in a folder; until it is there nobody knows which object a click would be about."""
        self.tool.points.mode = "pan_zoom"
        self.saved.go_on_with(folder, self.choices.opener(self.image, self.saved.saving))

    def _on_data(self, _event: Any) -> None:
        if self.image.data is not self._data:
            self._on_replaced(self)

    def _takes_changes(self) -> bool:
        if self.saved.is_opening:
            self._note("The saved session is being opened: change its settings when it is there.")
        return not self.saved.is_opening

    def _on_opened(self) -> None:
        if (stored := self.saved.saving.stored) is not None:
            self.choices = self.choices.adopt(stored)

    def _on_measured(self, diameter: float | None) -> None:
        self.measured = diameter

    def _on_stored_opened(self) -> None:
        self.tool.points.mode = "add"
        self.tool.object_id = self.controller.next_object_id

    def _object_id(self) -> int:
        return self.tool.object_id

    def _leave_shapes(self) -> None:
        if self.shape_tool is not None:
            self.shape_tool.detach()
            self.shape_tool = None

    def _show_points(self) -> None:
        self.tool.changed.connect(self._on_tool_changed)
        self._alignment.add(self.tool.points)
        self._viewer.add_layer(self.tool.points)
        self._viewer.layers.selection.active = self.tool.points
        self.tool.points.mode = "add"

    def _make_labels(self, name: str) -> Labels:
        labels = create_labels_layer(self.image, name)
        self._add(labels)
        return labels

    def _make_shapes(self) -> Shapes:
        shapes = create_shape_layer(self.image)
        self.shape_tool = ShapeTool(shapes, self._object_id, self._keys)
        self.controller.prompts.watch(shapes)
        self._add(shapes)
        return shapes

    def _add(self, layer: Labels | Shapes) -> None:
        active = self._viewer.layers.selection.active
        self._alignment.add(layer)
        self._viewer.add_layer(layer)
        if active is not None:
            # Clicks go on where they went.
            self._viewer.layers.selection.active = active
