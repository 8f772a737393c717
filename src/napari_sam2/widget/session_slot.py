"""The session of one movie: opened when it is first needed, exchanged for another, let go of. No Qt here."""

import logging
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from napari_sam2.cleaning import Cleaning
from napari_sam2.errors import SessionError
from napari_sam2.widget.answers import SessionLike
from napari_sam2.widget.change_log import ChangeLog
from napari_sam2.widget.object_book import ObjectBook

_LOGGER = logging.getLogger(__name__)
_END = object()
_BUDGET_S = 0.5
"""How long the end of a job may be put off by what is told of objects."""


class SessionSlot:
    """Invariant: a session is closed once, by whoever is the last to need it, and never while a job works with it.

    Parameters
    ----------
    open_session
        Makes the session; called in the worker thread, since it loads the model.
    changes, objects
        Listen to whichever session there is.

    Attributes
    ----------
    session
        None before it is opened.
    cleaning
        How its masks are tidied up.
    """

    def __init__(self, open_session: Callable[[], SessionLike], changes: ChangeLog, objects: ObjectBook) -> None:
        self.session: SessionLike | None = None
        self.cleaning = Cleaning()
        self._keeps_cleaning = False
        self._open = open_session
        self._changes = changes
        self._objects = objects
        self._lock = threading.Lock()
        self._jobs = 0
        self._is_closed = False
        self._left: list[SessionLike] = []
        self._is_new = False

    def opened(self) -> SessionLike:
        """Return the session, opened if need be; to be called in a job.

        Raises
        ------
        SessionError
            If it was closed for good.
        """
        if self.session is not None:
            return self.session
        if self._is_closed:
            raise SessionError("the session was closed: choose the movie again")
        opener, keeps_cleaning = self._open, self._keeps_cleaning
        self._keeps_cleaning = False
        session = opener()
        if keeps_cleaning:
            self.cleaning = session.cleaning
        else:
            self._tidy(session)
        with self._lock:
            if opener is self._open and not self._is_closed:
                self._objects.open(session)
                self._changes.open(session)
                self.session, self._is_new = session, True
            else:
                self._left.append(session)
        return session

    @property
    def steps(self) -> tuple[str | None, str | None]:
        """What would be undone, and what would be done again, in words; None for nothing."""
        history = None if self.session is None else self.session.history
        if history is None or history.is_running:
            return None, None
        return history.undo_name, history.redo_name

    def is_correctable(self, object_id: int, frame: int) -> bool:
        """Whether there is a session, and points on a frame may correct a mask of an object there."""
        return self.session is not None and self.session.is_correctable(object_id, frame)

    def take_new(self) -> bool:
        """Whether a session was opened since this was asked last."""
        is_new, self._is_new = self._is_new, False
        return is_new

    def working(
        self, steps: Callable[[], Generator[Any, None, None]], *, gathers: bool = False
    ) -> Callable[[], Generator[Any, None, None]]:
        """The steps of a job that works with the session; it stays open for as long as they go on.

        Parameters
        ----------
        gathers
            As of `ChangeLog.job`.
        """

        def body() -> Generator[Any, None, None]:
            with self._in_use(), self._changes.job(gathers=gathers):
                answers = steps()
                try:
                    while True:
                        with self._changes.working():
                            self._tidy(self.session)
                            answer = next(answers, _END)
                            if answer is _END:
                                self._objects.catch_up(_BUDGET_S)
                        if answer is _END:
                            return
                        yield answer
                finally:
                    # A job that is stopped may have something to take back.
                    with self._changes.working():
                        answers.close()

        return body

    def reading(self, steps: Callable[[], Iterator[Any]]) -> Callable[[], Generator[Any, None, None]]:
        """The steps of a job that only reads from the session, whatever others do with it between two of them."""

        def body() -> Generator[Any, None, None]:
            with self._in_use():
                answers = steps()
                while True:
                    with self._changes.reading():
                        answer = next(answers, _END)
                    if answer is _END:
                        return
                    yield answer

        return body

    def change(self, open_session: Callable[[], SessionLike], *, keeps_cleaning: bool = False) -> None:
        """Open another session the next time, and let go of this one; the other one may have its own cleaning."""
        self._open, self._keeps_cleaning = open_session, keeps_cleaning
        self._leave()

    def close(self) -> None:
        """Let go of the session for good."""
        self._is_closed = True
        self._leave()

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        with self._lock:
            self._jobs += 1
        try:
            yield
        finally:
            with self._lock:
                self._jobs -= 1
            self._close_left()

    def _tidy(self, session: SessionLike | None) -> None:
        """Let a session tidy masks up as it should; in the thread that works with it, between two steps."""
        if session is not None and session.cleaning != self.cleaning:
            # One that can only be looked at stays as it is, and that something is not stored is told elsewhere.
            with suppress(SessionError):
                session.cleaning = self.cleaning

    def _leave(self) -> None:
        with self._lock:
            if self.session is not None:
                self._left.append(self.session)
            self.session, self._is_new = None, False
        self._close_left()

    def _close_left(self) -> None:
        with self._lock:
            if self._jobs:
                return
            left, self._left = self._left, []
        for session in left:
            try:
                session.close()
            except (SessionError, OSError) as error:
                # Nobody is there to be told; that the disk is full was said when it was.
                _LOGGER.warning("a session was closed with something left to write: %s", error)
