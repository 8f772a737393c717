"""What happens to a session beneath the widget: undo, edits, whatever is done to it in the console. No Qt here."""

import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from threading import RLock, get_ident
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.errors import SessionError
from napari_sam2.session_log import Step

if TYPE_CHECKING:
    from napari_sam2.masklets import Masklet
    from napari_sam2.tracked_object import TrackedObject
    from napari_sam2.widget.answers import SessionLike

Changes = dict[int, set[int]]
"""By object ID, the frames on which something may be other than before."""
_Look = tuple[int, bool]
"""What tells the pixels of a mask from those of others, and whether labels show them before those of others."""
_UNKNOWN: _Look = -1, False


class ChangeLog:
    """Listens to a session, tells its own jobs from all others, and keeps these apart.

    Jobs of the widget know by themselves what they change. Everybody else takes turns with those that only read, and is
    refused while one works that writes, since a session is for one thread at a time.

    Parameters
    ----------
    on_change
        Told after each step of somebody else, in the thread that took it.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._turn = RLock()
        self._worker: int | None = None
        self._is_busy = self._gathers = False
        self._session: SessionLike | None = None
        self._changes: Changes = {}
        self._repainted: Changes = {}
        # By object ID and frame, what was shown before the step or job that is under way; None for no mask.
        self._before: dict[tuple[int, int], _Look | None] = {}
        self._reloads = False
        self._has_other_settings = False

    def open(self, session: "SessionLike") -> None:
        """Listen to this session from now on, in place of another."""
        self._session = session
        session.logs.add(self)

    def take(self) -> tuple[Changes, Changes]:
        """What may have changed since this was asked last, and where pixels of masks have."""
        with self._turn:
            changes, self._changes = self._changes, {}
            repainted, self._repainted = self._repainted, {}
        return changes, repainted

    def take_settings(self) -> bool:
        """Whether somebody else has changed settings since this was asked last."""
        changed, self._has_other_settings = self._has_other_settings, False
        return changed

    @contextmanager
    def job(self, *, gathers: bool) -> Iterator[None]:
        """A job goes on inside, step by step in `working`; nobody else may change the session.

        Parameters
        ----------
        gathers
            Whether what it changes is to be kept here, as if somebody else had done it.
        """
        self._is_busy, self._gathers = True, gathers
        try:
            yield
        finally:
            self._compare()
            self._is_busy = self._gathers = False

    @contextmanager
    def working(self) -> Iterator[None]:
        """What this thread does inside is a step of the job."""
        self._worker = get_ident()
        try:
            yield
        finally:
            self._worker = None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Nobody changes the session meanwhile; whoever wants to waits."""
        with self._turn:
            yield

    def begin(self, step: Step) -> None:
        """Refuse a step of somebody else while a job works.

        Raises
        ------
        SessionError
            With what to do.
        """
        self._reloads = step.kind == "reload"
        if self._is_own:
            return
        if self._is_busy:
            raise SessionError(
                "The widget works with this session at this moment, and nothing else may: wait until it is done, or "
                "press Cancel there"
            )
        self._turn.acquire()

    def touching(self, known: "TrackedObject", frames: Collection[int]) -> None:
        """Note what may change."""
        if self._gathers or not self._is_own:
            self._changes.setdefault(known.object_id, set()).update(frames)
            masklets = self._masklets()
            for key in ((known.object_id, frame) for frame in frames):
                if key not in self._before:
                    # What was stored elsewhere is not shown yet, and may be read already.
                    self._before[key] = _UNKNOWN if self._reloads else self._look(masklets, *key)

    def removing(self, known: "TrackedObject") -> None:
        """Note that all of an object goes."""
        self.touching(known, known.frames)

    def end(self, step: Step) -> None:
        """Tell, if it was a step of somebody else."""
        if self._is_own:
            return
        self._has_other_settings |= step.kind == "settings"
        self._compare()
        self._turn.release()
        self._on_change()

    def close(self) -> None:
        """Forget what changed: the session is needed no more."""
        self._changes, self._repainted, self._before, self._session = {}, {}, {}, None

    def _compare(self) -> None:
        """Note where labels are others than before."""
        before, self._before = self._before, {}
        masklets = self._masklets() if before else {}
        kept: Changes = {}
        for (object_id, frame), look in before.items():
            now = self._look(masklets, object_id, frame)
            if look is not None and now is not None and look[0] == now[0]:
                if look != now:
                    kept.setdefault(object_id, set()).add(frame)
            elif look != now:
                self._repainted.setdefault(object_id, set()).add(frame)
        for object_id, frames in kept.items():
            if turned := self._turned(masklets, object_id, sorted(frames), kept):
                self._repainted.setdefault(object_id, set()).update(turned)

    def _masklets(self) -> "Mapping[int, Masklet]":
        return {} if self._session is None else self._session.masklets

    def _look(self, masklets: "Mapping[int, Masklet]", object_id: int, frame: int) -> _Look | None:
        """How the mask of an object looks; None if there is none."""
        mask = masklets[object_id].get(frame) if object_id in masklets else None
        if mask is None or self._session is None:
            return None
        pixels = zlib.crc32(repr(mask.box).encode() + np.packbits(mask.crop).tobytes())
        return pixels, self._session.keeps_pixels(object_id, frame)

    def _turned(self, masklets: "Mapping[int, Masklet]", object_id: int, frames: list[int], kept: Changes) -> set[int]:
        """The frames on which an object that begins or ceases to keep its pixels may have others than before.

        Where the boxes of two masks meet, it is as before if the other keeps its pixels and has the smaller ID, or
        neither; unless the other begins or ceases as well, as `kept` tells.
        """
        mine, turned = masklets[object_id].boxes(frames), set[int]()
        for i, masklet in masklets.items():
            if i == object_id or self._session is None:
                continue
            others = masklet.boxes(frames)
            first, last = np.maximum(mine[:, :2], others[:, :2]), np.minimum(mine[:, 2:], others[:, 2:])
            meets = [frames[k] for k in np.flatnonzero((first < last).all(1))]
            begins_too = kept.get(i, set())
            turned |= {t for t in meets if t in begins_too or self._session.keeps_pixels(i, t) == (i > object_id)}
        return turned

    @property
    def _is_own(self) -> bool:
        return self._worker == get_ident()
