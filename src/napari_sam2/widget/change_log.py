"""What happens to a session beneath the widget: undo, edits, whatever is done to it in the console. No Qt here."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from threading import RLock, get_ident
from typing import TYPE_CHECKING

from napari_sam2.errors import SessionError
from napari_sam2.session_log import Step

if TYPE_CHECKING:
    from napari_sam2.tracked_object import TrackedObject

Changes = dict[int, set[int]]
"""By object ID, the frames on which something may be other than before."""


class ChangeLog:
    """Listens to a session, tells its own jobs from all others, and keeps these apart.

    Jobs of the widget know by themselves what they change. Everybody else takes turns with those that only read, and is
    refused while one works that writes, since a session is for one thread at a time.

    Parameters
    ----------
    on_change
        Told after each step of somebody else, in the thread that took it.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._turn = RLock()
        self._worker: int | None = None
        self._is_busy = self._gathers = False
        self._changes: Changes = {}
        self._has_other_settings = False

    def take(self) -> Changes:
        """What changed since this was asked last."""
        with self._turn:
            changes, self._changes = self._changes, {}
        return changes

    def take_settings(self) -> bool:
        """Whether somebody else has changed settings since this was asked last."""
        changed, self._has_other_settings = self._has_other_settings, False
        return changed

    @contextmanager
    def job(self, *, gathers: bool) -> Iterator[None]:
        """A job goes on inside, step by step in `working`; nobody else may change the session.

        Parameters
        ----------
        gathers
            Whether what it changes is to be kept here, as if somebody else had done it.
        """
        self._is_busy, self._gathers = True, gathers
        try:
            yield
        finally:
            self._is_busy = self._gathers = False

    @contextmanager
    def working(self) -> Iterator[None]:
        """What this thread does inside is a step of the job."""
        self._worker = get_ident()
        try:
            yield
        finally:
            self._worker = None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Nobody changes the session meanwhile; whoever wants to waits."""
        with self._turn:
            yield

    def begin(self, step: Step) -> None:
        """Refuse a step of somebody else while a job works.

        Raises
        ------
        SessionError
            With what to do.
        """
        if self._is_own:
            return
        if self._is_busy:
            raise SessionError(
                "The widget works with this session at this moment, and nothing else may: wait until it is done, or "
                "press Cancel there"
            )
        self._turn.acquire()

    def touching(self, known: "TrackedObject", frames: Collection[int]) -> None:
        """Note what may change."""
        if self._gathers or not self._is_own:
            self._changes.setdefault(known.object_id, set()).update(frames)

    def removing(self, known: "TrackedObject") -> None:
        """Note that all of an object goes."""
        self.touching(known, known.frames)

    def end(self, step: Step) -> None:
        """Tell, if it was a step of somebody else."""
        if self._is_own:
            return
        self._has_other_settings |= step.kind == "settings"
        self._turn.release()
        self._on_change()

    def close(self) -> None:
        """Forget what changed: the session is needed no more."""
        self._changes = {}

    @property
    def _is_own(self) -> bool:
        return self._worker == get_ident()
