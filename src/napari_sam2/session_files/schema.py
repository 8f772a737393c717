"""The tables of a session's database, its version, and how older ones become it."""

import sqlite3

from napari_sam2.errors import SessionError

FORMAT_VERSION = 2
"""Kept in the database as its user_version."""
APPLICATION_ID = 0x53414D32
"""Kept in the header of the file, so that no other database is taken for a session."""

TABLES = {
    # One row a name; values are JSON.
    "meta": "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "objects": "CREATE TABLE objects (object_id INTEGER PRIMARY KEY, name TEXT, color TEXT)",
    # In the order in which they were given; a mask as the bits of its box.
    "prompts": """CREATE TABLE prompts (
    object_id INTEGER NOT NULL, frame INTEGER NOT NULL, position INTEGER NOT NULL,
    kind TEXT NOT NULL, y0 REAL NOT NULL, x0 REAL NOT NULL, y1 REAL, x1 REAL, bits BLOB,
    PRIMARY KEY (object_id, frame, position)
) WITHOUT ROWID""",
    # What the network said to the first `points` points, and box and mask, of a frame.
    "answers": """CREATE TABLE answers (
    object_id INTEGER NOT NULL, frame INTEGER NOT NULL, points INTEGER NOT NULL,
    step INTEGER, sources TEXT NOT NULL, was_tracked INTEGER NOT NULL, diameter REAL,
    y0 INTEGER NOT NULL, x0 INTEGER NOT NULL, height INTEGER NOT NULL, width INTEGER NOT NULL,
    rows INTEGER NOT NULL, columns INTEGER NOT NULL,
    score REAL NOT NULL, predicted_iou REAL NOT NULL,
    logits_height INTEGER NOT NULL, logits_width INTEGER NOT NULL, logits BLOB NOT NULL, pointer BLOB NOT NULL,
    PRIMARY KEY (object_id, frame)
)""",
    "origins": """CREATE TABLE origins (
    number INTEGER PRIMARY KEY, step INTEGER NOT NULL, prompted TEXT NOT NULL, UNIQUE (step, prompted)
)""",
    # state: 0 nothing is shown, 1 a mask, 2 absent. origin: 0 if not tracked. flags: 1 doubtful.
    "frames": """CREATE TABLE frames (
    object_id INTEGER NOT NULL, frame INTEGER NOT NULL,
    state INTEGER NOT NULL, origin INTEGER NOT NULL, flags INTEGER NOT NULL,
    y0 INTEGER, x0 INTEGER, y1 INTEGER, x1 INTEGER, score REAL, predicted_iou REAL, bits BLOB,
    PRIMARY KEY (object_id, frame)
) WITHOUT ROWID""",
    "doubtful": "CREATE INDEX doubtful ON frames (object_id, frame) WHERE flags & 1",
    # What was noticed when a mask was made; see `Signs`.
    "signs": """CREATE TABLE signs (
    object_id INTEGER NOT NULL, frame INTEGER NOT NULL,
    area_change REAL, jump REAL, lost REAL NOT NULL, lost_to INTEGER, at_border INTEGER NOT NULL,
    PRIMARY KEY (object_id, frame)
) WITHOUT ROWID""",
    # outdated: 1 the masks after the frame are older than what is known there, 2 those before it, 3 both.
    "marks": """CREATE TABLE marks (
    object_id INTEGER NOT NULL, frame INTEGER NOT NULL, is_approved INTEGER NOT NULL, outdated INTEGER NOT NULL,
    PRIMARY KEY (object_id, frame)
) WITHOUT ROWID""",
}
_NEW_IN = {2: ("signs", "marks")}
"""Tables by the version in which they came."""


def create(connection: sqlite3.Connection) -> None:
    """Make the tables in an empty database, within the transaction that is under way."""
    for statement in TABLES.values():
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")


def upgrade(connection: sqlite3.Connection, *, is_writable: bool) -> None:
    """Make the database one of this version, if it is older; one that cannot be written to is, while it is open."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    new = [name for since, names in _NEW_IN.items() if since > version for name in names]
    if not new:
        return
    if not is_writable:
        for name in new:
            connection.execute(TABLES[name].replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
        return
    connection.execute("BEGIN IMMEDIATE")
    for name in new:
        connection.execute(TABLES[name])
    connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
    connection.execute("COMMIT")


def check(connection: sqlite3.Connection, name: str) -> None:
    """Refuse a database that is no session, one of a newer format, and one with tables, views or triggers not ours.

    Raises
    ------
    SessionError
        With what is wrong.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise SessionError(f"{name} holds a database, but no session of napari-sam2: choose another folder")
    if version > FORMAT_VERSION:
        raise SessionError(
            f"{name} is of format {version}, and this version of napari-sam2 reads formats up to {FORMAT_VERSION}: "
            "install a newer napari-sam2"
        )
    if version < 1:
        raise SessionError(f"{name} is of format {version}, which never was: take a copy of the folder from a backup")
    found = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    later = {name for since, names in _NEW_IN.items() if since > version for name in names}
    tables = {name: sql for name, sql in TABLES.items() if name not in later}
    strange = sorted(n for n in found.keys() | tables.keys() if found.get(n) != tables.get(n))
    if strange:
        raise SessionError(
            f"{name} is damaged or was not written by napari-sam2: {strange[0]!r} in it is not as it should be. "
            "Take a copy of the folder from a backup"
        )
