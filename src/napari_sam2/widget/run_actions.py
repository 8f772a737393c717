"""What the buttons and keys for propagation, and for finding cells, do to the movie that is chosen."""

from collections.abc import Callable
from typing import Any

from napari.utils.notifications import show_warning

from napari_sam2.settings import EverythingSettings
from napari_sam2.widget.answers import SearchRequest
from napari_sam2.widget.form import HINT_NO_MOVIE, TrackerForm
from napari_sam2.widget.open_movie import OpenMovie
from napari_sam2.widget.viewing import Follower, shown_frame


class RunActions:
    """Wires the controls of propagation to the movie that is chosen; the viewer follows a run if it should.

    Parameters
    ----------
    movie
        The one chosen; None if there is none.
    """

    def __init__(self, viewer: Any, form: TrackerForm, movie: Callable[[], OpenMovie | None]) -> None:
        self._viewer = viewer
        self._form = form
        self._chosen = movie
        self._follower: Follower | None = None
        for button, action in (
            (form.propagate, self.propagate),
            (form.cancel, self.cancel),
            (form.pause, self.pause),
            (form.everything, self.segment_everything),
        ):
            # A method, not a lambda: the button must not keep the widget alive.
            button.clicked.connect(action)

    def propagate(self, *_: object) -> None:
        """Start the run that the controls describe."""
        movie = self._chosen()
        if movie is None:
            show_warning(HINT_NO_MOVIE)
            return
        here = shown_frame(self._viewer, movie.image)
        if here is None and self._form.starts_here:
            show_warning("That begins with the frame on screen: show the movie in 2-D with time on the slider.")
            return
        request = self._form.request(here or 0)
        if request.object_ids == ():
            show_warning("Select objects in the list first.")
            return
        self._follow(movie)
        movie.controller.propagate(request)

    def segment_everything(self, *_: object) -> None:
        """Find all cells on the frame on screen that have no mask."""
        movie = self._chosen()
        if movie is None:
            show_warning(HINT_NO_MOVIE)
            return
        frame = shown_frame(self._viewer, movie.image)
        if frame is None:
            show_warning("Cells are looked for on one frame: show the movie in 2-D with time on the slider.")
            return
        movie.ensure_prompt_layer()
        settings = EverythingSettings(quality=self._form.quality.value())
        movie.controller.segment_everything(SearchRequest(frame, settings))

    def cancel(self, *_: object) -> None:
        """Stop at the next frame; what is done stays."""
        movie = self._chosen()
        if movie is not None:
            movie.controller.cancel()

    def pause(self, *_: object) -> None:
        """Let a propagation wait after the frame being worked on, or go on, also with one that was stopped before."""
        movie = self._chosen()
        if movie is None:
            return
        if movie.controller.state == "propagating":
            movie.controller.pause()
        elif movie.controller.is_paused or movie.controller.can_resume:
            self._follow(movie)
            movie.controller.resume()

    def _follow(self, movie: OpenMovie) -> None:
        self._follower = Follower(self._viewer, movie.image) if self._form.follow.isChecked() else None

    def follow(self, frame: int) -> None:
        """Show a frame that was written, if a propagation wrote it and the viewer is to follow."""
        movie = self._chosen()
        if self._follower is not None and movie is not None and movie.controller.state == "propagating":
            self._follower.show(frame)

    def on_state(self, state: str) -> None:
        """Show where a propagation has come to when it is over."""
        if self._follower is not None and state not in ("propagating", "stopping"):
            self._follower.finish()
