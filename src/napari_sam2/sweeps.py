"""Which frames a propagation visits, and where each object joins."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from napari_sam2.errors import PromptError

Direction = Literal["forward", "backward", "both"]


@dataclass(frozen=True, slots=True)
class Sweep:
    """One pass over the movie.

    Attributes
    ----------
    step
        1 forward, -1 backward.
    joins
        By object ID, the frame from which on the object is followed.
    frames
        The frames visited, in order.
    """

    step: int
    joins: Mapping[int, int]
    frames: range

    def joining(self, frame: int) -> list[int]:
        """IDs of the objects that are followed from this frame on."""
        return [object_id for object_id, join in self.joins.items() if join == frame]

    def active(self, frame: int) -> list[int]:
        """IDs of the objects that are followed on this frame, sorted."""
        return sorted(object_id for object_id, join in self.joins.items() if (frame - join) * self.step >= 0)


def plan_sweeps(
    direction: Direction,
    prompted: Mapping[int, list[int]],
    *,
    num_frames: int,
    first: int | None = None,
    last: int | None = None,
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

    Raises
    ------
    PromptError
        For another direction, or if there is no frame to visit.
    """
    if direction not in ("forward", "backward", "both"):
        raise PromptError(f"direction is {direction!r}, expected 'forward', 'backward' or 'both'")
    low, high = max(0, first or 0), num_frames - 1 if last is None else min(num_frames - 1, last)
    if low > high:
        raise PromptError(f"No frames from {first} to {last}: the movie has the frames 0 to {num_frames - 1}.")
    sweeps = []
    if direction in ("forward", "both"):
        sweeps.append(_forward({i: min(frames) for i, frames in prompted.items()}, low, high))
    if direction == "backward":
        sweeps.append(_backward({i: max(frames) for i, frames in prompted.items()}, low, high))
    if direction == "both":
        sweeps.append(_backward({i: min(frames) - 1 for i, frames in prompted.items()}, low, high))
    sweeps = [sweep for sweep in sweeps if len(sweep.frames)]
    if not sweeps:
        frames = sorted(t for frames in prompted.values() for t in frames)
        raise PromptError(
            f"Nothing to follow {direction} on frames {low} to {high}: the prompts are on {frames}. "
            "Go the other way, or let the frames include a prompt."
        )
    return sweeps


def _forward(starts: dict[int, int], low: int, high: int) -> Sweep:
    joins = {i: max(t, low) for i, t in starts.items() if t <= high}
    return Sweep(1, joins, range(min(joins.values()), high + 1) if joins else range(0))


def _backward(starts: dict[int, int], low: int, high: int) -> Sweep:
    joins = {i: min(t, high) for i, t in starts.items() if t >= low}
    return Sweep(-1, joins, range(max(joins.values()), low - 1, -1) if joins else range(0))
