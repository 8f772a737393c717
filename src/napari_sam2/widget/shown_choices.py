"""The part of the form that says with what a session is opened: it is about the movie that is shown."""

from dataclasses import replace
from typing import Any

from napari_sam2.cleaning import Cleaning
from napari_sam2.widget.form import TrackerForm
from napari_sam2.widget.model_switch import ModelSwitch
from napari_sam2.widget.open_movie import OpenMovie
from napari_sam2.widget.preferences import Preferences
from napari_sam2.widget.session_choices import SessionChoices


class ShownChoices:
    """Shows what was chosen for a movie, and hands on to it what is changed; other movies stay as they are.

    Without a movie, the form shows what the next one begins with.
    """

    def __init__(self, models: ModelSwitch, form: TrackerForm, preferences: Preferences) -> None:
        self._models = models
        self._form = form
        self._device = preferences.device
        # Of the preferences, since they changed; until another one is chosen in the form.
        self._precision: dict[str, Any] = {}
        self._movie: OpenMovie | None = None
        self._shown = SessionChoices(models.model, form.advanced.setup(diameter=None, device=self._device))
        models.used.connect(self._on_model)
        form.diameter.editingFinished.connect(self._on_diameter)
        form.advanced.changed.connect(self._on_advanced)
        form.cleaning.changed.connect(self._on_cleaning)

    @property
    def fresh(self) -> SessionChoices:
        """What a movie begins with: all that the form shows, but for what was changed in the preferences since."""
        return self._shown.but(device=self._device, **self._precision)

    def started(self, movie: OpenMovie) -> None:
        """Take note that a movie has begun, with what is `fresh`; it also gets the model that is on its way."""
        movie.controller.set_cleaning(self._form.cleaning.cleaning)
        self._models.join(movie)

    def show_movie(self, movie: OpenMovie | None) -> None:
        """Show what is chosen for this movie from now on; no session is opened anew by that."""
        if movie is self._movie:
            return
        if movie is not None:
            # What was typed and not finished is about the movie before.
            self._on_diameter()
            self._movie = movie
            self._fill(movie)
        else:
            self._movie = None
            self._models.join(None)
            self._models.show_user(self._shown.model, None)

    def closed(self, movie: OpenMovie) -> None:
        """Take note that a movie is over, which waits for no model."""
        self._models.leave(movie)

    def refresh(self, *_: object) -> None:
        """Show what the session of the movie was opened with, which may be a stored one with choices of its own."""
        if self._movie is not None:
            self._fill(self._movie)

    def prefer(self, preferences: Preferences, before: Preferences, movies: list[OpenMovie]) -> None:
        """Let the device and the precision of the preferences count for these movies, and for those to come."""
        self._device = preferences.device
        changes: dict[str, Any] = {"device": preferences.device}
        if preferences.precision != before.precision:
            self._precision = {"precision": preferences.precision}
            changes |= self._precision
        for movie in movies:
            movie.choose(movie.choices.but(**changes))
        if self._movie is None:
            self._show(self._shown.but(**changes))
        else:
            self.refresh()

    def _fill(self, movie: OpenMovie) -> None:
        self._show(movie.choices)
        self._models.show_user(movie.choices.model, movie)
        self._form.cleaning.show_cleaning(movie.controller.cleaning)
        self._form.show_measured(movie.measured)

    def _show(self, choices: SessionChoices) -> None:
        if choices != self._shown:
            self._shown = choices
            self._form.show_setup(choices.setup)

    def _choose(self, choices: SessionChoices) -> None:
        self._shown = choices
        if self._movie is not None:
            self._movie.choose(choices)
            self._fill(self._movie)

    def _on_diameter(self) -> None:
        diameter = self._form.diameter.value()
        # The form shows whole pixels; what was given more exactly in Python stays until it is changed.
        if diameter != round(self._shown.setup.diameter or 0):
            self._choose(self._shown.but(diameter=float(diameter) or None))

    def _on_advanced(self) -> None:
        setup = self._shown.setup
        setup = self._form.advanced.setup(diameter=setup.diameter, device=setup.device)
        if setup.precision != self._shown.setup.precision:
            self._precision = {}
        self._choose(replace(self._shown, setup=setup))

    def _on_cleaning(self, cleaning: Cleaning) -> None:
        if self._movie is not None:
            self._movie.choose_cleaning(cleaning)
            self._fill(self._movie)

    def _on_model(self, model: str, movie: OpenMovie | None) -> None:
        if movie is self._movie:
            self._choose(replace(self._shown, model=model))
        elif movie is not None:
            movie.choose(replace(movie.choices, model=model))
