"""What a person has said of an object's masks, and where masks are older than what is known."""

from collections.abc import Iterable


class Marks:
    """Approved frames of one object, and the fronts of its corrections.

    Attributes
    ----------
    approved
        Frames on which a person has approved the mask, or that the object is not there.
    absences
        Those of them on which it is not there.
    fronts
        Pairs of a frame and a direction (1 or -1): the masks beyond that frame are older than what is known there. A
        propagation carries the front along, until there is nothing more that it could change.
    """

    def __init__(self) -> None:
        self.approved: set[int] = set()
        self.absences: set[int] = set()
        self.fronts: set[tuple[int, int]] = set()

    @property
    def frames(self) -> set[int]:
        """The frames that have any."""
        return self.approved | {frame for frame, _ in self.fronts}

    def outdated(self, frame: int) -> frozenset[int]:
        """The directions (1, -1) in which the masks beyond a frame are older than what is known there."""
        return frozenset(step for step in (1, -1) if (frame, step) in self.fronts)

    @property
    def masks(self) -> set[int]:
        """The frames whose masks are approved."""
        return self.approved - self.absences

    def put(self, frame: int, *, is_approved: bool, has_mask: bool, outdated: Iterable[int]) -> None:
        """Let this be all that is marked on a frame."""
        self.disapprove(frame)
        if is_approved:
            self.approve(frame, has_mask=has_mask)
        self.drop_fronts(frame)
        self.fronts.update((frame, step) for step in outdated)

    def approve(self, frame: int, *, has_mask: bool) -> None:
        """Note that what is shown on a frame is right."""
        self.approved.add(frame)
        (self.absences.discard if has_mask else self.absences.add)(frame)

    def disapprove(self, frame: int) -> None:
        """Note that nothing on a frame is approved."""
        self.approved.discard(frame)
        self.absences.discard(frame)

    def correct(self, frame: int) -> None:
        """Note that the mask of a frame is another one now, so that both ways there may be something to change."""
        self.fronts.update(((frame, 1), (frame, -1)))

    def drop_fronts(self, frame: int) -> None:
        """Note that nothing goes out from a frame."""
        self.fronts.difference_update(((frame, 1), (frame, -1)))

    def nearest_approved(self, frame: int, count: int, *, but: Iterable[int]) -> list[int]:
        """At most `count` frames with approved masks, the nearest ones, without the frame itself and those in `but`."""
        return sorted(self.masks.difference(but, (frame,)), key=lambda t: (abs(t - frame), t))[:count]
