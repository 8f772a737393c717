"""What the worker thread does with a session, as generators of answers. No Qt, no napari."""

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sam2.cleaning import Cleaning
from napari_sam2.errors import NapariSam2Error
from napari_sam2.masklets import FrameMask, Masklet
from napari_sam2.prompts import ObjectPrompts, Prompt
from napari_sam2.session_log import SessionLogs, StepKind
from napari_sam2.settings import EverythingSettings
from napari_sam2.sweeps import Direction

if TYPE_CHECKING:
    from napari_sam2.found_objects import Everything
    from napari_sam2.history import History
    from sam2_torch.mask_generator import Progress

Key = tuple[int, int]
"""(frame, object ID): what one mask belongs to."""


class FrameResultLike(Protocol):
    """What a session yields for each frame; see `napari_sam2.tracking_session.FrameResult`."""

    @property
    def frame(self) -> int: ...  # noqa: D102
    @property
    def masks(self) -> Sequence[FrameMask]: ...  # noqa: D102
    @property
    def absent(self) -> Sequence[int]: ...  # noqa: D102
    @property
    def empty(self) -> Sequence[int]: ...  # noqa: D102
    @property
    def doubtful(self) -> Sequence[int]: ...  # noqa: D102


class DoubtLike(Protocol):
    """A mask in doubt; see `napari_sam2.reviewed_session.Doubt`."""

    @property
    def frame(self) -> int: ...  # noqa: D102
    @property
    def object_id(self) -> int: ...  # noqa: D102
    @property
    def confidence(self) -> float: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102


