"""What a session offers to those who review: how sure masks are, and what is approved."""

from collections.abc import Iterable
from dataclasses import dataclass
from operator import index
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam2.confidence import DOUBTFUL_BELOW, confidences, reason
from napari_sam2.errors import PromptError
from napari_sam2.session_objects import SessionObjects
from napari_sam2.tracked_object import TrackedObject


class Confidence(NamedTuple):
    """How sure the masks of one object are.

    Attributes
    ----------
    frames
        (N,) int, those that have a mask, sorted.
    values
        (N,) float, 0 to 1; see `napari_sam2.confidence`.
    """

    frames: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Doubt:
    """A mask that had better be looked at, and why; its `confidence` is 0 to 1, and 0 if the object was lost there."""

    frame: int
    object_id: int
    confidence: float
    reason: str


class ReviewedSession:
    """The part of `TrackingSession` that is about reviewing masks."""

    _objects: SessionObjects

    def confidence(self, object_id: int) -> Confidence:
        """How sure each mask of an object is, 0 to 1; 1 where a person has painted or approved it.

        Raises
        ------
        PromptError
            If there is no such object.
        """
        known = self._one(object_id)
        return Confidence(*_sureness(known, known.masklet.signs()))

    def doubtful(self, object_ids: Iterable[int] | None = None, *, below: float = DOUBTFUL_BELOW) -> tuple[Doubt, ...]:
        """Masks of a confidence `below` that value, worst first, and the frames on which objects got lost.

        Frames on which somebody has given prompts of the object, or approved what is shown, were looked at and are left
        out.
        A frame on which an object is absent counts as one on which it got lost if it has a mask on the frame before.

        Parameters
        ----------
        object_ids
            Whose masks; by default those of all objects.

        Raises
        ------
        PromptError
            If there is no such object.
        """
        ids = [*self._objects] if object_ids is None else [*object_ids]
        doubts = [doubt for i in ids for doubt in _doubts(self._one(i), below)]
        return tuple(sorted(doubts, key=lambda doubt: (doubt.confidence, doubt.frame, doubt.object_id)))

    def next_doubtful(
        self, frame: int, step: int = 1, object_ids: Iterable[int] | None = None, *, below: float = DOUBTFUL_BELOW
    ) -> Doubt | None:
        """The worst doubt on the nearest frame after `frame`, or before it if `step` is -1, that has any.

        For `object_ids`, `below` and errors see `doubtful`.
        """
        ahead = [d for d in self.doubtful(object_ids, below=below) if (d.frame - frame) * step > 0]
        return min(ahead, key=lambda doubt: abs(doubt.frame - frame), default=None)

    def worst(self, object_id: int) -> Doubt | None:
        """The mask of an object that one may be least sure of, in doubt or not; None if it has no mask.

        Raises
        ------
        PromptError
            If there is no such object.
        """
        known = self._one(object_id)
        table = known.masklet.signs()
        frames, values = _sureness(known, table)
        if not len(frames):
            return None
        at = int(values.argmin())
        why = reason(table, at) if values[at] < 1 else ""
        return Doubt(int(frames[at]), known.object_id, float(values[at]), why)

    def approved(self, object_id: int) -> tuple[int, ...]:
        """Frames on which an object's mask is approved, or that it is not there, sorted.

        Raises
        ------
        PromptError
            If there is no such object.
        """
        return tuple(sorted(self._one(object_id).marks.approved))

    def approve(self, object_id: int, frames: int | Iterable[int] | None = None) -> tuple[int, ...]:
        """Say that masks of an object are right, or that it is not there; returns the frames not approved before.

        What is approved is never changed by propagation, and masks keep their pixels against other objects. The object
        can be followed from approved masks as from prompts, and the nearest of them are remembered as prompted frames
        are. A new prompt on the frame takes the approval back.

        Parameters
        ----------
        frames
            One frame, or some; by default all that have a mask of the object, or on which it was looked for in vain.

        Raises
        ------
        PromptError
            If there is no such object, or nothing is known of it on one of the frames, see `can_approve`; then nothing
            is approved.
        """
        known = self._one(object_id)
        chosen = sorted({*known.masklet, *known.masklet.absent}) if frames is None else _as_frames(frames)
        bare = [t for t in chosen if not self.can_approve(object_id, t)]
        if bare:
            raise PromptError(
                f"object {object_id} has no mask on frame {bare[0]} to be approved, and was not looked for there: "
                "propagate to it, or click it"
            )
        new = [t for t in chosen if t not in known.marks.approved]
        with self._objects.logs.step("approve", new[0] if len(new) == 1 else None):
            known.approve(new)
            self._objects.edits += 1
        return tuple(new)

    def can_approve(self, object_id: int, frame: int) -> bool:
        """Whether a frame of an object can be approved: it has a mask, was looked for in vain, or cannot be there."""
        known = self._objects.get(index(object_id))
        if known is None or not 0 <= frame < self._objects.num_frames:
            return False
        return known.is_known(frame) or frame in known.tracked or frame not in self._objects.span(object_id)

    def keeps_pixels(self, object_id: int, frame: int) -> bool:
        """Whether labels show what an object has on a frame before the masks of others: it is painted or approved."""
        known = self._objects.get(index(object_id))
        return known is not None and known.is_fixed(frame)

    def disapprove(self, object_id: int, frames: int | Iterable[int] | None = None) -> tuple[int, ...]:
        """Take approvals back, by default all of an object; returns the frames that were approved.

        The masks stay until they are propagated again. What was tracked with an approved mask as its memory is shown,
        and not remembered.

        Raises
        ------
        PromptError
            If there is no such object.
        """
        known = self._one(object_id)
        chosen = sorted(known.marks.approved) if frames is None else _as_frames(frames)
        were = [t for t in chosen if t in known.marks.approved]
        with self._objects.logs.step("disapprove", were[0] if len(were) == 1 else None):
            known.disapprove(were)
            # Where it cannot be nothing is shown of an object, unless somebody has approved it.
            span = self._objects.span(object_id)
            for frame in (t for t in were if t not in span and t not in known.masklet):
                known.masklet.remove(frame)
            self._objects.edits += 1
        return tuple(were)

    def _one(self, object_id: int) -> TrackedObject:
        known = self._objects.get(index(object_id))
        if known is None:
            raise PromptError(
                f"there is no object {object_id}: name one of {sorted(self._objects)[:20] or 'those to come'}"
            )
        return known


def _as_frames(frames: int | Iterable[int]) -> list[int]:
    return sorted({index(t) for t in (frames if isinstance(frames, Iterable) else (frames,))})


def _sureness(known: TrackedObject, table: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Frames of a table of signs, and how sure their masks are."""
    frames, values = table["frame"].copy(), confidences(table)
    said = {*known.marks.approved, *(t for t, prompts in known.prompts.copy().items() if prompts.is_painted)}
    values[np.isin(frames, [*said])] = 1
    return frames, values


def _doubts(known: TrackedObject, below: float) -> list[Doubt]:
    table = known.masklet.signs()
    frames, values = _sureness(known, table)
    looked_at = {*known.prompts, *known.marks.approved}
    rows = np.flatnonzero((values < below) & ~np.isin(frames, [*looked_at]))
    doubts = [Doubt(int(frames[i]), known.object_id, float(values[i]), reason(table, int(i))) for i in rows]
    shown = set(frames.tolist())
    lost = [t for t in known.masklet.absent if t - 1 in shown and t not in looked_at]
    return doubts + [Doubt(t, known.object_id, 0.0, f"not found, though it is there on frame {t - 1}") for t in lost]
