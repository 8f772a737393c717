"""The dock widget: wires the controls, the viewer and the controllers together."""

from collections.abc import Callable
from typing import Any

import napari
from napari.layers import Image, Labels
from napari.utils.notifications import show_warning
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_sam2.errors import MovieError
from napari_sam2.layers import Saving, movie_shape
from napari_sam2.session_files.places import sessions_folder
from napari_sam2.widget.answers import SessionLike
from napari_sam2.widget.click_actions import ClickActions
from napari_sam2.widget.controller import Controller
from napari_sam2.widget.form import HINT, HINT_CHOOSE, HINT_NO_MOVIE, TrackerForm
from napari_sam2.widget.input_asking import InputAsking
from napari_sam2.widget.key_captions import KeyCaptions
from napari_sam2.widget.keys import Keys
from napari_sam2.widget.later import Later
from napari_sam2.widget.look_ahead import LookAhead
from napari_sam2.widget.model_choice import ModelChoice
from napari_sam2.widget.model_switch import ModelSwitch
from napari_sam2.widget.notices import Notices
from napari_sam2.widget.object_actions import ObjectActions
from napari_sam2.widget.object_panel import ObjectPanel
from napari_sam2.widget.open_movie import OpenMovie
from napari_sam2.widget.parts import scrolled
from napari_sam2.widget.preference_watch import PreferenceWatch
from napari_sam2.widget.preferences import Preferences
from napari_sam2.widget.review import Review
from napari_sam2.widget.run_actions import RunActions
from napari_sam2.widget.shown_choices import ShownChoices
from napari_sam2.widget.viewing import unwrapped
from napari_sam2.widget.workers import WorkerRunner


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
        self.viewer = viewer
        self.runner = WorkerRunner(self)
        self.downloads = WorkerRunner(self)
        self._models = ModelSwitch(self.downloads)
        self._notices = Notices(self)
        self._movies: list[OpenMovie] = []
        self._movie: OpenMovie | None = None
        self._was_docked = False
        self._later = Later(self)
        self._watch = PreferenceWatch(self, self._notices.note)
        preferences = self._watch.preferences
        captions = KeyCaptions(preferences.keys)
        objects = ObjectPanel(self._color, captions)
        self.form = TrackerForm(
            self,
            image_choices=self._image_choices,
            labels_choices=self._labels_choices,
            model=ModelChoice(self._models),
            objects=objects,
            captions=captions,
            preferences=preferences,
        )
        self._choices = ShownChoices(self._models, self.form, preferences)
        self.clicks = ClickActions(self.form, lambda: self._movie, self._redraw)
        self.runs = RunActions(viewer, self.form, lambda: self._movie)
        self._ahead = LookAhead(self, viewer, self.form.advanced.ahead, lambda: self._movie)
        self.object_actions = ObjectActions(viewer, self.form.undo_line, objects, lambda: self._movie)
        self._asking = InputAsking(viewer, self.form.input, restart=self._restart, on_error=self._notices.error)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scrolled(self.form))
        self._review = Review(self, viewer, self.form.review, self._notices.note)
        self.named_actions = self._named_actions()
        self._keys = Keys(preferences.keys, self.named_actions, self._notices.note)
        self._keys.bind(viewer, "viewer")
        self._connect()
        self._redraw()
        self._notices.warn_of_crashes()
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

    def open_saved(self) -> None:
        """Go on with the stored session of the movie chosen, the one beside it or one that somebody chooses."""
        if self._movie is None:
            show_warning(HINT_NO_MOVIE)
            return
        folder = self._movie.saved.saving.offered or self.form.saved.ask(sessions_folder())
        if folder is None:
            return
        if self._asking.takes_stored(self._movie.image, folder):
            self._movie.go_on_with(folder)

    def open_image(self, image: Image) -> None:
        """Start the session of a movie, or go on with it.

        Raises
        ------
        MovieError
            If the layer is no movie.
        """
        last_frame = movie_shape(image)[0] - 1
        movie = next((movie for movie in self._movies if movie.image == image), None)
        movie = movie or self._start_movie(image)
        movie.ensure_prompt_layer()
        self._show_movie(movie)
        self.form.frame.setRange(0, last_frame)
        self.form.frame.setValue(last_frame)

    def shut_down(self) -> None:
        """End all sessions: runs stop at their next frame, and layers stay as ordinary layers."""
        self.runner.stop()
        self.downloads.stop()
        for emitter, slot in self._layer_events():
            emitter.disconnect(slot)
        self._watch.shut_down()
        self._keys.unbind(self.viewer)
        self._ahead.shut_down()
        self._show_movie(None)
        self._review.shut_down()
        for movie in self._movies:
            movie.close()
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

    def _named_actions(self) -> dict[str, Callable[[], object]]:
        """What keys and commands do, by name."""
        return {
            "new_object": self.clicks.new_object,
            "polarity": self.clicks.toggle_polarity,
            "propagate": self.runs.propagate,
            "stop": self.runs.cancel,
            "pause": self.runs.pause,
            "undo": self.object_actions.undo,
            "redo": self.object_actions.redo,
            "end": self.object_actions.end,
            "divide": self.object_actions.divide,
            "next_doubtful": self._review.next,
            "previous_doubtful": self._review.previous,
            "approve": self._review.approve_frame,
            "approve_object": self._review.approve_object,
        }

    def _connect(self) -> None:
        form = self.form
        form.image.changed.connect(self._on_image_chosen)
        self._models.failed.connect(self._notices.error)
        self._watch.changed.connect(self._on_preferences)
        form.saved.button.clicked.connect(self.open_saved)
        form.input.chosen.connect(self._asking.choose)
        form.direction.currentTextChanged.connect(self._redraw)
        for emitter, slot in self._layer_events():
            emitter.connect(slot)

    def _layer_events(self) -> list[tuple[Any, Callable[..., None]]]:
        events = self.viewer.layers.events
        return [
            (events.inserted, self._on_layer_inserted),
            (events.removed, self._on_layer_removed),
            (events.renamed, self._redraw),
        ]

    def _start_movie(self, image: Image) -> OpenMovie:
        preferences = self._watch.preferences
        saving = Saving(image, stores=preferences.autosave, elsewhere=preferences.folder)
        movie = OpenMovie(
            self.viewer,
            image,
            saving=saving,
            choices=self._choices.fresh,
            runner=self.runner,
            later=self._later.call,
            keys=self._keys,
            note=self._notices.note,
            on_tool_changed=self._redraw,
            on_replaced=lambda movie: self._end(movie, "got other pixels"),
        )
        movie.controller.failed.connect(self._notices.error)
        self._choices.started(movie)
        self._movies.append(movie)
        if saving.told:
            movie.go_on_with(saving.told)
        else:
            movie.saved.offer()
        return movie

    def _open_only_choice(self, images: list[Image]) -> None:
        if len(images) == 1:
            # Nobody asked for this one yet, so nothing is said if it is no movie.
            self._ask_or_open(images[0], says_why_not=False)

    def _ask_or_open(self, image: Image, *, says_why_not: bool = True) -> None:
        if self._asking.asks(image):
            self._show_movie(None)
            return
        try:
            self.open_image(image)
        except MovieError as error:
            if says_why_not:
                self._notices.error(error)
                self._redraw()

    def _color(self, object_id: int) -> Any:
        return None if self._movie is None else self._movie.color(object_id)

    def _image_choices(self, _combo: object = None) -> list[Image]:
        return [unwrapped(layer) for layer in self.viewer.layers if isinstance(layer, Image)]

    def _labels_choices(self, _combo: object = None) -> list[Labels]:
        own = [movie.controller.masks.main.layer for movie in self._movies if movie.controller.masks is not None]
        layers = [unwrapped(layer) for layer in self.viewer.layers if isinstance(layer, Labels)]
        return [layer for layer in layers if layer not in own]

    def _restart(self, image: Image) -> None:
        """Begin anew with a movie, of which something else was chosen; what there is stays as ordinary layers."""
        for movie in [movie for movie in self._movies if movie.image == image]:
            movie.close()
            self._movies.remove(movie)
            self._choices.closed(movie)
        self._show_movie(None)
        self.open_image(image)

    def _show_movie(self, movie: OpenMovie | None) -> None:
        if self._movie is not None:
            for signal, slot in self._movie_signals(self._movie):
                signal.disconnect(slot)
        self._movie = movie
        if movie is not None:
            for signal, slot in self._movie_signals(movie):
                signal.connect(slot)
        self._choices.show_movie(movie)
        self._review.show_movie(movie)
        self._redraw()

    def _movie_signals(self, movie: OpenMovie) -> list[tuple[Any, Callable[..., None]]]:
        controller = movie.controller
        return [
            (controller.state_changed, self._redraw),
            (controller.state_changed, self._review.refresh_soon),
            (controller.frame_written, self._review.refresh_soon),
            (controller.objects_changed, self._redraw),
            (controller.status, self.form.show_status),
            (controller.progress, self.form.show_progress),
            (controller.frame_written, self.runs.follow),
            (controller.state_changed, self.runs.on_state),
            (controller.state_changed, self._ahead.soon),
            (controller.measured, self.form.show_measured),
            (controller.found, self.form.objects.select_objects),
            (controller.cleaned, self.form.cleaning.show_cleaning),
            (controller.opened, self._choices.refresh),
        ]

    def _redraw(self, *_: object) -> None:
        form, movie = self.form, self._movie
        asked = movie.image if movie is not None else form.input.layer
        form.show_image(asked)
        form.input.show_layer(asked, self.viewer.dims.point)
        form.saved.show_movie(movie.saved if movie is not None else None)
        form.hint.setText(HINT if movie is not None else HINT_NO_MOVIE if asked is None else HINT_CHOOSE)
        form.show_state(None if movie is None else movie.controller)
        self.object_actions.show()
        form.show_polarity(positive=movie is None or movie.tool.positive)
        form.objects.show_objects(*((movie.controller.object_ids, movie.rows) if movie is not None else ((), dict)))
        if movie is not None:
            form.object_id.setValue(movie.tool.object_id)
            self._review.refresh_soon()
            form.show_object_color(movie.color(movie.tool.object_id))

    def _on_image_chosen(self, image: Image | None) -> None:
        if image is None:
            # The layer chosen was removed; its session has ended, or somebody looks through the list.
            return
        self._ask_or_open(image)

    def _on_preferences(self, preferences: Preferences, before: Preferences) -> None:
        waiting = [movie for movie in self._movies if movie.controller.can_exchange]
        self._keys.choose(preferences.keys)
        self.form.show_preferences(preferences, before)
        for movie in waiting:
            movie.saved.saving.choose(stores=preferences.autosave, elsewhere=preferences.folder)
        self._choices.prefer(preferences, before, waiting)

    def _on_layer_inserted(self, event: Any) -> None:
        self._redraw()
        if not self._movies and isinstance(event.value, Image):
            self._open_only_choice([event.value])

    def _on_layer_removed(self, event: Any) -> None:
        layer = event.value
        for movie in list(self._movies):
            if layer != movie.image:
                movie.layer_removed(layer)
                continue
            self._end(movie, "was removed")
        self.form.input.forget(layer)
        self._redraw()

    def _end(self, movie: OpenMovie, why: str) -> None:
        movie.close()
        self._movies.remove(movie)
        self.form.input.forget(movie.image)
        self._choices.closed(movie)
        if movie is self._movie:
            self._show_movie(None)
        self._notices.note(f"The movie '{movie.image.name}' {why}, so its session has ended; its masks stay.")
