"""The trail of an object: where it was tracked, which way, and from which prompts."""

from collections.abc import Iterable

import numpy as np


class Trail:
    """Frames on which one object was tracked, each with the direction and the prompted frames it was tracked from.

    Invariant: a frame is on the trail only as long as all prompts it was tracked from are there, so that whatever is
    remembered of it came from nothing else. It takes four bytes a frame of the movie.
    """

    def __init__(self, num_frames: int) -> None:
        # A frame holds the number of its origin; number 0 stands for frames that were not tracked.
        self._at = np.zeros(num_frames, np.uint32)
        self._numbers: dict[tuple[int, frozenset[int]], int] = {(0, frozenset()): 0}

    def __contains__(self, frame: object) -> bool:
        return isinstance(frame, int) and 0 <= frame < len(self._at) and bool(self._at[frame])

    def came(self, frame: int, step: int) -> bool:
        """Whether the object was last tracked to a frame in this direction (1 or -1)."""
        ways = [number for (way, _), number in self._numbers.items() if way == step]
        return frame in self and int(self._at[frame]) in ways

    def mark(self, frame: int, step: int, prompted: Iterable[int]) -> None:
        """Note that a frame was tracked in a direction (1 or -1), from the prompts on some frames."""
        origin = step, frozenset(prompted)
        self._at[frame] = self._numbers.setdefault(origin, len(self._numbers))

    def erase(self, frame: int) -> None:
        """Take a frame off the trail: what is shown there was not tracked."""
        self._at[frame] = 0

    def withdraw(self, prompted: int) -> list[int]:
        """Take off all frames that were tracked from the prompts on a frame; returns them."""
        lost = np.flatnonzero(np.isin(self._at, [n for (_, frames), n in self._numbers.items() if prompted in frames]))
        self._at[lost] = 0
        return [int(frame) for frame in lost]
