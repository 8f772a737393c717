"""Kills, full disks, second processes."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from napari_sam2.errors import AutosaveError, PropagationError, SessionError
from napari_sam2.session_files import autosave, schema
from napari_sam2.session_files.database import Database
from napari_sam2.session_files.info import describe
from toy_scene import FAST, STILL, click
from toy_session import again, begin, shown

HERE = Path(__file__).parent


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the script forks")
@pytest.mark.slow
def test_row31_nothing_acknowledged_is_lost_by_a_kill():
    script = HERE.parent / "faults" / "kill_at_random.py"
    done = subprocess.run([sys.executable, script, "8"], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 10


def origins(session):
    return {i: [known.record(t).origin for t in range(12)] for i, known in session.objects.items()}


class FullDisk:
    """Transactions of a database fail while it is full, at their end."""

    def __init__(self, monkeypatch):
        self.is_full = True
        real = autosave.write_meta

        def write(connection, values):
            real(connection, values)
            if self.is_full:
                raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(autosave, "write_meta", write)


def test_row32_a_full_disk_stops_the_run_and_a_later_step_writes_what_is_missing(toy, folder, monkeypatch):
    session = again(toy, folder)
    disk = FullDisk(monkeypatch)
    with pytest.raises(PropagationError, match=r"cannot be written to .*s\.sam2 \(database or disk is full; \d+ MiB"):
        list(session.propagate("forward", first=6))
    with pytest.raises(AutosaveError, match="stays in memory"):
        session.add_prompts(click(3, 1, FAST, 4))
    assert session.run.frame == 6
    assert (1, 3) in session.prompts, "the edit is made, though it is not stored"
    with pytest.raises(AutosaveError):
        list(session.resume())
    assert [session.run.frame, session.masklets[1].frames[-1]] == [7, 7]
    read = again(toy, folder, read_only=True)
    assert read.masklets[1].frames == tuple(range(6))
    assert (1, 3) not in read.prompts, "nothing of a step that failed is stored"
    read.close()
    disk.is_full = False
    assert [result.frame for result in session.resume()] == list(range(8, 12))
    before, ways = shown(session), origins(session)
    session.close()
    opened = again(toy, folder)
    assert shown(opened) == before
    assert origins(opened) == ways
    opened.close()


def test_row32_a_full_disk_when_an_object_is_removed_and_made_anew(toy, folder, monkeypatch):
    session = again(toy, folder)
    disk = FullDisk(monkeypatch)
    with pytest.raises(AutosaveError):
        session.remove_object(1)
    with pytest.raises(AutosaveError):
        session.add_prompts(click(8, 1, STILL))
    with pytest.raises(AutosaveError):
        session.close()
    assert disk.is_full
    opened = again(toy, folder)
    assert opened.masklets[1].frames == tuple(range(6)), "all as it was"
    disk.is_full = False
    opened.remove_object(1)
    opened.add_prompts(click(8, 1, STILL))
    opened.segment(8, 1)
    opened.close()
    last = again(toy, folder)
    assert last.masklets[1].frames == (8,)
    last.close()


def test_row33_a_second_one_can_only_look(toy, folder):
    session = again(toy, folder)
    with pytest.warns(UserWarning, match=rf"can only be looked at, because it is open in process {os.getpid()} on"):
        second = again(toy, folder)
    assert shown(second) == shown(session)
    for edit in (
        lambda: second.add_prompts(click(1, 5, STILL)),
        lambda: second.remove_object(1),
        lambda: second.segment(0, 1),
        lambda: next(second.propagate("forward")),
        lambda: setattr(second, "cleaning", second.cleaning),
    ):
        with pytest.raises(SessionError, match="can only be looked at, because it is open in process"):
            edit()
    assert shown(second) == shown(session)
    session.add_prompts(click(1, 5, STILL))
    second.close()
    session.close()
    third = again(toy, folder)
    assert (5, 1) in third.prompts
    third.close()


def test_row33_another_process_is_seen_and_what_it_leaves_behind_when_killed_is_not_in_the_way(toy, folder):
    code = f"""
import time
from pathlib import Path
from napari_sam2.session_files.lock import SessionLock
lock = SessionLock(Path({str(folder)!r}))
print(lock.take(), flush=True)
time.sleep(100)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "True\n"
        with pytest.warns(UserWarning, match=f"it is open in process {other.pid} on"):
            second = again(toy, folder)
        second.close()
        other.kill()
    assert (folder / "lock").exists()
    assert (folder / "owner.json").exists(), "the killed process could not take it away"
    third = again(toy, folder)
    third.add_prompts(click(1, 5, STILL))
    third.close()


def test_a_session_is_never_overwritten(toy, folder, tmp_path):
    with pytest.raises(SessionError, match=r"holds a session already.*reopen_session"):
        begin(toy, folder)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    with pytest.raises(SessionError, match="is not an empty folder"):
        begin(toy, tmp_path / "full")
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["thesis.txt"]
    (tmp_path / "file").write_text("")
    with pytest.raises(SessionError, match="is not an empty folder"):
        begin(toy, tmp_path / "file")
    with pytest.raises(SessionError, match="holds no session: give the folder"):
        again(toy, tmp_path / "full")


def test_what_was_killed_while_it_was_made_is_made_anew(toy, tmp_path):
    def dies(connection):
        schema.create(connection)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Database.create(tmp_path / "s.sam2", dies)
    with pytest.raises(SessionError, match="holds no session"):
        again(toy, tmp_path / "s.sam2")
    (tmp_path / "s.sam2" / ".session.12345.part.sqlite").write_bytes(b"what a kill leaves")
    begin(toy, tmp_path / "s.sam2").close()
    assert [p.name for p in (tmp_path / "s.sam2").glob("*part*")] == []
    assert describe(tmp_path / "s.sam2")["objects"] == "0"
