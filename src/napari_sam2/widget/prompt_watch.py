"""Follows the points of a prompt layer and says what changed. No Qt here."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from napari.layers import Image, Points
from psygnal import Signal

from napari_sam2.errors import NapariSam2Error, PromptError
from napari_sam2.layers import movie_shape, read_prompts
from napari_sam2.prompts import ObjectPrompts, Prompt, check_prompts, group_prompts

ObjectFrame = tuple[int, int]
"""(object ID, frame), as `group_prompts` has them."""


class PromptWatch:
    """The prompts of one movie, read again at each change of the layer and compared with those before.

    Comparing, rather than following single events, is right for every way to change points: clicks, drags, deletions,
    paste, bulk assignment, edits of the feature table.
    """

    changed: ClassVar[Signal] = Signal(object)
    """Emitted with the list of (object ID, frame) whose prompts differ."""
    note: ClassVar[Signal] = Signal(str)

    def __init__(self, image: Image) -> None:
        self.image = image
        self.points: Points | None = None
        self.groups: dict[ObjectFrame, ObjectPrompts] = {}
        self.highest_id = 0
        """The highest object ID that any prompt ever had."""
        self._ignored = ""
        self._waits = False

    def watch(self, points: Points) -> None:
        """Read prompts from this layer from now on."""
        self.unwatch()
        self.points = points
        points.events.data.connect(self.read)
        points.events.features.connect(self.read)
        self.read()

    @contextmanager
    def reading_at_the_end(self) -> Iterator[None]:
        """Read only once what is done to the layer within."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False
            self.read()

    def unwatch(self) -> None:
        """Leave the layer alone; nothing counts as changed by that."""
        if self.points is not None:
            self.points.events.data.disconnect(self.read)
            self.points.events.features.disconnect(self.read)
            self.points = None
            self.groups = {}

    def read(self, event: Any = None) -> None:
        """Read all points again, unless the event only announces a change."""
        is_announced = str(getattr(event, "action", "")) in ("adding", "removing", "changing")
        if self.points is None or self._waits or is_announced:
            return
        ignored: list[str] = []
        try:
            groups = group_prompts(read_prompts(self.points, self.image, on_ignored=ignored.append))
        except NapariSam2Error as error:
            self.note.emit(str(error))
            return
        if ignored and ignored[0] != self._ignored:
            self.note.emit(ignored[0])
        self._ignored = ignored[0] if ignored else ""
        changed = [key for key in {**self.groups, **groups} if self.groups.get(key) != groups.get(key)]
        self.groups = groups
        self.highest_id = max([self.highest_id, *(object_id for object_id, _ in groups)])
        if changed:
            self.changed.emit(changed)

    def has_object(self, object_id: int) -> bool:
        """Whether any point is about the object."""
        return any(known == object_id for known, _ in self.groups)

    def usable(self, others: Iterable[Prompt] = ()) -> tuple[list[Prompt], dict[int, str]]:
        """Return the prompts of all objects that a session accepts, and why not for the other objects.

        Parameters
        ----------
        others
            Prompts from elsewhere, to be taken together with the points: masks painted by hand.
        """
        num_frames, *shape = movie_shape(self.image)
        by_object: dict[int, list[Prompt]] = {}
        for prompt in [*(point for group in self.groups.values() for point in group.points), *others]:
            by_object.setdefault(prompt.object_id, []).append(prompt)
        accepted: list[Prompt] = []
        problems: dict[int, str] = {}
        for object_id, prompts in by_object.items():
            try:
                check_prompts(prompts, num_frames=num_frames, shape_yx=(shape[0], shape[1]))
            except PromptError as error:
                problems[object_id] = str(error)
            else:
                accepted.extend(prompts)
        return accepted, problems
