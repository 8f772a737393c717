"""The search for all objects of a frame: what is asked for, what was found, its way into the session. No Qt here."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from napari_sam2.layers import add_clicks, replace_points
from napari_sam2.masklets import FrameMask
from napari_sam2.prompts import MaskPrompt, Prompt
from napari_sam2.widget.answers import (
    FrameAnswer,
    SearchAnswer,
    SearchRequest,
    SessionLike,
    accept_masks,
    search_frame,
    segment_masks,
)
from napari_sam2.widget.jobs import JobEnd
from napari_sam2.widget.prompt_watch import ObjectFrame, PromptWatch

if TYPE_CHECKING:
    from napari_sam2.found_objects import Everything

NOTHING_FOUND = (
    "No cells found beside those that have masks. Give the cell diameter, or ask for less quality, and search again."
)

_SELECTED = "They are selected in the list; 'Remove' takes them away."


class Work(NamedTuple):
    """Something for the worker thread, and what to call it."""

    name: str
    steps: Callable[[], Iterator[FrameAnswer | SearchAnswer]]


class Finder:
    """A search asked for; then points for what it found, in the prompt layer, and masks that wait to be their answers.

    A point that is moved or removed before its mask was taken over takes the mask along, and is a click like others.

    Parameters
    ----------
    prompts
        Follows the layer.

    Attributes
    ----------
    request
        The search that has not begun.
    news
        What became of those that were made objects last, in words.
    """

    def __init__(self, prompts: PromptWatch) -> None:
        self.request: SearchRequest | None = None
        self.news = ""
        self._prompts = prompts
        self._waiting: dict[ObjectFrame, FrameMask] = {}
        self._given: tuple[MaskPrompt, ...] = ()
        self._accepting: tuple[int, ...] = ()

    @property
    def has_work(self) -> bool:
        """Whether there is a search to begin, or there are masks to take over or to make objects of."""
        return bool(self._waiting or self._given) or self.request is not None

    def next_work(self, opened: Callable[[], SessionLike], prompts: Sequence[Prompt]) -> Work:
        """What is to be done next, if there is work: take over masks that were found, else search.

        Parameters
        ----------
        opened
            Returns the session; called in the worker thread.
        prompts
            All there are.
        """
        masks, request = list(self._waiting.values()), self.request
        if masks:
            self._waiting = {}
            self._accepting = tuple(mask.object_id for mask in masks)
            self.news = f"{_count(masks, 'cell')} found. {_SELECTED}"
            return Work("Taking over what was found", lambda: accept_masks(opened(), prompts, masks))
        if self._given:
            given, self._given = self._given, ()
            self._accepting = tuple(mask.object_id for mask in given)
            self.news = f"{_count(given, 'label')} used. {_SELECTED}"
            return Work("Taking over labels", lambda: segment_masks(opened(), prompts, given))
        if request is None:
            raise ValueError("there is no work")
        self.request = None
        return Work("Looking for cells", lambda: search_frame(opened(), prompts, request))

    def add(self, found: "Everything") -> None:
        """Make a point of each click found, all in one step."""
        points = self._prompts.points
        if points is not None:
            self._waiting = {(mask.object_id, mask.frame): mask for mask in found.masks}
            with self._prompts.changing():
                add_clicks(points, self._prompts.image, found.clicks)

    def give(self, masks: Sequence[MaskPrompt]) -> None:
        """Take masks of one frame for prompts of new objects; they are in no layer of prompts."""
        self._given = (*self._given, *masks)
        with self._prompts.changing():
            self._prompts.kept += masks

    def on_end(self, end: JobEnd) -> tuple[int, ...]:
        """Take note that masks were taken over, and return their object IDs; if it went wrong, their prompts go."""
        object_ids, self._accepting = self._accepting, ()
        if end.error is None and not end.canceled:
            return object_ids
        if object_ids and self._prompts.points is not None:
            keys = {key for key in self._prompts.groups if key[0] in object_ids}
            with self._prompts.changing():
                self._prompts.kept = [p for p in self._prompts.kept if p.object_id not in object_ids]
                replace_points(self._prompts.points, self._prompts.image, keys, ())
        return ()

    def changed(self, key: ObjectFrame) -> None:
        """Take note that somebody changed the prompts of an object on a frame."""
        self._waiting.pop(key, None)


def _count(masks: Sequence[object], what: str) -> str:
    return f"{len(masks)} {what}{'' if len(masks) == 1 else 's'}"
