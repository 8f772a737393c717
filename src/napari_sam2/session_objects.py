"""The objects of a session: by ID, with what is asked of all of them or of some."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from napari_sam2.errors import PromptError, explained
from napari_sam2.masklets import Masklet
from napari_sam2.prompts import ObjectPrompts, Prompt, group_prompts
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
    """

    def __init__(self, follower: Follower) -> None:
        self.logs = SessionLogs()
        self.edits = 0
        self._follower = follower
        self._shelf = Shelf()
        self._known: dict[int, TrackedObject] = {}

    @property
    def prompts(self) -> dict[tuple[int, int], ObjectPrompts]:
        """By (object_id, frame)."""
        return {(i, frame): p for i, known in self.items() for frame, p in known.prompts.items()}

    @property
    def prompted_ids(self) -> tuple[int, ...]:
        """IDs of the objects that have prompts, sorted."""
        return tuple(sorted(i for i, known in self.items() if known.prompts))

    def all_prompts(self) -> Iterator[Prompt]:
        """All prompts, on each frame in an order that groups them again as they are."""
        for group in self.prompts.values():
            yield from group.in_order

    def set_prompts(self, prompts: Iterable[Prompt]) -> set[tuple[int, int]]:
        """Replace all prompts by others that make sense; returns the (frame, object_id) that changed."""
        old, new = self.prompts, group_prompts(prompts)
        changed = {key for key in new.keys() | old.keys() if new.get(key) != old.get(key)}
        by_object: dict[int, dict[int, ObjectPrompts]] = {object_id: {} for object_id, _ in changed}
        for (object_id, frame), group in new.items():
            if object_id in by_object:
                by_object[object_id][frame] = group
        with self.logs.step("prompts"):
            for object_id, groups in by_object.items():
                known = self._known.setdefault(object_id, self.new(object_id))
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
            self._known[known.object_id] = known
            self.edits += 1

    def remove(self, object_id: int) -> None:
        """Forget an object altogether, if there is one of that ID."""
        with self.logs.step("remove"):
            if object_id in self._known:
                self.logs.removing(self._known[object_id])
                del self._known[object_id]
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

    def chosen(self, object_ids: Sequence[int] | None) -> tuple[int, ...]:
        """IDs of objects to be followed, sorted; None: of all that have prompts.

        Raises
        ------
        PromptError
            If one has no prompts, or there is none.
        """
        chosen = self.prompted_ids if object_ids is None else tuple(sorted(set(object_ids)))
        strangers = [i for i in chosen if i not in self.prompted_ids]
        if strangers or not chosen:
            raise PromptError(
                f"Nothing to follow: {f'object {strangers[0]} has' if strangers else 'there are'} no prompts. "
                "Click a cell first."
            )
        return chosen

    def starts(self, object_ids: Collection[int]) -> dict[int, list[int]]:
        """By object ID, the frames from which it can be followed, of those that have prompts."""
        known = {i: self._known[i] for i in object_ids if i in self._known}
        return {i: one.starts for i, one in known.items() if one.prompts}

    def prepare(self, object_ids: Iterable[int]) -> None:
        """Answer and memorize all prompts of some objects, frame by frame, so that each frame is encoded once.

        Prompts that only correct wait for the mask that they correct, until the propagation comes to them.
        """
        objects = [self._known[object_id] for object_id in sorted(object_ids)]
        for frame, known in sorted(((t, o) for o in objects for t in o.starts), key=lambda pair: pair[0]):
            with explained(frame):
                if not known.is_answered(frame):
                    known.segment(frame)
                known.remember()

    def __getitem__(self, object_id: int) -> TrackedObject:
        return self._known[object_id]

    def __iter__(self) -> Iterator[int]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)
