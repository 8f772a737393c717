"""What a session's tables hold, by object and frame."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam2.confidence import SIGNS, UNKNOWN, sign_columns
from napari_sam2.errors import SessionError
from napari_sam2.frame_record import FrameRecord
from napari_sam2.masklets import FrameMask
from napari_sam2.object_edits import MAX_NAME
from napari_sam2.prompts import MAX_OBJECT_ID, ObjectPrompts
from napari_sam2.session_files import rows
from napari_sam2.session_files.database import Database, damaged
from napari_sam2.trail import Origin

_MASK_COLUMNS = "y0, x0, y1, x1, score, predicted_iou, bits"
_SIGN_COLUMNS = "area_change, jump, lost, lost_to, at_border"


class SessionStore:
    """Reads and writes records. Damage is told as a SessionError when it is met.

    Parameters
    ----------
    num_frames, shape_yx
        Of the movie.
    """

    def __init__(self, database: Database, num_frames: int, shape_yx: tuple[int, int]) -> None:
        self.database = database
        self.num_frames = num_frames
        self.shape_yx = shape_yx
        self._numbers: dict[Origin, int] = {}

    def read_meta(self) -> dict[str, Any]:
        """Everything in the table meta."""
        return read_meta(self.database)

    def object_ids(self) -> list[int]:
        """IDs of all objects, sorted."""
        ids = [i for (i,) in self.database.rows("SELECT object_id FROM objects ORDER BY object_id")]
        with self._damage_told():
            if not all(type(i) is int and 1 <= i <= MAX_OBJECT_ID for i in ids):
                raise ValueError("an object has an ID that is none")
        return ids

    def names(self) -> dict[int, str]:
        """By object ID, the names of those that have one."""
        found = self.database.rows("SELECT object_id, name FROM objects WHERE name IS NOT NULL")
        with self._damage_told():
            if not all(isinstance(name, str) and 0 < len(name) <= MAX_NAME for _, name in found):
                raise ValueError("an object has a name that is none")
        return dict(found)

    def mask(self, object_id: int, frame: int) -> FrameMask | None:
        """The mask on a frame, if there is one."""
        where = f"WHERE object_id = ? AND frame = ? AND state = {rows.MASK}"
        sql = f"SELECT {_MASK_COLUMNS}, {_SIGN_COLUMNS} FROM frames LEFT JOIN signs USING (object_id, frame) {where}"
        with self._damage_told():
            for columns in self.database.rows(sql, object_id, int(frame)):
                signs = rows.read_signs(columns[7:])
                return rows.read_mask(object_id, int(frame), columns[:7], self.shape_yx, signs)
        return None

    def signs(self, object_id: int) -> NDArray[Any]:
        """What is known of all masks of an object, (N,) of `confidence.SIGNS`, sorted by frame."""
        sql = f"""SELECT frame, score, predicted_iou, {_SIGN_COLUMNS} FROM frames LEFT JOIN signs
            USING (object_id, frame) WHERE object_id = ? AND state = ? ORDER BY frame"""
        with self._damage_told():
            found = self.database.rows(sql, object_id, rows.MASK)
            self._check_frames([frame for frame, *_ in found])
            return np.array([(*row[:3], *sign_columns(rows.read_signs(row[3:]))) for row in found], SIGNS)

    def marks(self) -> dict[int, list[tuple[int, bool, bool, tuple[int, ...]]]]:
        """By object ID, frames: whether they have a mask, are approved, and the ways in which others are outdated."""
        found: dict[int, list[tuple[int, bool, bool, tuple[int, ...]]]] = {}
        columns = "object_id, frame, state, is_approved, outdated"
        sql = f"SELECT {columns} FROM marks LEFT JOIN frames USING (object_id, frame)"
        with self._damage_told():
            for object_id, frame, state, *marked in self.database.rows(sql):
                self._check_frames([frame])
                found.setdefault(object_id, []).append((frame, state == rows.MASK, *rows.read_marks(*marked)))
        return found

    def state(self, object_id: int, frame: int) -> int:
        """What is shown on a frame."""
        sql = "SELECT state FROM frames WHERE object_id = ? AND frame = ?"
        return next((int(state) for (state,) in self.database.rows(sql, object_id, int(frame))), rows.NOTHING)

    def has_masks(self, object_id: int) -> bool:
        """Whether an object has a mask on any frame."""
        sql = "SELECT 1 FROM frames WHERE object_id = ? AND state = ? LIMIT 1"
        return any(True for _ in self.database.rows(sql, object_id, rows.MASK))

    def states(self, object_id: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(N,) frames, sorted, and (N,) what is shown on them."""
        found = self.database.rows("SELECT frame, state FROM frames WHERE object_id = ? ORDER BY frame", object_id)
        with self._damage_told():
            table = np.array(found, np.int64).reshape(-1, 2)
            self._check_frames(table[:, 0].tolist())
        return table[:, 0], table[:, 1]

    def trail(self, object_id: int) -> Iterator[tuple[int, Origin]]:
        """Where an object was tracked, and how."""
        sql = "SELECT frame, origin FROM frames WHERE object_id = ? AND origin > 0"
        origins = {number: origin for origin, number in self._read_origins().items()}
        for frame, number in self.database.rows(sql, object_id):
            with self._damage_told():
                self._check_frames([frame])
                yield frame, origins[number]

    def doubtful(self) -> dict[int, set[int]]:
        """By object ID, the frames that the memory policy did not trust."""
        found: dict[int, set[int]] = {}
        for object_id, frame in self.database.rows("SELECT object_id, frame FROM frames WHERE flags & 1"):
            found.setdefault(object_id, set()).add(frame)
        return found

    def prompts(self, device: torch.device, *, answered: bool) -> dict[int, dict[int, FrameRecord]]:
        """By object ID and frame, the prompts, and what was made of them unless they are to be answered anew."""
        sql = "SELECT object_id, frame, kind, y0, x0, y1, x1, bits FROM prompts ORDER BY object_id, frame, position"
        found: dict[int, dict[int, FrameRecord]] = {}
        with self._damage_told():
            for (object_id, frame), group in groupby(self.database.rows(sql), key=lambda row: row[:2]):
                self._check_frames([frame])
                columns = [row[2:] for row in group]
                prompts = rows.read_prompts(object_id, frame, columns, self.shape_yx)
                found.setdefault(object_id, {})[frame] = FrameRecord(prompts=prompts)
            for object_id, frame, *columns in self.database.rows("SELECT * FROM answers") if answered else ():
                record = found[object_id][frame]
                prompts = record.prompts or ObjectPrompts()
                answer, prompted, diameter = rows.read_answer(columns, prompts, device)
                record = replace(record, answer=answer, prompted=prompted, diameter=diameter)
                found[object_id][frame] = record
        return found

    def write(self, connection: sqlite3.Connection, records: Iterable[tuple[int, int, FrameRecord]]) -> None:
        """Write all that is known of objects on frames, given as (object_id, frame, record), over what was there."""
        frames, prompts, answers, gone, keys = [], [], [], [], []
        signs, marks = [], []
        for object_id, frame, record in records:
            key = object_id, frame
            keys.append(key)
            if record.prompts is not None:
                prompts += rows.prompt_rows(*key, record.prompts)
                if record.answer is not None and record.prompted is not None:
                    answers.append(rows.answer_row(*key, record.answer, record.prompted, record.diameter))
            row = self._frame_row(connection, record)
            if row is None:
                gone.append(key)
            else:
                frames.append((*key, *row))
            if record.mask is not None and record.mask.signs != UNKNOWN:
                signs.append(rows.sign_row(*key, record.mask.signs))
            if record.is_approved or record.outdated:
                marks.append(rows.mark_row(*key, record))
        ids = [(object_id,) for object_id in {i for i, _ in keys}]
        connection.executemany("INSERT OR IGNORE INTO objects (object_id) VALUES (?)", ids)
        for table in ("prompts", "answers", "signs", "marks"):
            connection.executemany(f"DELETE FROM {table} WHERE object_id = ? AND frame = ?", keys)
        connection.executemany(f"INSERT INTO prompts VALUES ({', '.join('?' * 9)})", prompts)
        connection.executemany(f"INSERT INTO answers VALUES ({', '.join('?' * 19)})", answers)
        connection.executemany("DELETE FROM frames WHERE object_id = ? AND frame = ?", gone)
        connection.executemany(f"INSERT OR REPLACE INTO frames VALUES ({', '.join('?' * 12)})", frames)
        connection.executemany(f"INSERT INTO signs VALUES ({', '.join('?' * 7)})", signs)
        connection.executemany(f"INSERT INTO marks VALUES ({', '.join('?' * 4)})", marks)

    def write_names(self, connection: sqlite3.Connection, names: Mapping[int, str]) -> None:
        """Let these be the names of objects, and no others."""
        connection.execute("UPDATE objects SET name = NULL WHERE name IS NOT NULL")
        upsert = "INSERT INTO objects (object_id, name) VALUES (?, ?) ON CONFLICT DO UPDATE SET name = excluded.name"
        connection.executemany(upsert, names.items())

    def remove(self, connection: sqlite3.Connection, object_id: int) -> None:
        """Forget an object."""
        for table in ("objects", "prompts", "answers", "frames", "signs", "marks"):
            connection.execute(f"DELETE FROM {table} WHERE object_id = ?", (object_id,))

    def forget_numbers(self) -> None:
        """Look up the numbers of origins anew: what was written last is not there."""
        self._numbers = {}

    def _frame_row(self, connection: sqlite3.Connection, record: FrameRecord) -> rows.Row | None:
        if record.mask is None and not record.is_absent and record.origin is None and not record.is_doubtful:
            return None
        state = rows.MASK if record.mask is not None else rows.ABSENT if record.is_absent else rows.NOTHING
        origin = 0 if record.origin is None else self._number(connection, record.origin)
        columns = (None,) * 7 if record.mask is None else rows.mask_columns(record.mask)
        return state, origin, rows.DOUBTFUL * record.is_doubtful, *columns

    def _number(self, connection: sqlite3.Connection, origin: Origin) -> int:
        if origin not in self._numbers:
            values = origin[0], json.dumps(sorted(origin[1]))
            connection.execute("INSERT OR IGNORE INTO origins (step, prompted) VALUES (?, ?)", values)
            sql = "SELECT number FROM origins WHERE step = ? AND prompted = ?"
            (self._numbers[origin],) = connection.execute(sql, values).fetchone()
        return self._numbers[origin]

    def _read_origins(self) -> dict[Origin, int]:
        with self._damage_told():
            found = self.database.rows("SELECT number, step, prompted FROM origins")
            if not all(step in (1, -1) for _, step, _ in found):
                raise ValueError("an object was tracked in no direction")
            return {(step, frozenset(rows.frame_list(frames))): number for number, step, frames in found}

    def _check_frames(self, frames: list[Any]) -> None:
        if not all(type(frame) is int and 0 <= frame < self.num_frames for frame in frames):
            raise ValueError(f"something is told of a frame that is none of the {self.num_frames} of the movie")

    @contextmanager
    def _damage_told(self) -> Iterator[None]:
        try:
            yield
        except SessionError:
            raise
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise damaged(self.database.folder, error) from error


def read_meta(database: Database) -> dict[str, Any]:
    """Everything in the table meta."""
    try:
        return {str(name): json.loads(value) for name, value in database.rows("SELECT name, value FROM meta")}
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged(database.folder, error) from error


def write_meta(connection: sqlite3.Connection, values: dict[str, Any]) -> None:
    """Write some values by name into the table meta."""
    rows = [(name, json.dumps(value)) for name, value in values.items()]
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)
