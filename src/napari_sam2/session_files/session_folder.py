"""Begin a session in a folder, and open one again."""

import os
import sqlite3
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam2.errors import SessionError
from napari_sam2.history import HISTORY_BYTES
from napari_sam2.object_facts import ObjectFacts
from napari_sam2.prompts import check_prompts
from napari_sam2.session_files import schema
from napari_sam2.session_files.autosave import Autosave, OnWritten
from napari_sam2.session_files.database import Database, damaged
from napari_sam2.session_files.identity import ModelIdentity, MovieIdentity
from napari_sam2.session_files.originals import find_model, find_movie
from napari_sam2.session_files.store import SessionStore, read_meta, write_meta
from napari_sam2.session_files.stored_masklet import StoredMasklet
from napari_sam2.session_files.values import (
    facts_from_json,
    run_from_json,
    settings_from_json,
    settings_to_json,
    whole_number,
)
from napari_sam2.session_settings import SessionSettings
from napari_sam2.session_setup import SessionSetup
from napari_sam2.tracked_object import TrackedObject
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.trail import Trail
from napari_sam2.video import Video

if TYPE_CHECKING:
    from sam2_torch.network import SAM2


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session that was opened again.

    Attributes
    ----------
    read_only_because
        Why it can only be looked at; None if it can be worked with.
    model
        The model it goes on with.
    """

    session: TrackingSession
    read_only_because: str | None
    model: ModelIdentity


def begin_autosave(
    session: TrackingSession,
    folder: str | os.PathLike[str],
    *,
    movie: Any,
    model: Any,
    precision: str = "float32",
    windows: bool = False,
    file: Path | None = None,
    on_written: OnWritten | None = None,
) -> None:
    """Write a session that is still empty into a new folder, and from now on whatever is done to it.

    Parameters
    ----------
    movie, model, precision, windows
        What the session was opened with; see `open_session`.
    file
        Where the movie was read from, if it is an array or a layer.
    on_written
        Told how the writing goes, instead of an error where it does not.

    Raises
    ------
    SessionError
        If something is in the folder, or it cannot be written to.
    MovieError
        If the movie cannot be read.
    """
    folder = Path(folder)
    known = MovieIdentity.of(movie, session.video, folder, file)
    meta = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "written_by": _version(),
        "movie": known.to_json(),
        "model": asdict(ModelIdentity.of(model, session.model, precision=precision, windows=windows)),
        "settings": settings_to_json(session.settings),
        "run": None,
    }

    def fill(connection: sqlite3.Connection) -> None:
        schema.create(connection)
        write_meta(connection, meta)

    database = Database.create(folder, fill)
    _attach(session, database, on_written)


def reopen_session(
    folder: str | os.PathLike[str],
    movie: Any = None,
    *,
    model: Any = None,
    device: str = "auto",
    despite_changes: bool = False,
    read_only: bool = False,
    history_bytes: int = HISTORY_BYTES,
) -> TrackingSession:
    """Open a session that was stored, with every prompt and every mask, and go on storing it.

    Masks stay on disk until they are asked for. If the session is open in another process, or its folder cannot be
    written to, it can be looked at but not changed, and a warning says so.

    Parameters
    ----------
    folder
        The one that `autosave` or `--session` named.
    movie
        As for `open_session`; by default the file it was, where it was or where it is as seen from the folder. It is
        shown at the contrast of the session; a Video that was given another one is refused.
    model
        As for `open_session`; by default the one it was.
    device
        As for `open_session`.
    despite_changes
        Take a movie whose pixels or contrast have changed, or another model. With another model, prompts are answered
        anew when they are next propagated.
    read_only
        Only look at it.
    history_bytes
        As for `open_session`.

    Raises
    ------
    SessionError
        If there is no session, or it is damaged, of a newer format, or not of this movie or this model.
    MovieError, CheckpointError
        If the movie or the model is unusable.

    Warns
    -----
    UserWarning
        If it can only be looked at.
    """
    stored = open_stored(
        folder,
        movie,
        model=model,
        device=device,
        despite_changes=despite_changes,
        read_only=read_only,
        history_bytes=history_bytes,
    )
    if stored.read_only_because is not None and not read_only:
        warnings.warn(
            f"The session in {folder} can only be looked at, because {stored.read_only_because}.", stacklevel=2
        )
    return stored.session


def open_stored(
    folder: str | os.PathLike[str],
    movie: Any = None,
    *,
    model: Any = None,
    device: str = "auto",
    despite_changes: bool = False,
    read_only: bool = False,
    history_bytes: int = HISTORY_BYTES,
    setup: SessionSetup | None = None,
    on_written: OnWritten | None = None,
) -> StoredSession:
    """As `reopen_session`, with more said about what was opened, and no warning.

    Parameters
    ----------
    folder, movie, model, device, despite_changes, read_only, history_bytes
        As of `reopen_session`.
    setup
        What is chosen from now on; by default all is as it was. Its device counts for nothing.
    on_written
        As of `begin_autosave`.

    Raises
    ------
    SessionError, MovieError, CheckpointError
        As of `reopen_session`.
    """
    database = Database.open(Path(folder), read_only=read_only)
    try:
        return _reopened(database, movie, model, device, despite_changes, history_bytes, setup, on_written)
    except BaseException:
        database.close()
        raise


def _reopened(
    database: Database,
    movie: Any,
    model: Any,
    device: str,
    despite_changes: bool,
    history_bytes: int,
    setup: SessionSetup | None,
    on_written: OnWritten | None,
) -> StoredSession:
    meta = read_meta(database)
    with _read(database):
        known, trained = MovieIdentity.from_json(meta["movie"]), ModelIdentity.from_json(meta["model"])
        settings, run = settings_from_json(meta["settings"]), run_from_json(meta["run"])
    if setup is not None:
        trained = replace(trained, precision=setup.precision)
    video, source = find_movie(database, known, movie, despite_changes)
    network, source_of_model, is_same = find_model(database, trained, model, device, despite_changes)
    session = _session(video, network, settings, setup, history_bytes)
    is_same = is_same and session.settings.answers_as(settings)
    session.run = run
    store = SessionStore(database, video.num_frames, video.shape_yx)
    objects, session.objects.facts = _stored_objects(session, store, meta, answered=is_same)
    session.objects.load(objects)
    now = MovieIdentity.of(source, video, database.folder).or_else(known)
    other = ModelIdentity.of(source_of_model, network, precision=trained.precision, windows=trained.windows)
    if database.read_only_because is None:
        with database.transaction() as connection:
            write_meta(connection, {"movie": now.to_json()})
            if setup is not None or not is_same:
                write_meta(connection, {"model": asdict(other), "settings": settings_to_json(session.settings)})
            if not is_same:
                connection.execute("DELETE FROM answers")
    _attach(session, database, on_written)
    return StoredSession(session, database.read_only_because, other)


def _session(
    video: Video, network: "SAM2", settings: SessionSettings, setup: SessionSetup | None, history_bytes: int
) -> TrackingSession:
    if setup is None:
        setup = SessionSetup(settings.diameter, settings.memory_policy, tuning=settings.tuning)
    return TrackingSession(
        video,
        network,
        diameter=setup.diameter,
        max_prompted=settings.max_prompted,
        restart_at_prompts=settings.restart_at_prompts,
        memory_policy=setup.memory_policy,
        max_recent=setup.max_recent,
        tuning=setup.tuning,
        cleaning=settings.cleaning,
        history_bytes=history_bytes,
    )


def _read_again(session: TrackingSession, database: Database) -> None:
    """Give a session that can only be looked at what is stored by now."""
    database.refresh()
    meta = read_meta(database)
    with _read(database):
        run = run_from_json(meta["run"])
    store = SessionStore(database, session.video.num_frames, session.video.shape_yx)
    session.objects.exchange(*_stored_objects(session, store, meta, answered=True))
    session.run = run


def _stored_objects(
    session: TrackingSession, store: SessionStore, meta: dict[str, Any], *, answered: bool
) -> tuple[list[TrackedObject], ObjectFacts]:
    """The objects in a store, and what is said of them; the IDs that were used are so in the session."""
    objects = _objects(session, store, answered=answered)
    with _read(store.database):
        prompts = [p for known in objects for group in known.prompts.values() for p in group.in_order]
        check_prompts(prompts, num_frames=store.num_frames, shape_yx=store.shape_yx)
        # A session that was stored before there were any has none.
        session.objects.use_ids_from(whole_number(meta.get("next_object_id", 1)))
        facts = facts_from_json(meta, {known.object_id for known in objects}, store.names())
    return objects, facts


def _objects(session: TrackingSession, store: SessionStore, *, answered: bool) -> list[TrackedObject]:
    """The objects of a store; their masks stay there until they are asked for."""
    objects = []
    by_object, doubtful, marks = (
        store.prompts(session.model.device, answered=answered),
        store.doubtful(),
        store.marks(),
    )
    for object_id in store.object_ids():
        trail = Trail(store.num_frames, _trail_of(store, object_id))
        known = session.objects.new(object_id, masklet=StoredMasklet(object_id, store), trail=trail)
        for frame, record in by_object.get(object_id, {}).items():
            known.restore_prompts(frame, record)
        known.followed.distrusted |= doubtful.get(object_id, set())
        for frame, has_mask, is_approved, outdated in marks.get(object_id, ()):
            known.marks.put(frame, is_approved=is_approved, has_mask=has_mask, outdated=outdated)
        objects.append(known)
    return objects


def _trail_of(store: SessionStore, object_id: int) -> Callable[[], Iterator[Any]]:
    return lambda: store.trail(object_id)


def _attach(session: TrackingSession, database: Database, on_written: OnWritten | None) -> None:
    video = session.video
    store = SessionStore(database, video.num_frames, video.shape_yx)
    session.logs.add(Autosave(session, store, on_written), first=True)
    if database.read_only_because is not None:
        session.reload_with(lambda known: _read_again(known, database))
    weakref.finalize(session, database.close)


@contextmanager
def _read(database: Database) -> Iterator[None]:
    """Say of values that make no sense that the session is damaged."""
    try:
        yield
    except SessionError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise damaged(database.folder, error) from error


def _version() -> str:
    try:
        return version("napari-sam2")
    except PackageNotFoundError:
        return "unknown"