class SessionLike(Protocol):
    """The part of `TrackingSession` that the widget uses; tests have one without a model."""

    cleaning: Cleaning

    @property
    def prompts(self) -> Mapping[tuple[int, int], ObjectPrompts]: ...  # noqa: D102
    @property
    def masklets(self) -> Mapping[int, Masklet]: ...  # noqa: D102
    @property
    def next_object_id(self) -> int: ...  # noqa: D102
    @property
    def names(self) -> Mapping[int, str]: ...  # noqa: D102
    @property
    def ends(self) -> Mapping[int, int]: ...  # noqa: D102
    @property
    def parents(self) -> Mapping[int, int]: ...  # noqa: D102
    @property
    def logs(self) -> SessionLogs: ...  # noqa: D102
    @property
    def history(self) -> "History": ...  # noqa: D102
    def undo(self) -> str: ...  # noqa: D102
    def one_step(self, kind: StepKind = ...) -> AbstractContextManager[None]: ...  # noqa: D102
    def redo(self) -> str: ...  # noqa: D102
    def merge(self, into: int, other: int) -> None: ...  # noqa: D102
    def split(self, object_id: int, frame: int) -> int: ...  # noqa: D102
    def swap(self, a: int, b: int, frame: int) -> None: ...  # noqa: D102
    def end(self, object_id: int, frame: int) -> None: ...  # noqa: D102
    def divide(self, object_id: int, frame: int) -> tuple[int, ...]: ...  # noqa: D102
    def set_parent(self, object_id: int, parent: int | None) -> None: ...  # noqa: D102
    def mark_absent(self, object_id: int, frame: int) -> None: ...  # noqa: D102
    def rename(self, object_id: int, name: str) -> None: ...  # noqa: D102
    def set_prompts(self, prompts: Iterable[Prompt]) -> set[Key]: ...  # noqa: D102
    def is_correctable(self, object_id: int, frame: int) -> bool: ...  # noqa: D102
    def remove_object(self, object_id: int) -> None: ...  # noqa: D102
    def segment(self, frame: int, object_id: int) -> FrameMask | None: ...  # noqa: D102
    def segment_all(self, frame: int) -> Iterator[FrameMask]: ...  # noqa: D102
    def look_ahead(self, frame: int, *, first: Collection[int] = ()) -> Iterator[int]: ...  # noqa: D102
    def diameter_of(self, object_id: int) -> float | None: ...  # noqa: D102
    def everything(  # noqa: D102
        self, frame: int, *, settings: EverythingSettings | None = None
    ) -> "Generator[Progress, None, Everything]": ...
    def accept(self, mask: FrameMask) -> None: ...  # noqa: D102
    def plan(  # noqa: D102
        self,
        direction: Direction,
        *,
        object_ids: Sequence[int] | None = None,
        first: int | None = None,
        last: int | None = None,
    ) -> int: ...
    def propagate(  # noqa: D102
        self,
        direction: Direction = "forward",
        *,
        object_ids: Sequence[int] | None = None,
        first: int | None = None,
        last: int | None = None,
    ) -> Iterator[FrameResultLike]: ...
    def update(self, object_ids: Sequence[int] | None = None) -> Iterator[FrameResultLike]: ...  # noqa: D102
    @property
    def can_resume(self) -> bool: ...  # noqa: D102
    def remaining(self) -> int: ...  # noqa: D102
    def resume(self) -> Iterator[FrameResultLike]: ...  # noqa: D102
    def confidence(self, object_id: int) -> "tuple[NDArray[np.int64], NDArray[np.float64]]": ...  # noqa: D102
    def doubtful(self, object_ids: Iterable[int] | None = None) -> Sequence[DoubtLike]: ...  # noqa: D102
    def next_doubtful(self, frame: int, step: int = 1) -> DoubtLike | None: ...  # noqa: D102
    def worst(self, object_id: int) -> DoubtLike | None: ...  # noqa: D102
    def can_approve(self, object_id: int, frame: int) -> bool: ...  # noqa: D102
    def keeps_pixels(self, object_id: int, frame: int) -> bool: ...  # noqa: D102
    def approved(self, object_id: int) -> Sequence[int]: ...  # noqa: D102
    def approve(self, object_id: int, frames: int | None = None) -> Sequence[int]: ...  # noqa: D102
    def disapprove(self, object_id: int, frames: int | None = None) -> Sequence[int]: ...  # noqa: D102
    def reload(self) -> None: ...  # noqa: D102
    def labels(self, frame: int) -> NDArray[np.uint32]: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class PropagationRequest:
    """A run of some objects, or all, through frames `first` to `last`, both included; None for the end of the movie.

    Without a direction, corrections are carried on to what they can change, wherever that is.
    """

    direction: Direction | None
    first: int | None = None
    last: int | None = None
    object_ids: tuple[int, ...] | None = None

    def plan(self, session: SessionLike) -> int:
        """How many frames there are to do; 0 if that is not known."""
        if self.direction is None:
            return 0
        return session.plan(self.direction, object_ids=self.object_ids, first=self.first, last=self.last)

    def results(self, session: SessionLike) -> Iterator[FrameResultLike]:
        """Run it."""
        if self.direction is None:
            return session.update(self.object_ids)
        return session.propagate(self.direction, object_ids=self.object_ids, first=self.first, last=self.last)


@dataclass(frozen=True, slots=True)
class Resumption:
    """Going on with what was stopped half way, a propagation or an update."""

    def plan(self, session: SessionLike) -> int:
        """How many frames there are to do; 0 if that is not known."""
        return session.remaining()

    def results(self, session: SessionLike) -> Iterator[FrameResultLike]:
        """Run it."""
        return session.resume()


