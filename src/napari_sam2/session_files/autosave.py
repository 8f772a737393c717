"""What writes a session down while it is worked with."""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from napari_sam2.errors import AutosaveError, SessionError
from napari_sam2.session_files.store import write_meta
from napari_sam2.session_files.values import facts_to_json, run_to_json, settings_to_json

OnWritten = Callable[[AutosaveError | None], object]
"""Told after each step, in the thread that works with the session, why it could not be written; None if it could."""

if TYPE_CHECKING:
    from napari_sam2.session_files.store import SessionStore
    from napari_sam2.session_log import Step
    from napari_sam2.tracked_object import TrackedObject
    from napari_sam2.tracking_session import TrackingSession


class Autosave:
    """Writes each step of a session in one transaction when it ends; listens to `TrackingSession.logs`.

    What could not be written is kept in mind and written with the next step that can be. If the session is open
    elsewhere, no step is allowed at all.

    Parameters
    ----------
    on_written
        With it, a step that cannot be written is no error for whoever takes it.
    """

    def __init__(self, session: "TrackingSession", store: "SessionStore", on_written: OnWritten | None = None) -> None:
        self.store = store
        self._on_written = on_written
        self._session = session
        self._pending: dict[int, tuple[TrackedObject, set[int]]] = {}
        self._removed: set[int] = set()
        self._is_reloading = False
        self._written = self._values()
        self._names = dict(session.objects.facts.names)
        # Sessions of older versions lack some values, which are written with the first step.
        self._missing = self._written.keys() - store.read_meta().keys()

    def begin(self, step: "Step") -> None:
        """Refuse a step that could not be stored.

        Raises
        ------
        SessionError
            If the session is open only to be looked at.
        """
        why = self.store.database.read_only_because
        self._is_reloading = step.kind == "reload"
        if why is not None and not self._is_reloading:
            raise SessionError(
                f"The session in {self.store.database.folder} can only be looked at, because {why}: make that "
                "otherwise and open it again, or work on a copy of the folder"
            )

    def touching(self, known: "TrackedObject", frames: Collection[int]) -> None:
        """Note what is to be written."""
        if self._is_reloading:
            return
        entry = self._pending.get(known.object_id)
        if entry is None or entry[0] is not known:
            entry = self._pending[known.object_id] = known, set()
        entry[1].update(frames)

    def removing(self, known: "TrackedObject") -> None:
        """Note what is to be removed; what is on disk only is taken into memory, for whoever puts the object back."""
        if self._is_reloading:
            return
        known.load()
        self._pending.pop(known.object_id, None)
        self._removed.add(known.object_id)

    def end(self, step: "Step") -> None:
        """Write what has changed, or was not written before.

        Raises
        ------
        AutosaveError
            If it cannot be written, and nobody else is told.
        """
        if self._is_reloading:
            self._written, self._names = self._values(), dict(self._session.objects.facts.names)
            self._is_reloading = False
            return
        if self._on_written is None:
            self.save()
            return
        try:
            self.save()
        except AutosaveError as error:
            self._on_written(error)
        else:
            self._on_written(None)

    def save(self) -> None:
        """Write whatever is not written yet. Raises as `end` does."""
        values = self._values()
        changed = {name: value for name, value in values.items() if value != self._written[name]}
        names = dict(self._session.objects.facts.names)
        if not (changed or self._pending or self._removed or names != self._names):
            return
        try:
            with self.store.database.transaction() as connection:
                for object_id in self._removed:
                    self.store.remove(connection, object_id)
                pending = ((known, t) for known, frames in self._pending.values() for t in sorted(frames))
                self.store.write(connection, ((known.object_id, t, known.record(t)) for known, t in pending))
                if self._removed or names != self._names:
                    self.store.write_names(connection, names)
                write_meta(connection, changed | {name: values[name] for name in self._missing})
        except BaseException:
            self.store.forget_numbers()
            raise
        self._written, self._missing, self._names = values, set(), names
        self._pending, self._removed = {}, set()

    def close(self) -> None:
        """Write what is left to write, and let go of the folder, whether or not that can be written."""
        try:
            self.save()
        finally:
            self.store.database.close()

    def _values(self) -> dict[str, Any]:
        run = self._session.run
        return {
            "settings": settings_to_json(self._session.settings),
            "run": None if run is None else run_to_json(run),
            "next_object_id": self._session.next_object_id,
        } | facts_to_json(self._session.objects.facts)
