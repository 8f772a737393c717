"""A session that is worked with elsewhere is looked at, and reloaded."""

import pytest

from napari_sam2.errors import SessionError
from napari_sam2.session_files.session_folder import open_stored
from toy_scene import FAST, STILL, click, run, stored
from toy_session import again, begin, movie


@pytest.fixture
def writer(toy, tmp_path):
    session = begin(toy, tmp_path / "s.sam2")
    session.add_prompts(click(0, 1, FAST))
    run(session, last=4)
    yield session
    session.close()


@pytest.fixture
def reader(writer, toy, tmp_path):
    with pytest.warns(UserWarning, match="can only be looked at"):
        session = again(toy, tmp_path / "s.sam2")
    yield session
    session.close()


def test_a_reload_shows_what_was_stored_since(writer, reader):
    assert stored(reader) == stored(writer)
    writer.add_prompts(click(2, 2, STILL))
    run(writer, last=9)
    writer.end(1, 7)
    writer.rename(2, "mother")
    writer.approve(1, [2, 7])
    assert 2 not in reader.masklets
    reader.reload()
    assert stored(reader) == stored(writer)
    assert reader.prompts == writer.prompts
    assert (reader.ends, reader.names, reader.run) == (writer.ends, writer.names, writer.run)
    assert reader.approved(1) == (2, 7)
    assert reader.next_object_id == 3
    writer.remove_object(1)
    reader.reload()
    assert tuple(reader.masklets) == (2,)
    assert reader.ends == {}


def test_after_a_reload_it_can_still_only_be_looked_at(writer, reader):
    writer.add_prompts(click(2, 2, STILL))
    reader.reload()
    with pytest.raises(SessionError, match="can only be looked at"):
        reader.remove_object(2)
    assert not reader.can_undo
    assert set(writer.objects) == {1, 2}


def test_listeners_are_told_of_a_reload(writer, reader):
    told = []

    class Log:
        def begin(self, step):
            told.append(step.kind)

        def touching(self, known, frames):
            told.append((known.object_id, tuple(frames)))

        def removing(self, known):
            told.append(-known.object_id)

        def end(self, step): ...
        def close(self): ...

    reader.logs.add(Log())
    writer.add_prompts(click(2, 2, STILL))
    reader.reload()
    assert told == ["reload", -1, (1, (0, 1, 2, 3, 4)), (2, (2,))]


def test_what_is_worked_with_here_has_nothing_to_reload(writer, session):
    for one in (writer, session):
        with pytest.raises(SessionError, match="There is nothing to reload"):
            one.reload()


def test_a_session_that_is_damaged_meanwhile_is_refused_and_shown_as_it_was(writer, toy, tmp_path):
    reader = open_stored(tmp_path / "s.sam2", movie(), model=toy, read_only=True).session
    before = reader.prompts
    writer.close()
    for name in ("session.sqlite-wal", "session.sqlite-shm"):
        (tmp_path / "s.sam2" / name).unlink(missing_ok=True)
    (tmp_path / "s.sam2" / "session.sqlite").write_bytes(b"nothing of the kind" * 1000)
    with pytest.raises(SessionError, match="damaged"):
        reader.reload()
    assert reader.prompts == before
    reader.close()
