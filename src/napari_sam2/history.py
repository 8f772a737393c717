"""What was done to a session, so that it can be undone and done again."""

import weakref
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from napari_sam2.errors import HistoryError
from napari_sam2.history_change import Change

if TYPE_CHECKING:
    from napari_sam2.session_log import Step
    from napari_sam2.tracked_object import TrackedObject
    from napari_sam2.tracking_session import TrackingSession

HISTORY_BYTES = 256 * 10**6


class History:
    """Keeps what was there before each step of a session, and puts it back; listens to `TrackingSession.logs`.

    What counts as one step to be undone: an edit; the prompts and the answers to them that follow at once; all frames
    that are propagated with no edit in between, to the end or until it is stopped. Steps that change nothing are left
    out, and so are settings, which undo does not touch.

    Invariant: all that changed since the oldest step kept is in the steps, so that going back is exact. It does not
    keep the session alive.

    Parameters
    ----------
    max_bytes
        How many bytes the steps may take, about; beyond that the oldest are dropped. 0 keeps none at all.
    """

    def __init__(self, session: "TrackingSession", max_bytes: int = HISTORY_BYTES) -> None:
        self.max_bytes = max_bytes
        self._session = weakref.ref(session)
        self._done: list[Change] = []
        self._undone: list[Change] = []
        self._current: Change | None = None
        # The propagation that is under way, as far as nothing else was done since its last frame.
        self._frames: Change | None = None
        self._num_running = 0
        self._is_replaying = False
        if max_bytes > 0:
            session.logs.add(weakref.proxy(self))

    @property
    def undo_name(self) -> str | None:
        """What would be undone, in words such as "click on object 3"; None if there is nothing."""
        return self._done[-1].name if self._done else None

    @property
    def redo_name(self) -> str | None:
        """What would be done again; None if there is nothing."""
        return self._undone[-1].name if self._undone else None

    @property
    def is_running(self) -> bool:
        """Whether a propagation is under way."""
        return self._num_running > 0

    @property
    def nbytes(self) -> int:
        """About how many bytes the steps take."""
        return sum(change.nbytes for change in (*self._done, *self._undone))

    def undo(self) -> str:
        """Take back the last step; returns its name. For errors see `TrackingSession.undo`."""
        return self._move("undo")

    def redo(self) -> str:
        """Do again what was undone last; returns its name. For errors see `TrackingSession.redo`."""
        return self._move("redo")

    @contextmanager
    def propagation(self) -> Iterator[None]:
        """The frames that are done inside are one step, and nothing can be undone meanwhile."""
        self._num_running += 1
        try:
            yield
        finally:
            self._num_running -= 1
            if not self._num_running:
                self._frames = None

    def begin(self, step: "Step") -> None:
        """Note what there is."""
        session = self._session()
        if self._is_replaying or session is None or step.kind in ("settings", "reload"):
            return
        if step.kind == "frame" and self._frames is not None:
            self._current = self._frames
        else:
            self._current = Change(step, session.objects, session.run)

    def touching(self, known: "TrackedObject", frames: Collection[int]) -> None:
        """Keep what is known of an object on frames that may change."""
        if self._current is not None and not self._current.is_lost:
            self._current.keep(known, frames)

    def removing(self, known: "TrackedObject") -> None:
        """Keep an object that goes; what is on disk only is taken into memory."""
        if self._current is not None:
            known.load()

    def end(self, step: "Step") -> None:
        """Keep the step, if it has changed anything; what was undone cannot be done again from then on."""
        session, current = self._session(), self._current
        self._current = None
        if current is None or session is None:
            return
        if current is not self._frames:
            if not current.settle(session.objects, session.run):
                return
            self._undone.clear()
            self._frames = current if step.kind == "frame" else None
            if not (self._done and self._done[-1].join(current)):
                self._done.append(current)
        self._trim()

    def close(self) -> None:
        """Forget all steps: from now on nobody tells what happens."""
        self._done, self._undone, self._current, self._frames = [], [], None, None

    def _move(self, way: Literal["undo", "redo"]) -> str:
        session = self._session()
        source, target = (self._done, self._undone) if way == "undo" else (self._undone, self._done)
        if self.is_running:
            raise HistoryError(
                f"a propagation is under way, so there is no {way}: stop it first, or close the iterator that "
                "`propagate` gave (`frames.close()`)"
            )
        if session is None or not source:
            off = "; the history is off (history_bytes=0)" if self.max_bytes <= 0 else ""
            raise HistoryError(f"there is nothing to {way}{off}: ask `can_{way}` first")
        change = source[-1]
        self._is_replaying = True
        try:
            with session.logs.step("undo"):
                if way == "undo":
                    change.keep_after(session.objects, session.run)
                moment = change.after if way == "redo" and change.after is not None else change.before
                moment.apply(session.objects)
                session.run = moment.run
                if way == "redo":
                    change.forget_after()
                target.append(source.pop())
        finally:
            self._is_replaying = False
        self._trim()
        return change.name

    def _trim(self) -> None:
        """Drop the oldest steps while they take too much, and then those that would be done again last."""
        excess = self.nbytes - self.max_bytes
        while excess > 0 and (self._done or self._undone):
            dropped = (self._done or self._undone).pop(0)
            excess -= dropped.nbytes
            dropped.lose()
