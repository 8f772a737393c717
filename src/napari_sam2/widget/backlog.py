"""The frames on which the layers do not show yet what the session has. No Qt here."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from napari_sam2.widget.answers import FrameAnswer, SessionLike, StoredFrames, changed_frames, stored_frames


class Backlog:
    """Frames to be shown, each with the IDs of the objects that the session is right about even where it has nothing.

    Attributes
    ----------
    wants_all
        Whether it is still to be found out on which frames the session has masks; all of those are to be shown.
    """

    def __init__(self) -> None:
        self.wants_all = False
        self._frames: dict[int, set[int]] = {}

    def __bool__(self) -> bool:
        return bool(self._frames)

    def add(self, frame: int, object_id: int) -> None:
        """Let the mask of an object be shown on a frame, or that there is none."""
        self._frames.setdefault(frame, set()).add(object_id)

    def add_all(self, frames: Iterable[int]) -> None:
        """Let these be all frames on which the session has masks."""
        self.wants_all = False
        for frame in frames:
            self._frames.setdefault(frame, set())

    def shown(self, frame: int) -> None:
        """Take note that a frame is shown."""
        self._frames.pop(frame, None)

    def clear(self) -> None:
        """Show nothing of all this."""
        self.wants_all = False
        self._frames.clear()

    def next_work(
        self, session: SessionLike, distance: Callable[[int], int], overtaken: Callable[[], bool]
    ) -> tuple[str, Callable[[], Iterator[FrameAnswer | StoredFrames]]] | None:
        """What is to be done to show all this, by name and as a generator for the worker thread; None for nothing.

        Parameters
        ----------
        distance
            How far a frame is from where somebody looks; the nearest ones come first.
        overtaken
            Whether somebody waits for something else by now.
        """
        if self.wants_all:
            return "Masks of the session", partial(stored_frames, session)
        if not self._frames:
            return None
        frames = {frame: self._frames[frame] for frame in sorted(self._frames, key=distance)}
        return "Changed masks", partial(changed_frames, session, frames, overtaken=overtaken)
