"""Masks that somebody erased altogether, until the session is told of them. No Qt, no napari."""

from collections.abc import Collection

from napari_sam2.widget.answers import SessionLike
from napari_sam2.widget.backlog import Backlog
from napari_sam2.widget.edits import WaitingEdits, mark_absent
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

    def add(self, erased: Collection[ObjectFrame], session: SessionLike) -> None:
        """Let these be told, too; of all of them, those of which the session has a mask."""
        erased, masklets = self._waiting.union(erased), session.masklets
        self._waiting = {(i, frame) for i, frame in erased if i in masklets and frame in masklets[i]}
        places = sorted((frame, i) for i, frame in self._waiting)
        self._edits.first = mark_absent(places) if places else None

    def on_edit(self, backlog: Backlog) -> None:
        """Take note that the next edit begins: if it tells of these, they are to be shown as the session has them."""
        if self._edits.first is not None:
            self._told, self._waiting = self._waiting, set()
            for object_id, frame in self._told:
                backlog.add(frame, object_id)

    def on_end(self, *, canceled: bool) -> None:
        """Take note that a job has ended; what was told in vain is told again."""
        self._waiting |= self._told if canceled else set()
        self._told = set()
