"""What a session offers to those who annotate: taking steps back, and edits of whole objects."""

from collections.abc import Iterator
from contextlib import contextmanager
from operator import index
from typing import TYPE_CHECKING

from napari_sam2 import object_edits
from napari_sam2.edit_together import EditTogether
from napari_sam2.errors import SessionError
from napari_sam2.history import History
from napari_sam2.runs import Run
from napari_sam2.session_log import StepKind
from napari_sam2.session_objects import SessionObjects

if TYPE_CHECKING:
    from napari_sam2.tracking_session import TrackingSession


class EditableSession:
    """The part of `TrackingSession` that edits objects and takes steps back.

    Attributes
    ----------
    history
        The steps that can be taken back; see `History` for what counts as one.
    """

    history: History
    run: Run | None
    _objects: SessionObjects

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back; not while a propagation is under way."""
        return self.history.undo_name is not None and not self.history.is_running

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again; not while a propagation is under way."""
        return self.history.redo_name is not None and not self.history.is_running

    def undo(self) -> str:
        """Take back the last step: masks, prompts, answers and where objects were tracked are again what they were.

        A propagation is one step, however far it came. Settings stay. In a stored session this is itself a step that
        is stored at once.

        Returns
        -------
        The name of the step, such as "propagation" or "click on object 3".

        Raises
        ------
        HistoryError
            If there is none, or a propagation is under way.
        SessionError
            If the session can only be looked at; then nothing changes.
        """
        return self.history.undo()

    def redo(self) -> str:
        """Do again, without any computation, what was undone last; an edit after `undo` leaves nothing to do again.

        Returns
        -------
        The name of the step.

        Raises
        ------
        HistoryError, SessionError
            As of `undo`.
        """
        return self.history.redo()

    @contextmanager
    def one_step(self, kind: StepKind = "edits") -> Iterator[None]:
        """Edits made inside are one step, for `undo` and for the store, and either all of them are made or none.

        If one of them raises an error, what was there before the first one is put back, and the error comes out of it.

        Parameters
        ----------
        kind
            What the step is called: that of its edits, if they are alike.
        """
        with EditTogether(self._objects, self.run, kind):
            yield

    @property
    def next_object_id(self) -> int:
        """For a new object, 1 or more: an ID that no object of this session ever had, removed ones included."""
        return self._objects.next_id

    @property
    def names(self) -> dict[int, str]:
        """By object ID, what people call it; most have no name."""
        return dict(self._objects.facts.names)

    @property
    def ends(self) -> dict[int, int]:
        """By object ID, the frame from which on it is there no more; see `end`."""
        return dict(self._objects.facts.ends)

    @property
    def parents(self) -> dict[int, int]:
        """By the ID of each object that has one, the ID of its parent; see `divide` and `set_parent`."""
        return dict(self._objects.facts.parents)

    def rename(self, object_id: int, name: str) -> None:
        """Give an object a name for people to read, of 200 characters at most; an empty one takes it away.

        The name stays with the ID, whatever is merged, split or swapped, and goes with the object.

        Raises
        ------
        PromptError
            If there is no such object, or the name is too long; then nothing changes.
        """
        object_edits.rename(self._objects, index(object_id), name)

    def merge(self, into: int, other: int) -> None:
        """Make one object of two, such as the pieces of a cell that was lost and clicked again.

        Where both have a mask, `into` gets both together, with the higher score and the lower predicted IoU; where one
        has, that one. `into` keeps its prompts, those of `other` are dropped, and `other` is removed; its children are
        those of `into` then, and its parent too, if `into` has none. What was tracked
        counts from now on as tracked from the prompts of `into`. A frame on which `into` has prompts shows both masks
        until it is propagated again; then it shows again what its prompts gave.

        Raises
        ------
        PromptError
            If there is no such object, or both are the same; then nothing changes.
        """
        object_edits.merge(self._objects, index(into), index(other))

    def split(self, object_id: int, frame: int) -> int:
        """Make two objects of one: what it has from a frame (0 to T-1) on belongs to a new one; returns the new ID.

        Prompts from that frame on move along, and so do children that first show up from there on. The new object's
        first mask becomes a mask prompt, so that it can be propagated. If all prompts move, the last mask that stays
        becomes one too.

        Raises
        ------
        PromptError
            If there is no such object, or it has no mask before that frame, or none from there on; then nothing
            changes.
        """
        return object_edits.split(self._objects, index(object_id), index(frame))

    def swap(self, a: int, b: int, frame: int) -> None:
        """Let two objects change places from a frame (0 to T-1) on, as after two cells were confused.

        Masks, prompts and children from there on change hands. The first mask from there on becomes a mask prompt of
        each, so that the next propagation does not confuse them again.

        Raises
        ------
        PromptError
            If there are no such objects, both are the same, or neither has a mask from that frame on; then nothing
            changes.
        """
        object_edits.swap(self._objects, index(a), index(b), index(frame))

    def end(self, object_id: int, frame: int) -> None:
        """Say that an object is there no more from a frame (1 to T-1) on, as after division or death.

        Its masks and prompts from there on are removed, and it is not followed beyond, until a prompt that says where
        it is (a positive point, a box, a mask) is given there.

        Raises
        ------
        PromptError
            If there is no such object, or nothing of it would be left; then nothing changes.
        """
        object_edits.end(self._objects, index(object_id), index(frame))

    def divide(self, object_id: int, frame: int) -> tuple[int, ...]:
        """Say that an object divides: from a frame (1 to T-1) on, the pieces of its mask there are its children.

        Each piece becomes a new object, with the piece as a mask prompt, and with this one as its parent; pieces of
        less than a tenth of the mask are left out. This one ends there, see `end`; children that it has already stay
        its own. Of an object that buds and lives on, or whose children were clicked, say it with `set_parent`.

        Returns
        -------
        The IDs of the children, the largest one first.

        Raises
        ------
        PromptError
            If there is no such object, its mask on the frame is not in two pieces, or nothing of it would be left;
            then nothing changes.
        """
        return object_edits.divide(self._objects, index(object_id), index(frame))

    def set_parent(self, object_id: int, parent: int | None) -> None:
        """Say which object one came from by division, or with None that it came from none that is known.

        It is not followed to frames before the end of its parent, if that has one. Masks that are there stay.

        Raises
        ------
        PromptError
            If there are no such objects, or the parent descends from the object; then nothing changes.
        """
        object_edits.set_parent(self._objects, index(object_id), None if parent is None else index(parent))

    def mark_absent(self, object_id: int, frame: int) -> None:
        """Say that an object is not on a frame (0 to T-1), whatever is shown there; on others it is as before.

        Its mask and its prompts on the frame are removed, and that it is not there is approved, so that no propagation
        changes it; see `approve`. What was tracked across the frame is followed anew by the next update. If no prompts
        are left, the last mask becomes one.

        Raises
        ------
        PromptError
            If there is no such object or frame, or nothing of the object would be left; then nothing changes.
        """
        object_edits.mark_absent(self._objects, index(object_id), index(frame))

    def take_over(self, other: "TrackingSession") -> None:
        """Go on with what another session of the same movie has, which is used no more; this one is still empty.

        Prompts, masks, names, ends, parents and approvals are as they were, and so is a propagation that was stopped.
        Prompts are answered anew when they are next segmented or propagated. What could be undone there cannot be
        undone here.

        Raises
        ------
        SessionError
            If this session has objects, or the other one is of a movie of another shape.
        """
        objects, others = self._objects, other.objects
        shapes = [(known.num_frames, *known.shape_yx) for known in (objects, others)]
        if objects or shapes[0] != shapes[1]:
            raise SessionError(
                f"this session has {len(objects)} objects and a movie of {shapes[0]} (T, Y, X), the other one a movie "
                f"of {shapes[1]}: begin a session of the same movie, and let it take the other one over at once"
            )
        objects.take_over(others)
        self.run = other.run
