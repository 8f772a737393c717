"""Which frames a propagation visits, and where each object joins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from napari_sam2.errors import PromptError

Direction = Literal["forward", "backward", "both"]
Start = Literal["first", "last", "before"]
_STARTS: dict[Direction, tuple[Start, ...]] = {
    "forward": ("first",),
    "backward": ("last",),
    "both": ("first", "before"),
}


@dataclass(frozen=True, slots=True)
class Sweep:
    """One pass over the movie.

    Attributes
    ----------
    start
        Where an object starts: at its "first" prompt, going forward; at its "last" one, or "before" its first one,
        going backward.
    frames
        The frames visited, in order.
    joins
        By object ID, the frame from which on the object is followed.
    """

    start: Start
    frames: range
    joins: Mapping[int, int]

    @property
    def step(self) -> int:
        """1 forward, -1 backward."""
        return 1 if self.start == "first" else -1

    def active(self, frame: int) -> list[int]:
        """IDs of the objects that are followed on this frame, sorted."""
        return sorted(object_id for object_id, join in self.joins.items() if (frame - join) * self.step >= 0)

    def replan(self, prompted: Mapping[int, Sequence[int]]) -> "Sweep":
        """The same frames for objects whose prompted frames have changed meanwhile."""
        low, high = sorted((self.frames[0], self.frames[-1]))
        return replace(self, joins=_joins(self.start, prompted, low, high))

    def cut(self, count: int) -> "Sweep":
        """Its first `count` frames, for the objects that join on them."""
        frames = self.frames[:count]
        return replace(self, frames=frames, joins={i: join for i, join in self.joins.items() if join in frames})


def plan_sweeps(
    direction: Direction,
    prompted: Mapping[int, Sequence[int]],
    *,
    num_frames: int,
    first: int | None = None,
    last: int | None = None,
    count: int | None = None,
) -> list[Sweep]:
    """Sweeps in which each object starts at its own prompt: forward at its first one, backward at its last.

    Parameters
    ----------
    direction
        "both" is a forward sweep and a backward one, which begins a frame before each object's first prompt.
    prompted
        By object ID, the frames with prompts.
    first, last
        Lowest and highest frame to visit; an object that starts outside joins at the border.
    count
        At most so many frames in each sweep, the first ones; objects that would join later do not.

    Raises
    ------
    PromptError
        For another direction, or if there is no frame to visit.
    """
    if count is not None and count < 1:
        raise PromptError(f"{count} frames are none: ask for 1 or more")
    if direction not in _STARTS:
        raise PromptError(f"direction is {direction!r}, expected 'forward', 'backward' or 'both'")
    low, high = max(0, first or 0), num_frames - 1 if last is None else min(num_frames - 1, last)
    if low > high:
        raise PromptError(f"No frames from {first} to {last}: the movie has the frames 0 to {num_frames - 1}.")
    sweeps = [_sweep(start, prompted, low, high) for start in _STARTS[direction]]
    sweeps = [sweep if count is None else sweep.cut(count) for sweep in sweeps if len(sweep.frames)]
    if not sweeps:
        frames = sorted(t for frames in prompted.values() for t in frames)
        raise PromptError(
            f"Nothing to follow {direction} on frames {low} to {high}: the prompts are on {frames}. "
            "Go the other way, or let the frames include a prompt."
        )
    return sweeps


def _sweep(start: Start, prompted: Mapping[int, Sequence[int]], low: int, high: int) -> Sweep:
    joins = _joins(start, prompted, low, high)
    if not joins:
        return Sweep(start, range(0), joins)
    frames = range(min(joins.values()), high + 1) if start == "first" else range(max(joins.values()), low - 1, -1)
    return Sweep(start, frames, joins)


def _joins(start: Start, prompted: Mapping[int, Sequence[int]], low: int, high: int) -> dict[int, int]:
    if start == "first":
        return {i: max(min(frames), low) for i, frames in prompted.items() if min(frames) <= high}
    starts = {i: max(frames) if start == "last" else min(frames) - 1 for i, frames in prompted.items()}
    return {i: min(t, high) for i, t in starts.items() if t >= low}
