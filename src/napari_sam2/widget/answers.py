"""What the worker thread does with a session, as generators of answers. No Qt, no napari."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sam2.errors import NapariSam2Error
from napari_sam2.masklets import FrameMask, Masklet
from napari_sam2.prompts import Prompt
from napari_sam2.sweeps import Direction

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


class SessionLike(Protocol):
    """The part of `TrackingSession` that the widget uses; tests have one without a model."""

    @property
    def masklets(self) -> Mapping[int, Masklet]: ...  # noqa: D102
    def set_prompts(self, prompts: Iterable[Prompt]) -> set[Key]: ...  # noqa: D102
    def segment(self, frame: int, object_id: int) -> FrameMask | None: ...  # noqa: D102
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
    def labels(self, frame: int) -> NDArray[np.uint32]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class PropagationRequest:
    """A run through frames `first` to `last`, both included; None for the end of the movie."""

    direction: Direction
    first: int | None = None
    last: int | None = None


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
    """

    frame: int
    labels: NDArray[np.uint32]
    replaced: frozenset[int]
    key: Key | None = None
    ticket: int = 0
    problem: str = ""
    absent: tuple[int, ...] = ()


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
        yield FrameAnswer(frame, session.labels(frame), frozenset([object_id]), key, ticket, problem)


def track_frames(session: SessionLike, request: PropagationRequest) -> Iterator[FrameAnswer]:
    """Yield all masks of each frame as the session finds them."""
    for result in session.propagate(request.direction, first=request.first, last=request.last):
        replaced = frozenset([*(mask.object_id for mask in result.masks), *result.absent, *result.empty])
        yield FrameAnswer(result.frame, session.labels(result.frame), replaced, absent=tuple(result.absent))


def stored_frames(session: SessionLike) -> Iterator[FrameAnswer]:
    """Yield each frame on which the session has a mask."""
    for frame in sorted({frame for masklet in session.masklets.values() for frame in masklet}):
        yield FrameAnswer(frame, session.labels(frame), frozenset())


def opening(open_session: Callable[[], SessionLike]) -> Iterator[FrameAnswer]:
    """Open the session and yield nothing."""
    open_session()
    yield from ()
