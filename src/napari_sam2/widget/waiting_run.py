"""The propagation that somebody asked for, until it begins, and again after it was paused. No Qt here."""

from napari_sam2.widget.answers import Resumption, RunRequest
from napari_sam2.widget.jobs import JobEnd


class WaitingRun:
    """At most one; it is true as soon as it may begin.

    Attributes
    ----------
    request
        What is asked for; None if nothing is, or it is under way.
    total
        How many frames it takes, once the session was told of all prompts; None before.
    is_paused
        Whether it waits until it is told to go on.
    """

    def __init__(self) -> None:
        self.request: RunRequest | None = None
        self.total: int | None = None
        self.is_paused = False
        self._under_way: RunRequest = Resumption()

    def __bool__(self) -> bool:
        return self.request is not None and not self.is_paused

    def ask(self, request: RunRequest) -> None:
        """Let this be what is asked for, in place of another."""
        self.request, self.total, self.is_paused = request, None, False

    def begin(self, request: RunRequest) -> int:
        """Take note that the request is under way; returns how many frames it takes."""
        total, self.total = self.total or 0, None
        self._under_way, self.request = request, None
        return total

    def pause(self, *, has_begun: bool) -> None:
        """Let it wait; what has not come to its first frame begins again, with the prompts that there are then."""
        self.request = self.request or (Resumption() if has_begun else self._under_way)
        self.is_paused = True

    def drop(self) -> None:
        """Forget what is asked for."""
        self.request, self.is_paused = None, False

    def on_end(self, end: JobEnd, *, can_resume: bool) -> None:
        """Take note that a job has ended: after an error nothing begins by itself, nor is there always some left."""
        if end.error is not None and not self.is_paused:
            self.drop()
        if self.is_paused and isinstance(self.request, Resumption) and not can_resume:
            self.drop()
