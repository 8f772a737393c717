"""Running jobs in napari's worker threads."""

import atexit
import contextlib
import logging
import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator
from typing import Any

from napari.qt.threading import create_worker
from napari.utils.notifications import show_warning
from qtpy.QtCore import QObject, QThreadPool, QTimer
from superqt.utils import GeneratorWorker

from napari_sam2.errors import NapariSam2Warning
from napari_sam2.widget.jobs import Job, JobEnd, guarded

_LOGGER = logging.getLogger(__name__)
_AHEAD = 2
_POLL_S = 0.05
_EXIT_MS = 10_000
_NICENESS = 10


class _Run:
    """One job in its thread. Keeps no Qt object alive, so it may outlive the widget and the worker."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._worker: Callable[[], Any] = lambda: None
        self.error: Exception | None = None
        self._stop = threading.Event()
        # How many answers may wait for the GUI thread: a fast model must not pile up frames in memory.
        self._room = threading.Semaphore(_AHEAD)

    @property
    def stopping(self) -> bool:
        worker = self._worker()
        return self._stop.is_set() or (worker is not None and bool(worker.abort_requested))

    def runs_in(self, worker: Any) -> None:
        self._worker = weakref.ref(worker)

    def stop(self) -> None:
        # Not `worker.quit()`: superqt then asks the job for nothing more, so it keeps open what it has, a lock perhaps.
        self._stop.set()

    def advance_bar(self, value: object) -> None:
        worker = self._worker()
        if worker is None or worker.pbar is None:
            return
        if self.job.position is None:
            worker.pbar.increment_with_overflow()
        else:
            worker.pbar.update(self.job.position(value) - worker.pbar.n)

    def make_room(self) -> None:
        self._room.release()

    def let_go(self) -> None:
        """Leave the job, which has ended: napari's task manager keeps `body` for ever."""
        del self.job
        self.error = None

    def body(self) -> Generator[Any, None, None]:
        """What the worker runs: yields the job's answers until it ends, fails or is stopped; an error is kept."""
        _let_gui_go_first()
        # Errors are kept, not raised: napari 0.9 would add one of its own to each (`create_worker` connects `errored`
        # to functions that take no error), and superqt swallows a RuntimeError, after which the worker never ends.
        with contextlib.closing(guarded(self.job.steps)) as steps:
            while not self.stopping:
                try:
                    value = next(steps)
                except StopIteration:
                    return
                except Exception as error:
                    self.error = error
                    return
                while not self._room.acquire(timeout=_POLL_S):
                    if self.stopping:
                        return
                yield value


class WorkerRunner(QObject):
    """Runs jobs one after another, each in a worker thread of napari, with a bar in the activity dock.

    A child of the widget: when that goes, Qt cuts the connections, so no answer reaches a deleted object.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._waiting: deque[Job] = deque()
        self._run: _Run | None = None
        # The signal `destroyed` comes when this object is no longer usable; the dictionary still is.
        alive: dict[str, _Run | None] = {"run": None}
        self._alive = alive
        self.destroyed.connect(lambda: _stop(alive["run"]))
        self._uncounted: deque[object] = deque()
        self._drawn = QTimer(self)
        self._drawn.setSingleShot(True)
        self._drawn.setInterval(0)
        self._drawn.timeout.connect(self._on_drawn)

    @property
    def is_busy(self) -> bool:
        """Whether a job runs or waits."""
        return self._run is not None or bool(self._waiting)

    def submit(self, job: Job) -> None:
        """Run the job as soon as those before it are done, or have given way."""
        self._waiting.append(job)
        for other in (*([] if self._run is None else [self._run.job]), *self._waiting):
            if other.gives_way and other is not job:
                self.cancel(other)
        self._start_next()

    def cancel(self, job: Job) -> None:
        """Stop the job at its next yield, or drop it if it has not begun; `on_end` is called either way."""
        if self._run is not None and self._run.job is job:
            self._run.stop()
        elif job in self._waiting:
            self._waiting.remove(job)
            job.on_end(JobEnd(canceled=True))

    def stop(self) -> None:
        """Drop what waits, and stop what runs at its next yield."""
        self._waiting.clear()
        _stop(self._run)

    def _start_next(self) -> None:
        if self._run is not None or not self._waiting:
            return
        job = self._waiting.popleft()
        run = self._run = self._alive["run"] = _Run(job)
        _RUNS.add(run)
        # The worker class of superqt, not napari's: that one shows every warning of torch to the user.
        worker = create_worker(
            run.body,
            _start_thread=False,
            _progress={"total": job.total, "desc": job.name} if job.total else None,
            _worker_class=GeneratorWorker,
        )
        run.runs_in(worker)
        worker.yielded.connect(self._on_yielded)
        worker.warned.connect(self._on_warned)
        worker.finished.connect(self._on_finished)
        worker.start()

    def _on_yielded(self, value: object) -> None:
        run = self._run
        if run is None:
            return
        self._uncounted.append(value)
        # Qt comes to timers when it has drawn what changed: mouse and keyboard are heeded in between.
        self._drawn.start()
        run.job.on_step(value)

    def _on_drawn(self) -> None:
        while self._run is not None and self._uncounted:
            run, value = self._run, self._uncounted.popleft()
            try:
                # This lets Qt work off its events, among them perhaps the end of this job.
                run.advance_bar(value)
            finally:
                # After that, so that these events are at most the answers that are there already.
                run.make_room()

    def _on_warned(self, warning: tuple[Any, ...]) -> None:
        message, category, *_ = warning
        if issubclass(category, NapariSam2Warning):
            show_warning(str(message))
        else:
            _LOGGER.warning("%s: %s", category.__name__, message)

    def _on_finished(self) -> None:
        run, self._run, self._alive["run"] = self._run, None, None
        self._uncounted.clear()
        if run is not None:
            job, end = run.job, JobEnd(run.error, run.stopping)
            run.let_go()
            job.on_end(end)
        self._start_next()


def _let_gui_go_first() -> None:
    """Make this thread, and those that torch starts for it, wait where the GUI's wants the core; on Linux alone.

    Elsewhere niceness is that of the whole process.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(_NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))


def _stop(run: _Run | None) -> None:
    if run is not None:
        run.stop()


_RUNS: "weakref.WeakSet[_Run]" = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    # Python goes on to take Qt apart; a thread that reports to it afterwards crashes.
    for run in tuple(_RUNS):
        run.stop()
    if _RUNS:
        QThreadPool.globalInstance().waitForDone(_EXIT_MS)
