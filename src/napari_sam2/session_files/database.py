"""The database of one session's folder: opened safely, read by any thread, written in transactions."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any

from napari_sam2.errors import AutosaveError, SessionError
from napari_sam2.session_files import schema
from napari_sam2.session_files.lock import SessionLock

FILE_NAME = "session.sqlite"
_OURS = (FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", f"{FILE_NAME}-journal", "lock", "owner.json")


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
        self._one_at_a_time = RLock()

    @classmethod
    def create(cls, folder: Path) -> "Database":
        """Make a new session in a folder that is not there, or is empty; it is whole once its tables are filled.

        Raises
        ------
        SessionError
            If there is something in the folder, or it cannot be written to.
        """
        strange = sorted(p.name for p in folder.iterdir() if p.name not in _OURS) if folder.is_dir() else []
        if strange or is_session(folder) or (folder.exists() and not folder.is_dir()):
            what = "holds a session already" if is_session(folder) else "is there already and is not an empty folder"
            raise SessionError(
                f"{folder} {what}, and nothing is overwritten: open it with `reopen_session`, or give another name"
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = SessionLock(folder)
            if not lock.take():
                raise SessionError(f"{folder} is being made a session by {lock.owner}: give another name")
            _refuse_links(folder)
            # What was killed before it was a session.
            for name in _OURS[:4]:
                (folder / name).unlink(missing_ok=True)
            connection = _connect(folder / FILE_NAME, "rwc")
        except (OSError, sqlite3.Error) as error:
            raise SessionError(f"no session can be made in {folder} ({error}): give another folder") from error
        return cls(folder, connection, lock, None)

    @classmethod
    def open(cls, folder: Path, *, read_only: bool = False) -> "Database":
        """Open the session in a folder, only to read if somebody else has it open or the folder cannot be written.

        Raises
        ------
        SessionError
            If there is none, or it is damaged, hostile, or of a newer format.
        """
        if not is_session(folder):
            raise SessionError(f"{folder} holds no session: give the folder that `autosave` or `--session` named")
        _refuse_links(folder)
        lock, why = (None, "it was opened only to be looked at") if read_only else _take(folder)
        connection: sqlite3.Connection | None = None
        try:
            connection = _connect(folder / FILE_NAME, "ro" if why else "rw")
            schema.check(connection, str(folder))
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
            If the file is damaged.
        """
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

    def close(self) -> None:
        """Let go of the files, and let others write."""
        with self._one_at_a_time:
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


def is_session(folder: Path) -> bool:
    """Whether a folder holds the database of a session that was made completely, by the looks of it."""
    path = folder / FILE_NAME
    return path.is_file() and (path.stat().st_size > 0 or path.with_name(f"{FILE_NAME}-wal").exists())


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


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # On a disk that cannot be written to, not even the index of the log can be made.
    is_fixed = mode == "ro" and not os.access(path.parent, os.W_OK) and not path.with_name(f"{FILE_NAME}-wal").exists()
    uri = f"{path.absolute().as_uri()}?mode={mode}{'&immutable=1' if is_fixed else ''}"
    connection = sqlite3.connect(uri, uri=True, timeout=10, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    if mode != "ro":
        # Whatever is committed outlives the process; after a power cut the last steps may be missing, nothing else.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    return connection
