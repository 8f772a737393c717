"""Follows the points and shapes of the prompt layers and says what changed. No Qt here."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from napari.layers import Image, Points, Shapes
from psygnal import Signal

from napari_sam2.errors import NapariSam2Error, PromptError
from napari_sam2.layers import movie_shape, read_prompts, read_shapes
from napari_sam2.prompts import MaskPrompt, ObjectPrompts, Prompt, check_corrections, check_prompts, group_prompts

ObjectFrame = tuple[int, int]
"""(object ID, frame), as `group_prompts` has them."""


class PromptWatch:
    """The prompts of one movie, read again at each change of their layers and compared with those before.

    Comparing, rather than following single events, is right for every way to change points and shapes: clicks, drags,
    deletions, paste, bulk assignment, edits of the feature table.
    """

    changed: ClassVar[Signal] = Signal(object)
    """Emitted with the list of (object ID, frame) whose prompts differ."""
    note: ClassVar[Signal] = Signal(str)

    def __init__(self, image: Image) -> None:
        self.image = image
        self.points: Points | None = None
        self.shapes: Shapes | None = None
        self.groups: dict[ObjectFrame, ObjectPrompts] = {}
        self.highest_id = 0
        """The highest object ID that any prompt ever had."""
        self.kept: list[Prompt] = []
        """Prompts of the session that no layer can show: masks that were painted, or came from elsewhere."""
        self.exact: dict[Prompt, Prompt] = {}
        """By what is read of a point or a box that the plugin drew, what it stands for: shapes are kept in float32."""
        self.is_correctable: Callable[[int, int], bool] = lambda _object_id, _frame: False
        """Whether an object has a mask on a frame that negative points alone may correct."""
        self.is_own = False
        """Whether what is being told has been changed by the plugin itself."""
        self._ignored = ""
        self._waits = False

    def watch(self, layer: Points | Shapes) -> None:
        """Read prompts from this layer from now on, in place of the points or the shapes read before."""
        if isinstance(layer, Points):
            self._leave(self.points)
            self.points = layer
        else:
            self._leave(self.shapes)
            self.shapes = layer
        layer.events.data.connect(self.read)
        layer.events.features.connect(self.read)
        self.read()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """The plugin changes the layers inside: they are read once, at the end, and it counts as its own change."""
        self._waits = True
        try:
            yield
        finally:
            self._waits, self.is_own = False, True
            try:
                self.read()
            finally:
                self.is_own = False

    def unwatch(self, layer: Points | Shapes | None = None) -> None:
        """Leave a layer alone, by default both; nothing counts as changed by that."""
        if layer is None or layer == self.points:
            self._leave(self.points)
            self.points = None
        if layer is None or layer == self.shapes:
            self._leave(self.shapes)
            self.shapes = None
        try:
            self.groups = self._grouped(lambda _text: None)
        except NapariSam2Error as error:
            self.groups = {}
            self.note.emit(str(error))

    def read(self, event: Any = None) -> None:
        """Read all points and shapes again, unless the event only announces a change."""
        is_announced = str(getattr(event, "action", "")) in ("adding", "removing", "changing")
        if self._waits or is_announced:
            return
        ignored: list[str] = []
        try:
            groups = self._grouped(ignored.append)
        except NapariSam2Error as error:
            self.note.emit(str(error))
            return
        told = " ".join(ignored)
        if told and told != self._ignored:
            self.note.emit(told)
        self._ignored = told
        changed = [key for key in {**self.groups, **groups} if self.groups.get(key) != groups.get(key)]
        self.groups = groups
        self.highest_id = max([self.highest_id, *(object_id for object_id, _ in groups)])
        if changed:
            self.changed.emit(changed)

    def usable(self, others: Iterable[Prompt] = ()) -> tuple[list[Prompt], dict[int, str]]:
        """Return the prompts of all objects that a session accepts, and why not for the other objects.

        Parameters
        ----------
        others
            Prompts from elsewhere, to be taken together with these: masks painted by hand.
        """
        num_frames, *shape = movie_shape(self.image)
        by_object: dict[int, list[Prompt]] = {}
        for prompt in [*(prompt for group in self.groups.values() for prompt in group.in_order), *others]:
            by_object.setdefault(prompt.object_id, []).append(prompt)
        accepted: list[Prompt] = []
        problems: dict[int, str] = {}
        for object_id, prompts in by_object.items():
            try:
                check_prompts(prompts, num_frames=num_frames, shape_yx=(shape[0], shape[1]))
                check_corrections(prompts, self.is_correctable)
            except PromptError as error:
                problems[object_id] = str(error)
            else:
                accepted.extend(prompts)
        return accepted, problems

    def _grouped(self, on_ignored: Callable[[str], None]) -> dict[ObjectFrame, ObjectPrompts]:
        # Points last: on the same frame they refine what the others give.
        prompts: list[Prompt] = []
        if self.shapes is not None:
            prompts += read_shapes(self.shapes, self.image, on_ignored=on_ignored)
        if self.points is not None:
            prompts += read_prompts(self.points, self.image, on_ignored=on_ignored)
        exact = [p if isinstance(p, MaskPrompt) else self.exact.get(p, p) for p in prompts]
        return group_prompts([*self.kept, *exact])

    def _leave(self, layer: Points | Shapes | None) -> None:
        if layer is not None:
            layer.events.data.disconnect(self.read)
            layer.events.features.disconnect(self.read)
