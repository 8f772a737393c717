"""What a person has said of an object's masks, and where masks are older than what is known."""

from collections.abc import Iterable


class Marks:
    """Approved frames of one object, and the fronts of its corrections.

    Attributes
    ----------
    approved
        Frames whose masks a person has approved.
    fronts
        Pairs of a frame and a direction (1 or -1): the masks beyond that frame are older than what is known there. A
        propagation carries the front along, until there is nothing more that it could change.
    """

    def __init__(self) -> None:
        self.approved: set[int] = set()
        self.fronts: set[tuple[int, int]] = set()

    @property
    def frames(self) -> set[int]:
        """The frames that have any."""
        return self.approved | {frame for frame, _ in self.fronts}

    def outdated(self, frame: int) -> frozenset[int]:
        """The directions (1, -1) in which the masks beyond a frame are older than what is known there."""
        return frozenset(step for step in (1, -1) if (frame, step) in self.fronts)

    def put(self, frame: int, *, is_approved: bool, outdated: Iterable[int]) -> None:
        """Let this be all that is marked on a frame."""
        (self.approved.add if is_approved else self.approved.discard)(frame)
        self.drop_fronts(frame)
        self.fronts.update((frame, step) for step in outdated)

    def correct(self, frame: int) -> None:
        """Note that the mask of a frame is another one now, so that both ways there may be something to change."""
        self.fronts.update(((frame, 1), (frame, -1)))

    def drop_fronts(self, frame: int) -> None:
        """Note that nothing goes out from a frame."""
        self.fronts.difference_update(((frame, 1), (frame, -1)))

    def nearest_approved(self, frame: int, count: int, *, but: Iterable[int]) -> list[int]:
        """At most `count` approved frames, the nearest ones, without the frame itself and those in `but`."""
        return sorted(self.approved.difference(but, (frame,)), key=lambda t: (abs(t - frame), t))[:count]
