"""Masks that stay in the session's folder until they are asked for."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.masklets import FrameMask, Masklet
from napari_sam2.session_files.rows import ABSENT, MASK

if TYPE_CHECKING:
    from napari_sam2.session_files.store import SessionStore
    from napari_sam2.shelf import Shelf


class StoredMasklet(Masklet):
    """One object's masks through time, of which only those that are new are in memory.

    A frame that was changed here is told from memory from then on, whether or not the change is stored.

    Parameters
    ----------
    store
        Has the others.
    """

    def __init__(self, object_id: int, store: "SessionStore", shelf: "Shelf | None" = None) -> None:
        super().__init__(object_id, shelf)
        self._store: SessionStore | None = store
        self._changed: set[int] = set()
        self._states: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None

    def load(self) -> None:  # noqa: D102
        for frame in self.frames:
            if frame not in self._changed:
                super().add(self[frame])
        for frame in self.absent:
            super().mark_absent(frame)
        self._store = None

    def add(self, mask: FrameMask) -> None:  # noqa: D102
        self._change(mask.frame, lambda: super(StoredMasklet, self).add(mask))

    def remove(self, frame: int) -> None:  # noqa: D102
        self._change(frame, lambda: super(StoredMasklet, self).remove(frame))

    def mark_absent(self, frame: int) -> None:  # noqa: D102
        self._change(frame, lambda: super(StoredMasklet, self).mark_absent(frame))

    @property
    def frames(self) -> tuple[int, ...]:  # noqa: D102
        return self._together(super().frames, MASK)

    @property
    def absent(self) -> tuple[int, ...]:  # noqa: D102
        return self._together(super().absent, ABSENT)

    def is_absent(self, frame: int) -> bool:  # noqa: D102
        if self._store is None or frame in self._changed:
            return super().is_absent(frame)
        return self._store.state(self.object_id, frame) == ABSENT

    def signs(self) -> NDArray[Any]:  # noqa: D102
        with self._lock:
            mine = super().signs()
            if self._store is None:
                return mine
            stored = self._store.signs(self.object_id)
            stored = stored[~np.isin(stored["frame"], [*self._changed])]
            together = np.concatenate([mine, stored])
            return together[np.argsort(together["frame"])]

    def __getitem__(self, frame: int) -> FrameMask:
        if self._store is None or frame in self._changed:
            return super().__getitem__(frame)
        mask = self._store.mask(self.object_id, frame)
        if mask is None:
            raise KeyError(frame)
        return mask

    def __contains__(self, frame: object) -> bool:
        if self._store is None or frame in self._changed:
            return super().__contains__(frame)
        known = isinstance(frame, int | np.integer) and self._store.state(self.object_id, int(frame))
        return known == MASK

    def __len__(self) -> int:
        return super().__len__() if self._store is None else len(self.frames)

    def __bool__(self) -> bool:
        """Whether there is any mask; without reading which."""
        if self._store is None or super().__len__():
            return super().__len__() > 0
        return bool(self.frames) if self._changed else self._store.has_masks(self.object_id)

    def _change(self, frame: int, change: Callable[[], None]) -> None:
        with self._lock:
            change()
            self._changed.add(int(frame))

    def _together(self, mine: tuple[int, ...], state: int) -> tuple[int, ...]:
        """The frames in a state: those that are in memory, and those in the store that were not changed since."""
        with self._lock:
            if self._store is None:
                return mine
            if self._states is None:
                self._states = self._store.states(self.object_id)
            frames, states = self._states
            return tuple(sorted({*mine, *(set(frames[states == state].tolist()) - self._changed)}))
