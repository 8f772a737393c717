"""The trail of an object: where it was tracked, which way, and from which prompts."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

Origin = tuple[int, frozenset[int]]
"""The direction (1 or -1) in which a frame was tracked, and the prompted frames that it was tracked from."""


class Trail:
    """Frames on which one object was tracked, each with the direction and the prompted frames it was tracked from.

    Invariant: a frame is on the trail only as long as all prompts it was tracked from are there, so that whatever is
    remembered of it came from nothing else. It takes four bytes a frame of the movie, once it is asked for.

    Parameters
    ----------
    stored
        Gives what is on it to begin with, as frames with their origins; called when that is first needed.
    """

    def __init__(self, num_frames: int, stored: Callable[[], Iterable[tuple[int, Origin]]] | None = None) -> None:
        self._num_frames = num_frames
        self._stored = stored
        self._array: NDArray[np.uint32] | None = None
        # A frame holds the number of its origin; number 0 stands for frames that were not tracked.
        self._numbers: dict[Origin, int] = {(0, frozenset()): 0}

    def __contains__(self, frame: object) -> bool:
        return isinstance(frame, int) and 0 <= frame < self._num_frames and bool(self._at[frame])

    @property
    def frames(self) -> list[int]:
        """The frames on it, sorted."""
        return [int(frame) for frame in np.flatnonzero(self._at)]

    def origin(self, frame: int) -> Origin | None:
        """How a frame was tracked; None if it was not."""
        number = int(self._at[frame])
        return list(self._numbers)[number] if number else None

    def came(self, frame: int, step: int) -> bool:
        """Whether the object was last tracked to a frame in this direction (1 or -1)."""
        ways = [number for (way, _), number in self._numbers.items() if way == step]
        return frame in self and int(self._at[frame]) in ways

    def mark(self, frame: int, step: int, prompted: Iterable[int]) -> None:
        """Note that a frame was tracked in a direction (1 or -1), from the prompts on some frames."""
        self._at[frame] = self._number((step, frozenset(prompted)))

    def erase(self, frame: int) -> None:
        """Take a frame off the trail: what is shown there was not tracked."""
        self._at[frame] = 0

    def tracked_from(self, prompted: int) -> list[int]:
        """All frames that were tracked from the prompts on a frame."""
        at = self._at
        numbers = [n for (_, frames), n in self._numbers.items() if prompted in frames]
        return [int(frame) for frame in np.flatnonzero(np.isin(at, numbers))]

    def withdraw(self, prompted: int) -> list[int]:
        """Take off all frames that were tracked from the prompts on a frame; returns them."""
        lost = self.tracked_from(prompted)
        self._at[lost] = 0
        return lost

    def load(self) -> NDArray[np.uint32]:
        """Take into memory what is on it to begin with, unless that is done; returns the number of each origin."""
        if self._array is None:
            array = np.zeros(self._num_frames, np.uint32)
            for frame, origin in () if self._stored is None else self._stored():
                array[frame] = self._number(origin)
            self._array, self._stored = array, None
        return self._array

    @property
    def _at(self) -> NDArray[np.uint32]:
        return self.load()

    def _number(self, origin: Origin) -> int:
        return self._numbers.setdefault(origin, len(self._numbers))
