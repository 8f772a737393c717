"""Reviewing the masks of the movie chosen: goes to those in doubt, says why, and approves."""

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, QTimer

from napari_sam2.widget import edits
from napari_sam2.widget.answers import SessionLike
from napari_sam2.widget.open_movie import OpenMovie
from napari_sam2.widget.review_form import ReviewForm
from napari_sam2.widget.review_row import NOTHING
from napari_sam2.widget.viewing import show_frame, shown_frame

_DELAY_MS = 150


class Review(QObject):
    """Wires the review form, the viewer and the movie that is worked on.

    Parameters
    ----------
    viewer
        Shows the frames.
    note
        Tells the user something.
    """

    def __init__(self, parent: QObject, viewer: Any, form: ReviewForm, note: Callable[[str], None]) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._form = form
        self._note = note
        self._movie: OpenMovie | None = None
        # Where it was said that there is no doubt beyond; that stays until something else is on screen.
        self._told_at: tuple[int | None, int | None] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY_MS)
        self._timer.timeout.connect(self.refresh)
        form.next.clicked.connect(self.next)
        form.previous.clicked.connect(self.previous)
        form.approve.clicked.connect(self.approve_frame)
        form.approve_object.clicked.connect(self.approve_object)
        form.strip.chosen.connect(self.go_to)
        viewer.dims.events.current_step.connect(self._on_moved)

    def shut_down(self) -> None:
        """Let go of the viewer."""
        self._timer.stop()
        self._movie = None
        self._viewer.dims.events.current_step.disconnect(self._on_moved)

    def show_movie(self, movie: OpenMovie | None) -> None:
        """Review this movie from now on."""
        self._movie = movie
        self.refresh()

    def refresh_soon(self, *_: object) -> None:
        """Show in a moment what there is then; a run that writes frames asks for it often."""
        if not self._timer.isActive():
            self._timer.start()

    def refresh(self) -> None:
        """Show how sure the masks are now, as far as that is known."""
        reviews = {} if self._movie is None else self._movie.controller.objects.reviews
        known = {i: reviews[i].values for i in sorted(reviews) if (reviews[i].values < NOTHING).any()}
        self._form.strip.show_rows(known)
        if not known:
            self._form.reason.setText("")
        can_edit = self._movie is not None and self._movie.controller.can_edit
        self._form.show_enabled(enabled=bool(known), can_edit=can_edit)
        self._on_moved()

    def next(self, *_: object) -> None:
        """Go to the next frame on which a mask is in doubt."""
        self._step(1)

    def previous(self, *_: object) -> None:
        """Go back to the frame before on which a mask is in doubt."""
        self._step(-1)

    def go_to(self, frame: int, object_id: int) -> None:
        """Show a frame, and let clicks and approvals be about an object."""
        if self._movie is not None:
            self._movie.tool.object_id = object_id
            show_frame(self._viewer, self._movie.image, frame)
            self._on_moved()

    def approve_frame(self, *_: object) -> None:
        """Approve the mask of the object on the frame on screen, or that it is not there, or take that back."""
        movie, session, frame = self._movie, self._session(), self._frame()
        if movie is None or session is None or frame is None:
            return
        object_id = movie.tool.object_id
        if not session.can_approve(object_id, frame):
            self._note(
                f"Object {object_id} has no mask on this frame that could be approved, and was not looked for here."
            )
        elif frame in session.approved(object_id):
            self._edit(edits.disapprove(object_id, frame))
        else:
            self._edit(edits.approve(object_id, frame))

    def approve_object(self, *_: object) -> None:
        """Approve all frames of the object, or take that back if all of them are approved."""
        movie, session = self._movie, self._session()
        if movie is None or session is None:
            return
        object_id = movie.tool.object_id
        masklet = session.masklets.get(object_id)
        frames = set() if masklet is None else {*masklet.frames, *masklet.absent}
        if not frames:
            self._note(f"Object {object_id} has no masks that could be approved.")
        elif frames <= set(session.approved(object_id)):
            self._edit(edits.disapprove(object_id))
        else:
            self._edit(edits.approve(object_id))

    def _edit(self, edit: edits.Edit) -> None:
        if self._movie is not None:
            self._told_at = None
            self._movie.controller.edit(edit)

    def _step(self, step: int) -> None:
        movie, frame = self._movie, self._frame()
        if movie is None or frame is None or self._session() is None:
            return
        doubts = (doubt for row in movie.controller.objects.reviews.values() for doubt in row.doubts)
        ahead = [doubt for doubt in doubts if (doubt.frame - frame) * step > 0]
        doubt = min(ahead, key=lambda d: (abs(d.frame - frame), d.confidence, d.object_id), default=None)
        if doubt is None:
            self._told_at = frame, movie.tool.object_id
            self._form.reason.setText(f"No mask is in doubt {'after' if step > 0 else 'before'} this frame.")
        else:
            self.go_to(doubt.frame, doubt.object_id)

    def _session(self) -> SessionLike | None:
        return None if self._movie is None else self._movie.controller.session

    def _frame(self) -> int | None:
        return None if self._movie is None else shown_frame(self._viewer, self._movie.image)

    def _on_moved(self, _event: object = None) -> None:
        """Say how sure the mask on screen is, and why it is in doubt."""
        frame, movie = self._frame(), self._movie
        object_id = None if movie is None else movie.tool.object_id
        self._form.strip.show_place(frame, object_id)
        if self._told_at == (frame, object_id):
            return
        self._told_at = None
        if movie is not None and frame is not None and object_id is not None:
            row = movie.controller.objects.reviews.get(object_id)
            self._form.reason.setText("" if row is None else row.words(frame, object_id))
