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
    search_frame,
)
from napari_sam2.widget.prompt_watch import ObjectFrame, PromptWatch
from napari_sam2.widget.taking_over import accept_masks, segment_masks

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

    A point that is moved, removed or joined by another before its mask was taken over takes the mask along, and is a
    click like others.
    Until then the session is told of none of these points and masks, and then of all, or of none if that is stopped.

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
        self._accepting: tuple[ObjectFrame, ...] = ()
        # Whose prompts somebody changed since the job that is under way began.
        self._touched: set[ObjectFrame] = set()

    @property
    def has_work(self) -> bool:
        """Whether there is a search to begin, or there are masks to take over or to make objects of."""
        return bool(self._waiting or self._given) or self.request is not None

    def told(self, prompts: Sequence[Prompt]) -> list[Prompt]:
        """Those of the prompts of which the session may be told: without masks that wait, and points for them."""
        waiting = {*self._waiting, *_keys(self._given)}
        return [prompt for prompt in prompts if (prompt.object_id, prompt.frame) not in waiting]

    def next_work(self, opened: Callable[[], SessionLike], usable: Callable[[], Sequence[Prompt]]) -> Work:
        """What is to be done next, if there is work: take over masks that were found, else search.

        Parameters
        ----------
        opened
            Returns the session; called in the worker thread.
        usable
            Returns all prompts that the session may be told of.
        """
        masks, request = list(self._waiting.values()), self.request
        if masks:
            self._waiting, self._accepting = {}, _keys(masks)
            self.news = f"{_count(masks, 'cell')} found. {_SELECTED}"
            prompts = usable()
            return Work("Taking over what was found", lambda: accept_masks(opened(), prompts, masks))
        if self._given:
            given, self._given = self._given, ()
            self._accepting = _keys(given)
            self.news = f"{_count(given, 'label')} used. {_SELECTED}"
            prompts = usable()
            return Work("Taking over labels", lambda: segment_masks(opened(), prompts, given))
        if request is None:
            raise ValueError("there is no work")
        self.request, prompts = None, usable()
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

    def on_end(self, session: SessionLike | None) -> tuple[ObjectFrame, ...]:
        """Take note that a job has ended; returns which objects, on which frames, the session has from it.

        Of those that it has not, because something went wrong, the prompts go.
        """
        keys, self._accepting = self._accepting, ()
        known = session.prompts if session is not None and keys else {}
        self._drop({key for key in keys if key not in known and key not in self._touched})
        self._touched.clear()
        return tuple(key for key in keys if key in known)

    def cancel(self) -> None:
        """Forget the search that has not begun, and what waits to be taken over."""
        waiting = {*self._waiting, *_keys(self._given)}
        self.request, self._waiting, self._given = None, {}, ()
        self._drop(waiting)

    def _drop(self, keys: set[ObjectFrame]) -> None:
        if keys:
            with self._prompts.changing():
                self._prompts.kept = [p for p in self._prompts.kept if (p.object_id, p.frame) not in keys]
                if self._prompts.points is not None:
                    replace_points(self._prompts.points, self._prompts.image, keys, ())

    def changed(self, key: ObjectFrame) -> None:
        """Take note that somebody changed the prompts of an object on a frame: they stay, whatever is stopped."""
        self._waiting.pop(key, None)
        self._given = tuple(mask for mask in self._given if (mask.object_id, mask.frame) != key)
        self._touched.add(key)


def _count(masks: Sequence[object], what: str) -> str:
    return f"{len(masks)} {what}{'' if len(masks) == 1 else 's'}"


def _keys(masks: Sequence[FrameMask | MaskPrompt]) -> tuple[ObjectFrame, ...]:
    return tuple((mask.object_id, mask.frame) for mask in masks)
