"""What the buttons and keys for prompts do to the movie that is chosen."""

from collections.abc import Callable

from napari_sam2.widget.form import TrackerForm
from napari_sam2.widget.open_movie import OpenMovie
from napari_sam2.widget.viewing import unwrapped


class ClickActions:
    """Wires the controls of prompts to the movie that is chosen.

    Parameters
    ----------
    movie
        The one chosen; None if there is none.
    redraw
        Shows what the next click says.
    """

    def __init__(self, form: TrackerForm, movie: Callable[[], OpenMovie | None], redraw: Callable[[], None]) -> None:
        self._form = form
        self._chosen = movie
        self._redraw = redraw
        for button, action in (
            (form.new_object, self.new_object),
            (form.polarity, self.toggle_polarity),
            (form.box, self.draw_box),
            (form.outline, self.draw_outline),
            (form.labels.use, self.use_labels),
        ):
            # A method, not a lambda: the button must not keep the widget alive.
            button.clicked.connect(action)
        form.object_id.valueChanged.connect(self.choose_object)

    def new_object(self, *_: object) -> None:
        """Let the next clicks be about an object that has none yet."""
        if (movie := self._chosen()) is not None:
            movie.new_object()
            self._redraw()

    def toggle_polarity(self, *_: object) -> None:
        """Change what a left click says."""
        if (movie := self._chosen()) is not None:
            movie.tool.positive = not movie.tool.positive
        self._redraw()

    def draw_box(self, *_: object) -> None:
        """Let the next drag draw a rectangle around the object, as a prompt."""
        if (movie := self._chosen()) is not None:
            movie.draw("rectangle")

    def draw_outline(self, *_: object) -> None:
        """Let the next drag draw the outline of the object, whose inside is its mask."""
        if (movie := self._chosen()) is not None:
            movie.draw("polygon_lasso")

    def use_labels(self, *_: object) -> None:
        """Make objects of the labels that a layer has on the frame on screen."""
        if (movie := self._chosen()) is not None:
            movie.use_labels(unwrapped(self._form.labels.layer.value))

    def choose_object(self, object_id: int) -> None:
        """Let the next clicks be about an object."""
        if (movie := self._chosen()) is not None:
            movie.tool.object_id = object_id
