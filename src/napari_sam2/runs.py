"""How far a propagation has come, so that it can be taken up again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from napari_sam2.sweeps import Direction, Start, Sweep


@dataclass(frozen=True, slots=True)
class Run:
    """A propagation that was begun.

    Attributes
    ----------
    direction, object_ids, first, last, count
        What was asked for; see `TrackingSession.propagate`.
    start, frame
        The pass over the movie it is in (see `Sweep`), and the last frame of it that is done; None before the first.
    is_done
        Whether that was the last frame of all.
    """

    direction: Direction
    object_ids: tuple[int, ...]
    first: int | None = None
    last: int | None = None
    count: int | None = None
    start: Start | None = None
    frame: int | None = None
    is_done: bool = False

    def after(self, sweep: Sweep, frame: int, sweeps: Sequence[Sweep]) -> "Run":
        """The same when a frame of one of its sweeps is done."""
        is_done = sweep.start == sweeps[-1].start and frame == sweep.frames[-1]
        return replace(self, start=sweep.start, frame=frame, is_done=is_done)

    def asks_for_the_same(self, other: "Run") -> bool:
        """Whether another run has the same task, however far it has come."""
        task = self.direction, self.object_ids, self.first, self.last, self.count
        return task == (other.direction, other.object_ids, other.first, other.last, other.count)

    def left_of(self, sweeps: Sequence[Sweep]) -> list[Sweep]:
        """What is still to be done of the sweeps, of which some frames are done."""
        starts = [sweep.start for sweep in sweeps]
        if self.frame is None or self.start not in starts:
            return list(sweeps)
        current, *later = sweeps[starts.index(self.start) :]
        done = {t for t in current.frames if (t - self.frame) * current.step <= 0}
        ahead = current.frames[len(done) :]
        return [replace(current, frames=ahead), *later] if ahead else later
