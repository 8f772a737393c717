"""The objects of a session: by ID, with what is asked of all of them or of some."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import index
from typing import Any

from napari_sam2.errors import PromptError, explained
from napari_sam2.masklets import Masklet
from napari_sam2.network_runs import OBJECTS_PER_BATCH
from napari_sam2.object_facts import ObjectFacts
from napari_sam2.overlaps import SeenMask
from napari_sam2.prompts import MAX_OBJECT_ID, ObjectPrompts, Prompt, group_prompts
from napari_sam2.propagation import Follower
from napari_sam2.session_log import SessionLogs
from napari_sam2.shelf import Shelf
from napari_sam2.tracked_object import TrackedObject
from napari_sam2.trail import Trail


class SessionObjects(Mapping[int, TrackedObject]):
    """The objects that are followed through one movie, by object ID.

    Attributes
    ----------
    logs
        Who is told of what happens to them.
    edits
        Grows with each edit, so that a propagation notices.
    facts
        What is said of objects as a whole.
    """

    def __init__(self, follower: Follower) -> None:
        self.logs = SessionLogs()
        self.edits = 0
        self.facts = ObjectFacts()
        self._highest_id = 0
        self._follower = follower
        self._shelf = Shelf()
        # Replaced, never changed, so that `known` stays what it was.
        self._known: dict[int, TrackedObject] = {}

    @property
    def known(self) -> Mapping[int, TrackedObject]:
        """The objects that there are now, by ID, which stays as it is when some come or go."""
        return self._known

    @property
    def prompts(self) -> dict[tuple[int, int], ObjectPrompts]:
        """By (object_id, frame)."""
        return {(i, frame): p for i, known in self.items() for frame, p in known.prompts.items()}

    @property
    def prompted_ids(self) -> tuple[int, ...]:
        """IDs of the objects that have prompts that say where they are, or approved masks, sorted."""
        return tuple(sorted(i for i, known in self.items() if known.starts))

    @property
    def shape_yx(self) -> tuple[int, int]:
        """Of a frame of the movie, in pixels."""
        return self._follower.video.shape_yx

    @property
    def num_frames(self) -> int:
        """How many frames the movie has."""
        return self._follower.video.num_frames

    @property
    def next_id(self) -> int:
        """An object ID that was never used here, one more than the highest that was; also after undo and removal."""
        return self._highest_id + 1

    def use_ids_from(self, next_id: int) -> None:
        """Let `next_id` be at least this: those before it were used.

        Raises
        ------
        ValueError
            If it is no ID, and not the one after the last.
        """
        if not 1 <= next_id <= MAX_OBJECT_ID + 1:
            raise ValueError(f"the next object ID is {next_id}, expected 1 to {MAX_OBJECT_ID}")
        self._highest_id = max(self._highest_id, next_id - 1)

    def all_prompts(self) -> Iterator[Prompt]:
        """All prompts, on each frame in an order that groups them again as they are."""
        for group in self.prompts.values():
            yield from group.in_order

    def is_correctable(self, object_id: int, frame: int) -> bool:
        """Whether a frame has a mask of an object, or had one that was corrected, so that points may correct it.

        A mask that prompts on the frame made from nothing goes with them.
        """
        known = self._known.get(object_id)
        if known is None or (frame in known.prompts and known.prompts[frame].says_where):
            return False
        return frame in known.masklet or known.has_answer(frame)

    def set_prompts(self, prompts: Iterable[Prompt]) -> set[tuple[int, int]]:
        """Replace all prompts by others that make sense; returns the (frame, object_id) that changed."""
        old, new = self.prompts, group_prompts(prompts)
        changed = {key for key in new.keys() | old.keys() if new.get(key) != old.get(key)}
        by_object: dict[int, dict[int, ObjectPrompts]] = {object_id: {} for object_id, _ in changed}
        for (object_id, frame), group in new.items():
            if object_id in by_object:
                by_object[object_id][frame] = group
        with self.logs.step("prompts"):
            self.load(self.new(object_id) for object_id in by_object if object_id not in self._known)
            for object_id, groups in by_object.items():
                known = self._known[object_id]
                self._lift_end(known, groups)
                known.set_prompts(groups)
                if not groups and not known.masklet:
                    self.remove(object_id)
            self.edits += 1
        return {(frame, object_id) for object_id, frame in changed}

    def new(self, object_id: int, *, masklet: Masklet | None = None, trail: Trail | None = None) -> TrackedObject:
        """An object that is none of these yet, see `put`; with the masks it has, and where it was tracked."""
        masklet = Masklet(object_id, self._shelf) if masklet is None else masklet
        trail = Trail(self._follower.video.num_frames) if trail is None else trail
        return TrackedObject(self._follower, self.logs, masklet, trail)

    def put(self, known: TrackedObject) -> None:
        """Take in an object with all that is known of it, such as one that was removed or stored."""
        with self.logs.step("undo"):
            if self.logs:
                self.logs.touching(known, known.frames)
            self.load([known])
            self.edits += 1

    def load(self, objects: Iterable[TrackedObject]) -> None:
        """Take in objects as they are, stored ones before anybody listens; nobody is told."""
        self._known = self._known | {known.object_id: known for known in objects}
        self.use_ids_from(max(self._known, default=0) + 1)

    def exchange(self, objects: Collection[TrackedObject], facts: ObjectFacts) -> None:
        """Let these be all objects there are, as they are stored."""
        with self.logs.step("reload"):
            for known in self._known.values():
                self.logs.removing(known)
            for known in objects:
                self.logs.touching(known, known.frames)
            self._known = {}
            self.load(objects)
            self.facts = facts
            self.edits += 1

    def take_over(self, others: "SessionObjects") -> None:
        """Take in all objects of a session that is used no more, without what its model answered."""
        with self.logs.step("settings"):
            self.load([known.taken_over(self._follower, self.logs) for known in others.values()])
            for known in self._known.values():
                self.logs.touching(known, known.frames)
            self.facts = others.facts
            self.use_ids_from(others.next_id)
            self.edits += 1

    def say(self, **facts: Mapping[int, Any]) -> None:
        """Replace some of the `facts`, by their names."""
        self.facts = replace(self.facts, **facts)

    def remove(self, object_id: int) -> None:
        """Forget an object altogether, if there is one of that ID."""
        with self.logs.step("remove"):
            if object_id in self._known:
                self.logs.removing(self._known[object_id])
                self._known = {i: known for i, known in self._known.items() if i != object_id}
                self.facts = self.facts.without(object_id)
            self.edits += 1

    def prompted_on(self, frame: int, object_id: int) -> TrackedObject:
        """The object of an ID.

        Raises
        ------
        PromptError
            If there is none, or it has no prompts on that frame.
        """
        known = self._known.get(object_id)
        if known is None or frame not in known.prompts:
            raise PromptError(f"object {object_id} has no prompt on frame {frame}: click it there first")
        return known

    def unanswered(self, frame: int) -> list[TrackedObject]:
        """Those whose prompts on a frame say where they are, and have not been made a mask of, sorted by ID."""
        return [known for _, known in sorted(self.items()) if frame in known.unanswered]

    def chosen(self, object_ids: Sequence[int] | None) -> tuple[int, ...]:
        """IDs of objects to be followed, sorted; None: of all that have prompts or approved masks.

        Raises
        ------
        PromptError
            If one has neither, or there is none.
        """
        chosen = self.prompted_ids if object_ids is None else tuple(sorted({index(i) for i in object_ids}))
        strangers = [i for i in chosen if i not in self.prompted_ids]
        if strangers or not chosen:
            raise PromptError(
                f"Nothing to follow: {f'object {strangers[0]} has' if strangers else 'there are'} no prompts. "
                "Click a cell first."
            )
        return chosen

    def starts(self, object_ids: Collection[int]) -> dict[int, list[int]]:
        """By object ID, the frames from which it can be followed, of those that have any."""
        known = {i: self._known[i] for i in object_ids if i in self._known}
        return {i: starts for i, one in known.items() if (starts := one.starts)}

    def limits(self, object_ids: Collection[int], first: int | None, last: int | None) -> tuple[int, int]:
        """First and last frame on which there is something to follow, of those from `first` to `last`.

        Raises
        ------
        PromptError
            If the objects may be on other frames only.
        """
        low, high = first or 0, self.num_frames - 1 if last is None else last
        spans = [self.span(i) for i in object_ids] or [range(self.num_frames)]
        begin, end = min(span.start for span in spans), max(span.stop for span in spans)
        if low > high or low >= self.num_frames:
            return low, high  # no frames of the movie, whatever the objects are
        if high < begin or end <= low:
            raise PromptError(
                f"Nothing to follow on the frames {low} to {high}: by where objects end and divide, there is something "
                f"on the frames {begin} to {end - 1} only. Ask for some of these, or click an object there."
            )
        return max(begin, low), min(high, end - 1)

    def span(self, object_id: int) -> range:
        """The frames of the movie on which an object may be: up to its end, and from the end of its parent on.

        A parent that has no end lives on, as budding yeast does. Whoever says that the object is somewhere before is
        believed.
        """
        end = min(self.num_frames, self.facts.ends.get(object_id, self.num_frames))
        begin = self.facts.ends.get(self.facts.parents.get(object_id, 0))
        return range(0 if begin is None else min(begin, end, *self._known[object_id].starts), end)

    def are_there(self, object_ids: Iterable[int], frame: int) -> list[TrackedObject]:
        """The objects of these IDs that may be on a frame."""
        return [self._known[i] for i in object_ids if frame in self.span(i)]

    def standing(self, frame: int, but: Collection[int]) -> dict[int, SeenMask]:
        """By object ID, masks on a frame that yield to no other object's, of all objects but some."""
        fixed = ((i, known.masklet.get(frame)) for i, known in self.items() if i not in but and known.is_fixed(frame))
        return {i: SeenMask.of(mask) for i, mask in fixed if mask is not None}

    def prepare(self, object_ids: Iterable[int]) -> None:
        """Answer and memorize all prompts of some objects, frame by frame, so that each frame is encoded once.

        Prompts that only correct wait for the mask that they correct, until the propagation comes to them.
        """
        by_frame: dict[int, list[TrackedObject]] = {}
        for known in (self._known[object_id] for object_id in sorted(object_ids)):
            for frame in known.starts:
                if frame in known.prompts:
                    by_frame.setdefault(frame, []).append(known)
        for frame, objects in sorted(by_frame.items()):
            with explained(frame):
                self.answer_painted(frame, objects)
                # Few enough for what a click was answered with to be there still when it is remembered.
                for first in range(0, len(objects), OBJECTS_PER_BATCH):
                    some = objects[first : first + OBJECTS_PER_BATCH]
                    for known in some:
                        if frame in known.unanswered:
                            known.segment(frame)
                    self._follower.remember_prompts([known.followed for known in some])

    def answer_painted(self, frame: int, objects: Iterable[TrackedObject]) -> None:
        """Look at once at many masks on a frame, whose objects are still to be segmented."""
        self._follower.answer_painted(frame, [o.prompts[frame] for o in objects if frame in o.unanswered])

    def _lift_end(self, known: TrackedObject, groups: dict[int, ObjectPrompts]) -> None:
        """An object that is told to be somewhere after its end has not ended there."""
        end = self.facts.ends.get(known.object_id)
        said = (t for t, group in groups.items() if group.says_where and group != known.prompts.get(t))
        if end is not None and any(frame >= end for frame in said):
            self.say(ends={i: t for i, t in self.facts.ends.items() if i != known.object_id})

    def __getitem__(self, object_id: int) -> TrackedObject:
        return self._known[object_id]

    def __iter__(self) -> Iterator[int]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)
