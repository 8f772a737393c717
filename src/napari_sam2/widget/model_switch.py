"""Which model is in use, and the download of one that is not on this machine. No Qt here."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar

from psygnal import Signal

from napari_sam2.checkpoints.download import Step
from napari_sam2.checkpoints.fetch import fetch
from napari_sam2.checkpoints.registry import CHECKPOINTS, Checkpoint, megabytes
from napari_sam2.checkpoints.store import Store
from napari_sam2.widget.jobs import Job, JobEnd, JobRunner

_MB = 1_000_000


class ModelSwitch:
    """The model in use, and at most one that is on its way; it is used as soon as it is there.

    Models are chosen for a user, such as one of several movies; the download goes on when another one is shown.

    Parameters
    ----------
    runner
        Runs downloads in another thread; one of its own, so that the model in use goes on answering.

    Attributes
    ----------
    model
        Name or path of the model that the user shown has.
    wanted
        Name of the model that is being downloaded; empty if none is.
    """

    used: ClassVar[Signal] = Signal(str, object)
    """Another model is in use from now on, by this user."""
    changed: ClassVar[Signal] = Signal()
    """What there is to choose from, is in use or is on its way has changed."""
    progress: ClassVar[Signal] = Signal(object)
    """A `Step` of the download."""
    failed: ClassVar[Signal] = Signal(object)
    """The error that ended a download."""

    def __init__(self, runner: JobRunner) -> None:
        self.model = next(iter(CHECKPOINTS))
        self.wanted = ""
        self._user: object = None
        self._waiting: list[object] = []
        self._files: list[str] = []
        self._runner = runner
        self._job: Job | None = None

    @property
    def shown(self) -> str:
        """Name or path of the model that was chosen last for the user shown; it may still be on its way."""
        return self.wanted if self._user in self._waiting else self.model

    def choices(self) -> Mapping[str, str]:
        """What to choose from, and what to say about it."""
        store = Store.default()
        known = {checkpoint.name: _describe(store, checkpoint) for checkpoint in CHECKPOINTS.values()}
        coming = {self.wanted: self.wanted} if self.wanted else {}
        return known | coming | {path: Path(path).name for path in self._files}

    def choose(self, model: str) -> None:
        """Use a model, by its name or the path of a file, now or when it is downloaded; ends another download."""
        if model == self.shown:
            return
        self._waiting = [user for user in self._waiting if user is not self._user]
        if model == self.wanted:
            self._wait()
            return
        if not self._waiting:
            self.cancel()
        if model == self.model:
            self.changed.emit()
            return
        checkpoint = CHECKPOINTS.get(model)
        if checkpoint is not None and Store.default().state(checkpoint) in ("partial", "absent"):
            self.cancel()
            self._download(checkpoint)
            return
        self._use(model, [self._user])

    def show_user(self, model: str, user: object) -> None:
        """Let models be chosen for this user from now on, who has this one."""
        if self._user is None:
            self._waiting = [waiting for waiting in self._waiting if waiting is not None]
        if (model, user) != (self.model, self._user):
            self._user = user
            self._show(model)

    def join(self, user: object) -> None:
        """Let a user wait for the model that the one shown waits for, if there is one."""
        if self._user in self._waiting:
            self._waiting.append(user)

    def leave(self, user: object) -> None:
        """Let a user wait no more, who is gone; a download for that one alone is stopped."""
        if user in self._waiting:
            self._waiting = [waiting for waiting in self._waiting if waiting is not user]
            if not self._waiting:
                self.cancel()

    def cancel(self) -> None:
        """Stop the download; what has come is kept, and the next one goes on from there."""
        job, self._job, self.wanted, self._waiting = self._job, None, "", []
        if job is not None:
            self._runner.cancel(job)
            self.changed.emit()

    def _download(self, checkpoint: Checkpoint) -> None:
        self._job = job = Job(
            f"Downloading {checkpoint.name}",
            partial(fetch, checkpoint, Store.default()),
            on_step=lambda step: self._on_step(step, job),
            on_end=lambda end: self._on_end(end, job),
            total=checkpoint.size // _MB,
            position=lambda step: step.done // _MB,
        )
        self.wanted = checkpoint.name
        self._wait()
        self._runner.submit(job)

    def _on_step(self, step: Step, job: Job) -> None:
        if job is self._job:
            self.progress.emit(step)

    def _on_end(self, end: JobEnd, job: Job) -> None:
        if job is not self._job:
            # It was canceled; only now it is known how much has come.
            self.changed.emit()
            return
        model, self.wanted, self._job = self.wanted, "", None
        waiting, self._waiting = self._waiting, []
        if end.error is None and not end.canceled:
            self._use(model, waiting)
            return
        self.changed.emit()
        if end.error is not None:
            self.failed.emit(end.error)

    def _wait(self) -> None:
        self._waiting.append(self._user)
        self.changed.emit()

    def _use(self, model: str, users: Iterable[object]) -> None:
        self._show(model if self._user in users else self.model)
        for user in users:
            self.used.emit(model, user)

    def _show(self, model: str) -> None:
        if model not in CHECKPOINTS and model not in self._files:
            self._files.append(model)
        self.model = model
        self.changed.emit()


def _describe(store: Store, checkpoint: Checkpoint) -> str:
    state = store.state(checkpoint)
    if state == "partial":
        done = store.part(checkpoint).size // _MB
        return f"{checkpoint.name} ({done} of {megabytes(checkpoint.size)} downloaded)"
    return f"{checkpoint.name} (not downloaded, {megabytes(checkpoint.size)})" if state == "absent" else checkpoint.name
