"""How far a job has come, in words."""

import time

from napari_sam2.widget.answers import FrameAnswer
from napari_sam2.widget.jobs import JobEnd


class Pace:
    """Counts the answers of one job.

    Parameters
    ----------
    total
        How many there will be; 0 if that is not known.

    Attributes
    ----------
    done
        How many there were.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self._started = time.monotonic()

    def after(self, answer: FrameAnswer) -> str:
        """What to say after a frame that has just been counted."""
        pace = (time.monotonic() - self._started) / self.done
        named = ("absent", answer.absent), ("doubtful", answer.doubtful)
        news = "".join(f"; {what}: {', '.join(map(str, ids))}" for what, ids in named if ids)
        if not self.total:
            return f"frame {self.done}, {pace:.2g} s a frame{news}"
        left = lasting(pace * max(self.total - self.done, 0))
        return f"frame {self.done} of {self.total}, {pace:.2g} s a frame, {left} left{news}"

    def at_end(self, end: JobEnd, *, is_paused: bool = False) -> str:
        """What to say when the job has ended, or was stopped to go on later."""
        if end.error is not None:
            return f"Stopped after {self.done} of {self.total} frames." if self.total else "Stopped by an error."
        if end.canceled and not 0 < self.total <= self.done:
            what = "Paused" if is_paused else "Canceled"
            return f"{what} after {self.done} of {self.total} frames; they stay." if self.total else f"{what}."
        return f"Done: {self.done} frames." if self.total or self.done else ""


def lasting(seconds: float) -> str:
    """How long something takes, in the unit that suits it."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
