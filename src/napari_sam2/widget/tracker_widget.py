"""The dock widget: wires the controls, the viewer and the controllers together."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import napari
from napari.layers import Image, Labels
from napari.utils.notifications import show_warning
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_sam2.errors import MovieError
from napari_sam2.layers import create_labels_layer, create_prompt_layer, movie_shape, open_layer_session
from napari_sam2.widget.answers import PropagationRequest, SessionLike
from napari_sam2.widget.click_tool import NEW_OBJECT_KEY, POLARITY_KEY, PROPAGATE_KEY, ClickTool
from napari_sam2.widget.controller import Controller
from napari_sam2.widget.form import FROM_FILE, HINT, HINT_NO_MOVIE, TO_FRAME, WHOLE_MOVIE, TrackerForm
from napari_sam2.widget.notices import Notices
from napari_sam2.widget.viewing import Follower, shown_frame, unwrapped
from napari_sam2.widget.workers import WorkerRunner


@dataclass(slots=True, eq=False)
class _Movie:
    """The session of one movie, and what clicks on its prompt layer say."""

    controller: Controller
    tool: ClickTool


class TrackerWidget(QWidget):
    """Track cells by clicking on them.

    Each movie has a session of its own, bound to its layer; choosing another movie leaves the others as they are.

    Parameters
    ----------
    viewer
        The viewer that the widget is docked in.
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__()
        from napari_sam2.models import MODEL_NAMES

        self.viewer = viewer
        self.runner = WorkerRunner(self)
        self._notices = Notices(self)
        self._movies: list[_Movie] = []
        self._movie: _Movie | None = None
        self._follower: Follower | None = None
        self._was_docked = False
        self.form = TrackerForm(self, image_choices=self._image_choices, model_names=list(MODEL_NAMES))
        self._model, self._diameter = self.form.model.currentText(), self.form.diameter.value()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.form)
        self._connect()
        self._redraw()
        active = unwrapped(viewer.layers.selection.active)
        self._open_only_choice([active] if isinstance(active, Image) else self._image_choices())

    @property
    def controller(self) -> Controller | None:
        """What drives the movie chosen."""
        return self._movie.controller if self._movie is not None else None

    @property
    def session(self) -> SessionLike | None:
        """The `TrackingSession` of the movie chosen; None before its model is loaded."""
        return self._movie.controller.session if self._movie is not None else None

    def open_image(self, image: Image) -> None:
        """Start the session of a movie, or go on with it.

        Raises
        ------
        MovieError
            If the layer is no movie.
        """
        last_frame = movie_shape(image)[0] - 1
        movie = next((movie for movie in self._movies if movie.controller.image == image), None)
        self._show_movie(movie or self._start_movie(image))
        self._ensure_prompt_layer()
        self.form.frame.setRange(0, last_frame)
        self.form.frame.setValue(last_frame)

    def new_object(self) -> None:
        """Let the next clicks be about an object that has none yet."""
        if self._movie is not None:
            self._ensure_prompt_layer()
            if self._movie.controller.prompts.has_object(self._movie.tool.object_id):
                self._movie.tool.object_id = self._movie.controller.next_object_id

    def toggle_polarity(self) -> None:
        """Change what a left click says."""
        if self._movie is not None:
            self._movie.tool.positive = not self._movie.tool.positive
        self._redraw()

    def propagate(self) -> None:
        """Start the run that the controls describe."""
        if self._movie is None:
            show_warning(HINT_NO_MOVIE)
            return
        image = self._movie.controller.image
        self._follower = Follower(self.viewer, image) if self.form.follow.isChecked() else None
        self._movie.controller.propagate(self._request(image))

    def cancel(self) -> None:
        """Stop at the next frame; what is done stays."""
        if self._movie is not None:
            self._movie.controller.cancel()

    def split(self) -> None:
        """Make a layer for each object selected in the list, or else for those whose points are selected."""
        if self._movie is None:
            return
        selected = self.form.selected_objects()
        points = self._movie.controller.prompts.points
        if not selected and points is not None:
            selected = sorted({int(points.features["object_id"].iloc[index]) for index in points.selected_data})
        if selected:
            self._movie.controller.split(selected)
        else:
            show_warning("Select objects in the list first.")

    def shut_down(self) -> None:
        """End all sessions: runs stop at their next frame, and layers stay as ordinary layers."""
        self.runner.stop()
        for emitter, slot in self._layer_events():
            emitter.disconnect(slot)
        self._show_movie(None)
        for movie in self._movies:
            movie.controller.close()
            movie.tool.detach()
        self._movies.clear()

    def event(self, event: QEvent) -> bool:
        """Shut down when napari takes the widget out of its dock in order to close that."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._was_docked = True
            elif self._was_docked:
                self._was_docked = False
                self.shut_down()
        return bool(super().event(event))

    def _connect(self) -> None:
        form = self.form
        form.image.changed.connect(self._on_image_chosen)
        form.model.currentTextChanged.connect(self._on_model_chosen)
        form.diameter.editingFinished.connect(self._on_diameter)
        form.new_object.clicked.connect(self.new_object)
        form.polarity.clicked.connect(self.toggle_polarity)
        form.object_id.valueChanged.connect(self._on_object_id)
        form.direction.currentTextChanged.connect(self._redraw)
        form.propagate.clicked.connect(self.propagate)
        form.cancel.clicked.connect(self.cancel)
        form.split.clicked.connect(self.split)
        for emitter, slot in self._layer_events():
            emitter.connect(slot)

    def _layer_events(self) -> list[tuple[Any, Callable[..., None]]]:
        events = self.viewer.layers.events
        return [
            (events.inserted, self._on_layer_inserted),
            (events.removed, self._on_layer_removed),
            (events.renamed, self._on_layer_renamed),
        ]

    def _start_movie(self, image: Image) -> _Movie:
        points = create_prompt_layer(image)
        tool = ClickTool(points, on_refused=self._notices.note)
        controller = Controller(
            image,
            points,
            open_session=self._opener(image),
            make_labels=partial(self._make_labels, image),
            runner=self.runner,
            shown_frame=partial(shown_frame, self.viewer, image),
        )
        controller.note.connect(self._notices.note)
        controller.failed.connect(self._notices.error)
        movie = _Movie(controller, tool)
        self._movies.append(movie)
        self._show_points(movie)
        return movie

    def _show_points(self, movie: _Movie) -> None:
        tool = movie.tool
        tool.bind_keys(
            {NEW_OBJECT_KEY: self.new_object, POLARITY_KEY: self.toggle_polarity, PROPAGATE_KEY: self.propagate}
        )
        tool.changed.connect(self._redraw)
        self.viewer.add_layer(tool.points)
        self.viewer.layers.selection.active = tool.points
        tool.points.mode = "add"

    def _ensure_prompt_layer(self) -> None:
        movie = self._movie
        if movie is not None and movie.controller.prompts.points is None:
            object_id = movie.controller.next_object_id
            points = create_prompt_layer(movie.controller.image)
            movie.tool = ClickTool(points, on_refused=self._notices.note)
            movie.tool.object_id = object_id
            movie.controller.prompts.watch(points)
            self._show_points(movie)
            self._redraw()

    def _make_labels(self, image: Image, name: str) -> Labels:
        labels = create_labels_layer(image, name)
        active = self.viewer.layers.selection.active
        self.viewer.add_layer(labels)
        if active is not None:
            # Clicks go on where they went.
            self.viewer.layers.selection.active = active
        return labels

    def _opener(self, image: Image) -> Callable[[], SessionLike]:
        return partial(open_layer_session, image, self._model, diameter=float(self._diameter) or None)

    def _request(self, image: Image) -> PropagationRequest:
        direction = self.form.direction.currentText()
        if direction != TO_FRAME:
            return PropagationRequest(WHOLE_MOVIE[direction])
        here, there = shown_frame(self.viewer, image) or 0, self.form.frame.value()
        return PropagationRequest("forward" if there >= here else "backward", min(here, there), max(here, there))

    def _open_only_choice(self, images: list[Image]) -> None:
        if len(images) == 1:
            # Nobody asked for this one yet, so nothing is said if it is no movie.
            with contextlib.suppress(MovieError):
                self.open_image(images[0])

    def _image_choices(self, _combo: object = None) -> list[Image]:
        return [unwrapped(layer) for layer in self.viewer.layers if isinstance(layer, Image)]

    def _show_movie(self, movie: _Movie | None) -> None:
        if self._movie is not None:
            for signal, slot in self._movie_signals(self._movie):
                signal.disconnect(slot)
        self._movie = movie
        if movie is not None:
            for signal, slot in self._movie_signals(movie):
                signal.connect(slot)
        self._redraw()

    def _movie_signals(self, movie: _Movie) -> list[tuple[Any, Callable[..., None]]]:
        controller = movie.controller
        return [
            (controller.state_changed, self._redraw),
            (controller.objects_changed, self._redraw),
            (controller.status, self.form.show_status),
            (controller.progress, self.form.show_progress),
            (controller.frame_written, self._on_frame_written),
        ]

    def _redraw(self, *_: object) -> None:
        form, movie = self.form, self._movie
        form.show_image(movie.controller.image if movie is not None else None)
        form.hint.setText(HINT if movie is not None else HINT_NO_MOVIE)
        form.frame.setEnabled(form.direction.currentText() == TO_FRAME)
        form.show_state(movie.controller.state if movie is not None else "idle", has_session=movie is not None)
        form.show_polarity(positive=movie is None or movie.tool.positive)
        form.show_objects(movie.controller.object_ids if movie is not None else ())
        if movie is not None:
            form.object_id.setValue(movie.tool.object_id)
            masks = movie.controller.masks
            color = masks.main.layer.get_color(movie.tool.object_id) if masks is not None else None
            form.show_object_color(color)

    def _on_image_chosen(self, image: Image | None) -> None:
        if image is None:
            # The layer chosen was removed; its session has ended, or somebody looks through the list.
            return
        try:
            self.open_image(image)
        except MovieError as error:
            self._notices.error(error)
            self._redraw()

    def _on_model_chosen(self, name: str) -> None:
        if name == FROM_FILE:
            # The choice made now comes back here as another change.
            self.form.model.setCurrentText(self.form.ask_for_model() or self._model)
        elif name != self._model:
            self._model = name
            self._reopen()

    def _on_diameter(self) -> None:
        if self.form.diameter.value() != self._diameter:
            self._diameter = self.form.diameter.value()
            self._reopen()

    def _reopen(self) -> None:
        if self._movie is not None:
            self._movie.controller.reopen_with(self._opener(self._movie.controller.image))

    def _on_object_id(self, object_id: int) -> None:
        if self._movie is not None:
            self._movie.tool.object_id = object_id

    def _on_frame_written(self, frame: int) -> None:
        if self._follower is not None and self._movie is not None and self._movie.controller.state == "propagating":
            self._follower.show(frame)

    def _on_layer_inserted(self, event: Any) -> None:
        self._redraw()
        if not self._movies and isinstance(event.value, Image):
            self._open_only_choice([event.value])

    def _on_layer_renamed(self, event: Any) -> None:
        self._redraw()

    def _on_layer_removed(self, event: Any) -> None:
        layer = event.value
        for movie in list(self._movies):
            controller = movie.controller
            if layer == controller.image:
                controller.close()
                movie.tool.detach()
                self._movies.remove(movie)
                if movie is self._movie:
                    self._show_movie(None)
                self._notices.note(f"The movie '{layer.name}' was removed, so its session has ended; its masks stay.")
            elif layer == controller.prompts.points:
                controller.prompts.unwatch()
                movie.tool.detach()
                self._notices.note("The prompts were removed; the masks stay. 'New object' makes a new prompt layer.")
            elif isinstance(layer, Labels):
                controller.labels_removed(layer)
        self._redraw()
