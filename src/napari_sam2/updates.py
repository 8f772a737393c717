"""Carrying corrections on to the frames that they can change, and no further."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from napari_sam2.errors import explained
from napari_sam2.frame_result import FrameResult
from napari_sam2.masklets import FrameMask
from napari_sam2.session_objects import SessionObjects
from napari_sam2.tracked_object import TrackedObject

SAME_IOU = 0.98
"""Masks that agree at least so much count as the same."""
ENOUGH_SAME = 3
"""After so many frames on which the new mask is the same as the old one, nothing further on would change."""

Visit = Callable[[int, Sequence[TrackedObject], int], FrameResult]
"""Follows objects to a frame in a direction."""


@dataclass(slots=True)
class _Course:
    """One object on its way from a frame in a direction.

    Attributes
    ----------
    front
        The frame it goes out from.
    stale
        Frames that show what came from prompts that are gone; they are no reason to stop.
    movie
        The frames on which the object may be.
    is_new
        Whether the object was not tracked before the update, so that it goes on to frames of which nothing is known.
    same
        On how many frames in a row the new mask was the same as the old one.
    """

    known: TrackedObject
    front: int
    stale: frozenset[int]
    movie: range
    is_new: bool
    same: int = field(default=0)

    def goes_to(self, frame: int) -> bool:
        """Whether there is something to change on a frame."""
        known = self.known
        return frame in self.movie and not known.is_given(frame) and (self.is_new or known.is_known(frame))

    def compare(self, frame: int, before: FrameMask | None, *, was_known: bool) -> bool:
        """Take note of a new mask; returns whether further on nothing would change."""
        is_old = was_known and frame not in self.stale
        is_same = is_old and _agreement(before, self.known.masklet.get(frame)) >= SAME_IOU
        self.same = self.same + 1 if is_same else 0
        return self.same >= ENOUGH_SAME


def has_changed(objects: SessionObjects, object_id: int, *, is_new: bool) -> bool:
    """Whether an update would do anything about an object; one that `is_new` was not tracked before it."""
    known = objects[object_id]
    is_new |= known.is_new
    return bool(known.unanswered) or any(_courses(objects, known, step, is_new=is_new) for step in (1, -1))


def num_frames_ahead(objects: SessionObjects, object_ids: Collection[int]) -> int:
    """On how many frames, some of them twice, of which nothing is known, new objects are still to be looked for."""
    count = 0
    for step in (1, -1):
        ahead: set[int] = set()
        for known in (objects[i] for i in object_ids if i in objects):
            looked, movie = set(known.frames), objects.span(known.object_id)
            for course in _courses(objects, known, step, is_new=True):
                frame = course.front + step
                while frame in movie and frame not in looked:
                    ahead.add(frame)
                    frame += step
        count += len(ahead)
    return count


def update(
    objects: SessionObjects, object_ids: Collection[int], visit: Visit, *, new: Collection[int]
) -> Iterator[FrameResult]:
    """Follow changed objects from where they changed, first forward and then backward; see `TrackingSession.update`.

    Parameters
    ----------
    new
        IDs of the objects that were not tracked before.
    """
    with objects.logs.step("frame"):
        objects.prepare(object_ids)
    for step in (1, -1):
        known = [objects[i] for i in object_ids if i in objects]
        courses = (c for one in known for c in _courses(objects, one, step, is_new=one.object_id in new))
        waiting = sorted(courses, key=lambda course: course.front * step)
        yield from _go(objects, waiting, step, visit)


def _courses(objects: SessionObjects, known: TrackedObject, step: int, *, is_new: bool) -> list[_Course]:
    """Where an object is to go out from in a direction (1 or -1)."""
    if not known.starts:
        return []
    stale = known.stale
    fronts = {front for front, way in known.marks.fronts if way == step}
    if is_new:
        looked = sorted({*known.tracked, *known.masklet, *known.masklet.absent})
        fronts |= {run[0 if step < 0 else 1] for run in _runs(looked)}
    for first, last in _runs(stale):
        way = 1 if any(t < first for t in known.starts) else -1
        if way == step:
            fronts.add(first - 1 if way == 1 else last + 1)
    movie = objects.span(known.object_id)
    courses = [_Course(known, front, frozenset(stale), movie, is_new) for front in fronts]
    return [course for course in courses if course.goes_to(course.front + step)]


def _go(objects: SessionObjects, waiting: list[_Course], step: int, visit: Visit) -> Iterator[FrameResult]:
    under_way: dict[int, _Course] = {}
    edits, frame = objects.edits, 0
    while waiting or under_way:
        frame = frame if under_way else waiting[0].front + step
        while waiting and waiting[0].front + step == frame:
            course = waiting.pop(0)
            under_way[course.known.object_id] = course
        under_way = {i: c for i, c in under_way.items() if objects.get(i) is c.known and c.goes_to(frame)}
        if under_way:
            with objects.logs.step("frame", frame), explained(frame):
                if edits != objects.edits:
                    objects.prepare(under_way)
                    edits = objects.edits
                result = _visit(under_way, frame, step, visit)
            yield result
        frame += step


def _visit(under_way: dict[int, _Course], frame: int, step: int, visit: Visit) -> FrameResult:
    """Visit a frame; courses that are at their end are taken out."""
    before = {i: (course.known.masklet.get(frame), course.known.is_known(frame)) for i, course in under_way.items()}
    result = visit(frame, [course.known for _, course in sorted(under_way.items())], step)
    for i, course in list(under_way.items()):
        mask, was_known = before[i]
        if course.compare(frame, mask, was_known=was_known):
            course.known.marks.fronts.discard((frame, step))
            del under_way[i]
    return result


def _runs(frames: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of successive frames."""
    for run in np.split(np.array(frames, int), np.flatnonzero(np.diff(frames) > 1) + 1) if frames else ():
        yield int(run[0]), int(run[-1])


def _agreement(one: FrameMask | None, other: FrameMask | None) -> float:
    """IoU of two masks; 1 if there is none of either."""
    if one is None or other is None:
        return float(one is other)
    y0, x0 = (max(one.box[i], other.box[i]) for i in (0, 1))
    y1, x1 = (min(one.box[i], other.box[i]) for i in (2, 3))
    common = 0
    if y0 < y1 and x0 < x1:
        a, b = (m.crop[y0 - m.box[0] : y1 - m.box[0], x0 - m.box[1] : x1 - m.box[1]] for m in (one, other))
        common = int(np.count_nonzero(a & b))
    return common / (one.area + other.area - common)
