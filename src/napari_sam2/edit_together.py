"""Several edits of a session as one, of which all are made or none."""

from collections.abc import Collection
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from napari_sam2.history_change import Change
from napari_sam2.session_log import Step, StepKind

if TYPE_CHECKING:
    from napari_sam2.runs import Run
    from napari_sam2.session_objects import SessionObjects
    from napari_sam2.tracked_object import TrackedObject


class EditTogether:
    """A context manager: a step of a session, in which an error puts back what was there; see `one_step`.

    It listens to the session meanwhile, so that it knows what is to be put back, whether or not there is a history.
    """

    def __init__(self, objects: "SessionObjects", run: "Run | None", kind: StepKind) -> None:
        self._objects = objects
        self._run = run
        self._step = Step(kind)
        self._change = Change(self._step, objects, run)
        self._open = ExitStack()

    def __enter__(self) -> None:
        logs = self._objects.logs
        self._open.enter_context(logs.step(self._step.kind))
        logs.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._open:
            self._objects.logs.remove(self)
            if error is not None:
                self._change.settle(self._objects, self._run)
                self._change.before.apply(self._objects)

    def begin(self, step: Step) -> None:
        """Nothing is to be done before a step."""

    def touching(self, known: "TrackedObject", frames: Collection[int]) -> None:
        """Keep what is known of an object on frames that may change."""
        self._change.keep(known, frames)

    def removing(self, known: "TrackedObject") -> None:
        """Keep an object that goes; what is on disk only is taken into memory."""
        known.load()

    def end(self, step: Step) -> None:
        """Nothing is to be done after a step."""

    def close(self) -> None:
        """Nothing is kept beyond the edits."""
