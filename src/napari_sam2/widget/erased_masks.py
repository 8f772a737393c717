"""Masks that somebody erased altogether, until the session is told of them. No Qt, no napari."""

from napari_sam2.errors import PromptError
from napari_sam2.widget.answers import SessionLike
from napari_sam2.widget.backlog import Backlog
from napari_sam2.widget.edits import WaitingEdits, mark_absent
from napari_sam2.widget.jobs import JobEnd
from napari_sam2.widget.mask_output import MaskOutput
from napari_sam2.widget.prompt_watch import ObjectFrame


class ErasedMasks:
    """By object ID and frame; they are told before any other edit, and what becomes of them is shown.

    Parameters
    ----------
    edits
        Where the edit that tells of them waits.
    """

    def __init__(self, edits: WaitingEdits) -> None:
        self._edits = edits
        self._waiting: set[ObjectFrame] = set()
        self._told: set[ObjectFrame] = set()

    @property
    def untold(self) -> set[ObjectFrame]:
        """Those of which the session does not know that they were erased."""
        return self._waiting | self._told

    def look(self, masks: MaskOutput, session: SessionLike | None) -> None:
        """Let those be told that are erased by now, and no others; of all of them, those that the session has."""
        if session is None:
            return
        erased, masklets = masks.take_erased(self.untold), session.masklets
        self._waiting = {(i, frame) for i, frame in erased if i in masklets and frame in masklets[i]}
        places = sorted((frame, i) for i, frame in self._waiting)
        self._edits.first = mark_absent(places) if places else None

    def on_edit(self) -> None:
        """Take note that the next edit begins, which may be the one that tells of these."""
        if self._edits.first is not None:
            self._told, self._waiting = self._waiting, set()

    def on_end(self, backlog: Backlog, end: JobEnd) -> None:
        """Take note that a job has ended; what was told is shown as the session has it, or told again if in vain.

        What the session refuses would be refused again.
        """
        if end.canceled or not isinstance(end.error, PromptError | None):
            self._waiting |= self._told
        else:
            for object_id, frame in self._told:
                backlog.add(frame, object_id)
        self._told = set()
