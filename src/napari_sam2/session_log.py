"""Who listens to what happens in a session: what stores it at once, and what takes it back."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import get_ident
from typing import TYPE_CHECKING, Literal, Protocol

from napari_sam2.errors import SessionError

if TYPE_CHECKING:
    from napari_sam2.tracked_object import TrackedObject

StepKind = Literal[
    "prompts",
    "segment",
    "accept",
    "everything",
    "remove",
    "merge",
    "split",
    "swap",
    "end",
    "absence",
    "rename",
    "parent",
    "divide",
    "settings",
    "frame",
    "undo",
    "approve",
    "disapprove",
    "edits",
    "reload",
]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing done to a session: an edit, or a frame of a propagation.

    Attributes
    ----------
    kind
        Of "everything", all objects that were added at once are one step. "undo" puts back something that was there.
        "edits" are several at once. A "reload" shows what others have stored of a session that cannot be changed here.
    frame
        Which frame, of a "frame" of a propagation, a "segment" or an "accept".
    """

    kind: StepKind
    frame: int | None = None


class SessionLog(Protocol):
    """Listens to a session; called in the thread that works with it, and never but between `begin` and `end`.

    Before anything changes it is told what is about to, and reads what is there with `TrackedObject.record`; at the
    `end` it reads in the same way what is there now. `TrackedObject.restore` puts a record back. Settings, and how far
    a propagation has come, are values to be compared: `TrackingSession.settings` and `TrackingSession.run`.
    """

    def begin(self, step: Step) -> None:
        """A step begins; an error raised here refuses it before anything has changed."""

    def touching(self, known: "TrackedObject", frames: Collection[int]) -> None:
        """What is known of an object on some frames may change in this step; as yet nothing of it has.

        A frame may come several times in a step. Only what `record` gives of it the first time was there before.
        """

    def removing(self, known: "TrackedObject") -> None:
        """An object is about to go, with all that is known of it; `known` itself stays as it is."""

    def close(self) -> None:
        """The session is needed no more."""

    def end(self, step: Step) -> None:
        """The step is done, or was broken off by an error: then what changed until there has changed."""


class SessionLogs:
    """The listeners of one session, in the order in which they came.

    Steps within a step are part of it, if they are taken in the same thread; others are refused.
    """

    def __init__(self) -> None:
        self._logs: list[SessionLog] = []
        # The thread that is within a step.
        self._within: int | None = None

    def __bool__(self) -> bool:
        return bool(self._logs)

    def add(self, log: SessionLog, *, first: bool = False) -> None:
        """Let somebody listen from now on; who must know whatever the others make of it is told `first`."""
        self._logs.insert(0 if first else len(self._logs), log)

    def remove(self, log: SessionLog) -> None:
        """Let somebody listen no more."""
        self._logs.remove(log)

    @contextmanager
    def step(self, kind: StepKind, frame: int | None = None) -> Iterator[None]:
        """Everything that happens inside is one step. Errors of listeners come out of it when the others are done.

        Raises
        ------
        SessionError
            If another thread is within a step.
        """
        if self._within is not None:
            if self._within != get_ident():
                raise SessionError(
                    "Another thread changes this session at this moment, and nothing else may: wait until it is done"
                )
            yield
            return
        step = Step(kind, frame)
        with ExitStack() as ends:
            for log in tuple(self._logs):
                log.begin(step)
                ends.callback(log.end, step)
            self._within = get_ident()
            ends.callback(self._leave)
            yield

    def touching(self, known: "TrackedObject", frames: Collection[int]) -> None:
        """Tell that what is known of an object on some frames is about to change."""
        for log in self._logs:
            log.touching(known, frames)

    def removing(self, known: "TrackedObject") -> None:
        """Tell that an object is about to go."""
        for log in self._logs:
            log.removing(known)

    def close(self) -> None:
        """Tell that the session is needed no more, and nobody listens from now on."""
        with ExitStack() as closing:
            for log in self._logs:
                closing.callback(log.close)
        self._logs = []

    def _leave(self) -> None:
        self._within = None
