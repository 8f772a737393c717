"""The database of one session's folder: opened safely, read by any thread, written in transactions."""

import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any

from napari_sam2.errors import AutosaveError, SessionError
from napari_sam2.io.atomic import replacing
from napari_sam2.session_files import schema
from napari_sam2.session_files.lock import SessionLock

FILE_NAME = "session.sqlite"
_OURS = (FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", f"{FILE_NAME}-journal", "lock", "owner.json")

_PART = re.compile(r"\.(session|owner)\.\d+\.part\.\w+")
"""What was being written when its process was killed."""


class Database:
    """A session's tables. Nothing outside of the folder is written, and nothing in the file is executed.

    Attributes
    ----------
    folder
        The session's folder.
    read_only_because
        Why nothing can be written; None if it can.
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection, lock: SessionLock | None, why: str | None) -> None:
        self.folder = folder
        self.read_only_because = why
        self._connection = connection
        self._lock = lock
        self._is_closed = False
        self._one_at_a_time = RLock()

    @classmethod
    def create(cls, folder: Path, fill: Callable[[sqlite3.Connection], None]) -> "Database":
        """Make a new session in a folder that is not there, or is empty; it has its name only when it is whole.

        Parameters
        ----------
        fill
            Makes the tables, and what is in them to begin with.

        Raises
        ------
        SessionError
            If there is something in the folder, or it cannot be written to.
        """
        parts = _refuse_what_is_there(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _refuse_links(folder)
            lock = SessionLock(folder)
        except OSError as error:
            raise SessionError(f"no session can be made in {folder} ({error}): give another folder") from error
        try:
            if not lock.take():
                raise SessionError(f"{folder} is being made a session by {lock.owner}: give another name")
            for name in parts:
                (folder / name).unlink()
            with replacing(folder / FILE_NAME) as part, closing(_connect(part, "rwc")) as connection:
                connection.execute("PRAGMA journal_mode = MEMORY")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN")
                fill(connection)
                connection.execute("COMMIT")
            connection = _connect(folder / FILE_NAME, "rw")
            _make_ready_to_write(connection)
            return cls(folder, connection, lock, None)
        except BaseException as error:
            lock.release()
            if isinstance(error, (OSError, sqlite3.Error)):
                raise SessionError(f"no session can be made in {folder} ({error}): give another folder") from error
            raise

    @classmethod
    def open(cls, folder: Path, *, read_only: bool = False) -> "Database":
        """Open the session in a folder, only to read if somebody else has it open or the folder cannot be written.

        If it is of an older format, it is of this one from now on.

        Raises
        ------
        SessionError
            If there is none, or it is damaged, hostile, or of a newer format.
        """
        if not (is_session(folder) or (folder / FILE_NAME).is_symlink()):
            raise SessionError(f"{folder} holds no session: give the folder that `autosave` or `--session` named")
        _refuse_links(folder)
        lock, why = (None, "it was opened only to be looked at") if read_only else _take(folder)
        connection: sqlite3.Connection | None = None
        try:
            # Ours have a log instead; what such a file names, SQLite may delete, wherever it is.
            if (folder / f"{FILE_NAME}-journal").exists():
                raise damaged(folder, f"there is a {FILE_NAME}-journal in it")
            if _is_cut_short(folder / FILE_NAME):
                raise damaged(folder, "the file is cut short")
            connection = _connect(folder / FILE_NAME, "ro" if why else "rw")
            schema.check(connection, str(folder))
            if why is None:
                _make_ready_to_write(connection)
            schema.upgrade(connection, is_writable=why is None)
        except BaseException as error:
            if connection is not None:
                connection.close()
            if lock is not None:
                lock.release()
            if isinstance(error, sqlite3.Error):
                raise damaged(folder, error) from error
            raise
        return cls(folder, connection, lock, why)

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """All rows of a query.

        Raises
        ------
        SessionError
            If the file is damaged, or was closed.
        """
        if self._is_closed:
            raise SessionError(f"the session in {self.folder} was closed: open it with `reopen_session`")
        try:
            with self._one_at_a_time:
                return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise damaged(self.folder, error) from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is written inside is there afterwards, or nothing of it.

        Raises
        ------
        AutosaveError
            If it cannot be written.
        """
        with self._one_at_a_time:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException as error:
                with suppress(sqlite3.Error):
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                if isinstance(error, (sqlite3.Error, OSError)):
                    raise self._not_written(error) from error
                raise

    def refresh(self) -> None:
        """See what others have written since, whatever they have done with the file; only of one that is just read.

        Raises
        ------
        SessionError
            If it cannot be read any more, or was closed.
        """
        self.rows("SELECT 1")
        try:
            with self._one_at_a_time, closing(self._connection):
                self._connection = _connect(self.folder / FILE_NAME, "ro")
                schema.check(self._connection, str(self.folder))
                schema.upgrade(self._connection, is_writable=False)
        except sqlite3.Error as error:
            raise damaged(self.folder, error) from error

    def close(self) -> None:
        """Let go of the files, and let others write."""
        with self._one_at_a_time:
            self._is_closed = True
            self._connection.close()
            if self._lock is not None:
                self._lock.release()

    def _not_written(self, error: Exception) -> AutosaveError:
        try:
            free = f"{shutil.disk_usage(self.folder).free / 2**20:.0f} MiB are free there"
        except OSError as gone:
            free = f"the folder cannot be looked into: {gone}"
        return AutosaveError(
            f"The session cannot be written to {self.folder} ({error}; {free}). Nothing is lost: what is not written "
            "stays in memory and is written with the next step that can be. Free space or bring the folder back, and "
            "go on from there."
        )


def _refuse_what_is_there(folder: Path) -> list[str]:
    """No folder in which there is something becomes a session; returns the names of what a kill has left of one."""
    names = [p.name for p in folder.iterdir()] if folder.is_dir() else []
    parts = [name for name in names if _PART.fullmatch(name)]
    strange = set(names) - set(parts) - set(_OURS)
    if strange or is_session(folder) or (folder.exists() and not folder.is_dir()):
        what = "holds a session already" if is_session(folder) else "is there already and is not an empty folder"
        raise SessionError(
            f"{folder} {what}, and nothing is overwritten: open it with `reopen_session`, or give another name"
        )
    return parts


def is_session(folder: Path) -> bool:
    """Whether a folder holds a session, by the name of the file in it."""
    return (folder / FILE_NAME).is_file()


def damaged(folder: Path, error: object) -> SessionError:
    """The error for a session that cannot be read."""
    return SessionError(f"the session in {folder} is damaged ({error}): take a copy of the folder from a backup")


def _take(folder: Path) -> tuple[SessionLock | None, str | None]:
    """The lock, or why there is none."""
    lock = SessionLock(folder)
    try:
        if lock.take():
            return lock, None
        return None, f"it is open in {lock.owner}"
    except OSError as error:
        return None, f"its folder cannot be written to ({error})"


def _refuse_links(folder: Path) -> None:
    """A link in the folder would have us write elsewhere."""
    for name in _OURS:
        if (folder / name).is_symlink():
            raise SessionError(
                f"{folder / name} is a link, and a session's files never are: copy the file itself there"
            )


def _is_cut_short(path: Path) -> bool:
    """Whether there are fewer pages than the file says itself; what is still in the log may make up for some."""
    log = path.with_name(f"{FILE_NAME}-wal")
    with path.open("rb") as file:
        header = file.read(32)
    if len(header) < 32 or (log.exists() and log.stat().st_size > 0):
        return False
    page = int.from_bytes(header[16:18], "big")
    return int.from_bytes(header[28:32], "big") * (65536 if page == 1 else page) > path.stat().st_size


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # On a disk that cannot be written to, not even the index of the log can be made.
    is_fixed = mode == "ro" and not os.access(path.parent, os.W_OK) and not path.with_name(f"{FILE_NAME}-wal").exists()
    uri = f"{path.absolute().as_uri()}?mode={mode}{'&immutable=1' if is_fixed else ''}"
    connection = sqlite3.connect(uri, uri=True, timeout=10, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def _make_ready_to_write(connection: sqlite3.Connection) -> None:
    # Whatever is committed outlives the process; after a power cut the last steps may be missing, nothing else.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    # Pages; most are written again with the next frames, so that they had better not leave the log too soon.
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
