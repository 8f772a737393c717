"""Which model is in use, and the download of one that is not on this machine. No Qt here."""

from collections.abc import Mapping
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

    Parameters
    ----------
    runner
        Runs downloads in another thread; one of its own, so that the model in use goes on answering.

    Attributes
    ----------
    model
        Name or path of the model in use.
    wanted
        Name of the model that is being downloaded; empty if none is.
    """

    used: ClassVar[Signal] = Signal(str)
    """Another model is in use from now on."""
    changed: ClassVar[Signal] = Signal()
    """What there is to choose from, is in use or is on its way has changed."""
    progress: ClassVar[Signal] = Signal(object)
    """A `Step` of the download."""
    failed: ClassVar[Signal] = Signal(object)
    """The error that ended a download."""

    def __init__(self, runner: JobRunner) -> None:
        self.model = next(iter(CHECKPOINTS))
        self.wanted = ""
        self._files: list[str] = []
        self._runner = runner
        self._job: Job | None = None

    def choices(self) -> Mapping[str, str]:
        """What to choose from, and what to say about it."""
        store = Store.default()
        known = {checkpoint.name: _describe(store, checkpoint) for checkpoint in CHECKPOINTS.values()}
        coming = {self.wanted: self.wanted} if self.wanted else {}
        return known | coming | {path: Path(path).name for path in self._files}

    def choose(self, model: str) -> None:
        """Use a model, by its name or the path of a file, now or when it is downloaded; ends another download."""
        if model == (self.wanted or self.model):
            return
        self.cancel()
        if model == self.model:
            return
        checkpoint = CHECKPOINTS.get(model)
        if checkpoint is not None and Store.default().state(checkpoint) in ("partial", "absent"):
            self._download(checkpoint)
            return
        if checkpoint is None and model not in self._files:
            self._files.append(model)
        self._use(model)

    def adopt(self, model: str | None) -> None:
        """Show the model that a stored session goes on with, as the one in use; None if it has no name."""
        if model is not None and model != self.model:
            if model not in CHECKPOINTS and model not in self._files:
                self._files.append(model)
            self.model = model
            self.changed.emit()

    def cancel(self) -> None:
        """Stop the download; what has come is kept, and the next one goes on from there."""
        job, self._job, self.wanted = self._job, None, ""
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
        self.changed.emit()
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
        if end.error is None and not end.canceled:
            self._use(model)
            return
        self.changed.emit()
        if end.error is not None:
            self.failed.emit(end.error)

    def _use(self, model: str) -> None:
        self.model = model
        self.changed.emit()
        self.used.emit(model)


def _describe(store: Store, checkpoint: Checkpoint) -> str:
    state = store.state(checkpoint)
    if state == "partial":
        done = store.part(checkpoint).size // _MB
        return f"{checkpoint.name} ({done} of {megabytes(checkpoint.size)} downloaded)"
    return f"{checkpoint.name} (not downloaded, {megabytes(checkpoint.size)})" if state == "absent" else checkpoint.name
