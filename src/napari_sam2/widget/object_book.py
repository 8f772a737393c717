"""What is told of each object in table and review, kept up to date without looking at all of them. No Qt here."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from napari_sam2.errors import NapariSam2Error
from napari_sam2.session_log import Step
from napari_sam2.widget.answers import DoubtLike, SessionLike
from napari_sam2.widget.review_row import ReviewRow, review_row

if TYPE_CHECKING:
    from napari_sam2.tracked_object import TrackedObject

ObjectState = Literal["prompted", "tracked", "ended", "divided"]
_EVERY_S, _BUDGET_S = 0.3, 0.02


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """One object in a few words.

    Attributes
    ----------
    num_frames, first, last
        How many masks it has, and the frames of the first and the last one.
    worst
        The mask that one may be least sure of; None if it has none.
    state
        "tracked" if it has a mask on a frame without prompts; "divided" if it ended and has children.
    parent
        The ID of the object that it came from; None if that is not known.
    """

    object_id: int
    name: str = ""
    num_frames: int = 0
    first: int | None = None
    last: int | None = None
    worst: DoubtLike | None = None
    state: ObjectState = "prompted"
    parent: int | None = None


class ObjectBook:
    """Listens to a session and keeps a row for each object, of which those are made anew that something happened to.

    Rows are made in the thread that works with the session, some times a second, and may be read in any.

    Parameters
    ----------
    num_frames
        Of the movie.

    Attributes
    ----------
    rows
        By object ID. Replaced, never changed.
    reviews
        The same of those that have masks, or were looked for.
    """

    def __init__(self, num_frames: int) -> None:
        self.rows: dict[int, ObjectRow] = {}
        self.reviews: dict[int, ReviewRow] = {}
        self._num_frames = num_frames
        self._session: SessionLike | None = None
        self._parents: Mapping[int, int] = {}
        self._outdated: set[int] = set()
        self._last = 0.0

    @property
    def is_behind(self) -> bool:
        """Whether there are rows to be made."""
        return self._session is not None and bool(self._outdated)

    def open(self, session: SessionLike) -> None:
        """Keep the book of this session from now on, in place of another."""
        self._session, self._parents = session, session.parents
        self._outdated = {*session.masklets, *self.rows}
        session.logs.add(self)

    def catch_up(self, seconds: float | None = None) -> None:
        """Make the rows that are out of date, in at most about so many seconds; to be called between two steps."""
        session, outdated = self._session, self._outdated
        if session is None or not outdated:
            return
        began, masklets, names = time.monotonic(), session.masklets, session.names
        parents = session.parents
        ended: dict[int, ObjectState] = dict.fromkeys(session.ends, "ended")
        ended |= dict.fromkeys(ended.keys() & set(parents.values()), "divided")
        prompted: dict[int, set[int]] = {}
        for object_id, frame in session.prompts:
            prompted.setdefault(object_id, set()).add(frame)
        rows, reviews = dict(self.rows), dict(self.reviews)
        try:
            while outdated:
                object_id = outdated.pop()
                masklet = masklets.get(object_id)
                if masklet is None:
                    reviews.pop(object_id, None)
                else:
                    reviews[object_id] = review_row(session, object_id, self._num_frames)
                if masklet is None and object_id not in prompted:
                    rows.pop(object_id, None)
                else:
                    frames = () if masklet is None else masklet.frames
                    rows[object_id] = ObjectRow(
                        object_id,
                        names.get(object_id, ""),
                        len(frames),
                        frames[0] if frames else None,
                        frames[-1] if frames else None,
                        None if masklet is None else reviews[object_id].worst,
                        ended.get(object_id) or _state(frames, prompted.get(object_id, ())),
                        parents.get(object_id),
                    )
                if seconds is not None and time.monotonic() - began > seconds:
                    break
        except NapariSam2Error:
            # What cannot be read would be read again for ever.
            outdated.clear()
            raise
        finally:
            self.rows, self.reviews = rows, reviews

    def catching_up(self, overtaken: Callable[[], bool]) -> Iterator[None]:
        """Make all rows that are out of date, some at a time; stops early once `overtaken`."""
        while self.is_behind and not overtaken():
            self.catch_up(_BUDGET_S)
            yield None

    def begin(self, step: Step) -> None:
        """Nothing is to be done before a step."""

    def touching(self, known: "TrackedObject", frames: Collection[int]) -> None:
        """Note whose row will be out of date."""
        self._outdated.add(known.object_id)

    def removing(self, known: "TrackedObject") -> None:
        """Note whose row will go."""
        self._outdated.add(known.object_id)

    def end(self, step: Step) -> None:
        """Make rows, unless that was done a moment ago."""
        self._note_lineage()
        if time.monotonic() - self._last > _EVERY_S:
            self.catch_up(_BUDGET_S)
            self._last = time.monotonic()

    def _note_lineage(self) -> None:
        """Note whose row will be out of date by now, as its parent is another or its children are others."""
        before, self._parents = self._parents, {} if self._session is None else self._session.parents
        self._outdated.update(i for link in before.items() ^ self._parents.items() for i in link)

    def close(self) -> None:
        """Let go of the session."""
        self._session = None


def _state(frames: Collection[int], prompted: Collection[int]) -> ObjectState:
    return "tracked" if any(frame not in prompted for frame in frames) else "prompted"