RunRequest = PropagationRequest | Resumption


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search for all objects on a frame."""

    frame: int
    settings: EverythingSettings


@dataclass(frozen=True, slots=True, eq=False)
class FrameAnswer:
    """Masks of one frame.

    Attributes
    ----------
    frame
        Frame index.
    labels
        (Y, X) uint32, all masks that the session has on the frame.
    replaced
        IDs for which `labels` is the truth even where it has nothing.
    key, ticket
        For the answer to a click: what it belongs to, and the number of the click; a newer click has a higher one.
    problem
        Why the click got no mask.
    absent
        IDs of the objects that a propagation looked for and did not find.
    doubtful
        IDs of the objects whose masks a propagation does not trust.
    diameter
        For the answer to a click: at which typical diameter, in pixels, its object is looked at.
    is_written
        Whether it is in the layers already.
    """

    frame: int
    labels: NDArray[np.uint32]
    replaced: frozenset[int]
    key: Key | None = None
    ticket: int = 0
    problem: str = ""
    absent: tuple[int, ...] = ()
    doubtful: tuple[int, ...] = ()
    diameter: float | None = None
    is_written: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class SearchAnswer:
    """How far a search for objects has come, and in the end what it `found`."""

    done: int
    total: int
    found: "Everything | None" = None


@dataclass(frozen=True, slots=True)
class StoredFrames:
    """The frames on which a session has masks, in their order."""

    frames: tuple[int, ...]


def answer_clicks(
    session: SessionLike,
    prompts: Sequence[Prompt],
    tickets: Mapping[Key, int],
    *,
    overtaken: Callable[[], bool],
) -> Iterator[FrameAnswer]:
    """Yield the mask of each key in `tickets`; stops early, between two, once a newer click has `overtaken` these."""
    session.set_prompts(prompts)
    prompted = {(prompt.frame, prompt.object_id) for prompt in prompts}
    for key, ticket in tickets.items():
        if overtaken():
            return
        frame, object_id = key
        problem, mask = "", None
        if key in prompted:
            try:
                mask = session.segment(frame, object_id)
            except NapariSam2Error as error:
                problem = str(error)
            else:
                if mask is None:
                    problem = f"No mask found for object {object_id} on frame {frame}: move the click, or add one."
        yield FrameAnswer(
            frame,
            session.labels(frame),
            frozenset([object_id]),
            key,
            ticket,
            problem,
            diameter=session.diameter_of(object_id),
        )


def track_frames(session: SessionLike, request: RunRequest) -> Iterator[FrameAnswer]:
    """Yield all masks of each frame as the session finds them."""
    for result in request.results(session):
        replaced = frozenset([*(mask.object_id for mask in result.masks), *result.absent, *result.empty])
        yield FrameAnswer(
            result.frame,
            session.labels(result.frame),
            replaced,
            absent=tuple(result.absent),
            doubtful=tuple(result.doubtful),
        )


def search_frame(session: SessionLike, prompts: Sequence[Prompt], request: SearchRequest) -> Iterator[SearchAnswer]:
    """Look for all objects on a frame that the session has no mask of, and yield them in the end."""
    session.set_prompts(prompts)
    search = session.everything(request.frame, settings=request.settings)
    step = SearchAnswer(0, 1)
    while True:
        try:
            progress = next(search)
        except StopIteration as end:
            yield SearchAnswer(step.total, step.total, end.value)
            return
        step = SearchAnswer(progress.done, progress.total)
        yield step


def changed_frames(
    session: SessionLike, frames: Mapping[int, Collection[int]], *, overtaken: Callable[[], bool]
) -> Iterator[FrameAnswer]:
    """Yield the masks of frames, given with the IDs of the objects changed there; stops early once `overtaken`."""
    for frame, object_ids in frames.items():
        if overtaken():
            return
        yield FrameAnswer(frame, session.labels(frame), frozenset(object_ids))


def stored_frames(session: SessionLike) -> Iterator[StoredFrames]:
    """Find the frames on which the session has masks; with many objects that takes a while."""
    yield StoredFrames(tuple(sorted({frame for masklet in session.masklets.values() for frame in masklet})))


def frames_ahead(session: SessionLike, frame: int, object_id: int) -> Iterator[None]:
    """Let the session look ahead; yields nothing to be shown, and nobody is told if it cannot."""
    with suppress(NapariSam2Error, MemoryError, RuntimeError, OSError):
        for _ in session.look_ahead(frame, first=[object_id]):
            yield None


def copied_frames(num_frames: int, read: Callable[[int], NDArray[np.uint32]]) -> Iterator[FrameAnswer]:
    """Yield each frame of labels that are there already, as they are read by number."""
    for frame in range(num_frames):
        yield FrameAnswer(frame, read(frame), frozenset())


def percent(answer: FrameAnswer | SearchAnswer) -> int:
    """How much is done of what takes a search, or of taking over what it found, which ends with a frame."""
    return 100 * answer.done // max(answer.total, 1) if isinstance(answer, SearchAnswer) else 100


def opening(open_session: Callable[[], SessionLike]) -> Iterator[FrameAnswer]:
    """Open the session and yield nothing."""
    open_session()
    yield from ()
