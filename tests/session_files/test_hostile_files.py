"""Files that are damaged, or meant to do harm."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from napari_sam2.api import reopen_session
from napari_sam2.errors import SessionError
from napari_sam2.session_files import originals
from napari_sam2.session_files.info import describe
from toy_session import again, movie


def edit(folder, *statements):
    connection = sqlite3.connect(folder / "session.sqlite")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("PRAGMA user_version = 7", r"is of format 7, and this version .* up to 2: install a newer napari-sam2"),
        ("PRAGMA user_version = 0", "which never was"),
        ("PRAGMA application_id = 3", "no session of napari-sam2"),
        ("DROP TABLE answers", "'answers' in it is not as it should be"),
        ("CREATE TABLE more (x)", "'more' in it is not as it should be"),
        ("CREATE TRIGGER evil AFTER INSERT ON objects BEGIN DELETE FROM prompts; END", "'evil' in it is not"),
        ("CREATE VIEW evil AS SELECT 1", "'evil' in it is not"),
        ("UPDATE meta SET value = '{'", "is damaged"),
        ("UPDATE meta SET value = '[' || substr(replace(hex(zeroblob(60000)), '00', '['), 2)", "is damaged"),
        ("DELETE FROM meta WHERE name = 'movie'", "is damaged .*'movie'"),
        ("UPDATE meta SET value = '{\"cleaning\": {\"fill_holes\": -4}}' WHERE name = 'settings'", "fill_holes is -4"),
        ("UPDATE meta SET value = '0' WHERE name = 'next_object_id'", "next object ID is 0"),
        ("UPDATE meta SET value = '1.5' WHERE name = 'next_object_id'", "1.5 is no whole number"),
        ("INSERT OR REPLACE INTO meta VALUES ('ends', '{\"1\": -3}')", "of objects, ends is"),
        ("INSERT OR REPLACE INTO meta VALUES ('parents', '{\"1\": \"2\"}')", "of objects, parents is"),
        ("INSERT OR REPLACE INTO meta VALUES ('parents', '{\"1\": 2, \"2\": 1}')", "objects descend from themselves"),
        ("INSERT OR REPLACE INTO meta VALUES ('ends', '{\"__class__\": 1}')", "damaged"),
        ("UPDATE meta SET value = '{\"__class__\": 1}' WHERE name = 'settings'", "setting __class__"),
        ("UPDATE meta SET value = json_set(value, '$.contrast[0]', 1e999) WHERE name = 'movie'", "damaged"),
        ("UPDATE meta SET value = replace(value, '256', 'Infinity') WHERE name = 'movie'", "damaged"),
        (
            "UPDATE meta SET value = replace(value, '[0.0, 1.0]', '[1.0, 0.0]') WHERE name = 'movie'",
            "contrast of the movie is 1 to 0",
        ),
        ("UPDATE prompts SET frame = 99", "damaged"),
        ("UPDATE prompts SET y0 = 1e9", "lies outside the image"),
        ("UPDATE prompts SET kind = 'os.system'", "is a 'os.system'"),
        ("UPDATE prompts SET kind = 'mask', y1 = 1e9, x1 = 1e9, bits = x'00'", "damaged"),
        ("UPDATE answers SET logits = x'00'", "does not have the bytes"),
        ("UPDATE answers SET pointer = x'000000'", "does not have the bytes"),
        ("UPDATE answers SET logits_height = 1000000, logits_width = 1000000", "does not have the bytes"),
        ("UPDATE answers SET logits_height = -1, logits_width = -1", "does not have the bytes"),
        ("UPDATE answers SET height = 0", "was seen in the window"),
        ("UPDATE answers SET rows = 33", "was seen in the window"),
        ("UPDATE answers SET points = 5", "to none that there are"),
        ("UPDATE answers SET sources = 'import os'", "damaged"),
        ("UPDATE answers SET object_id = 9 WHERE object_id = 1", "damaged"),
        ("INSERT INTO marks VALUES (1, 99, 1, 0)", "a frame that is none"),
        ("INSERT OR REPLACE INTO marks VALUES (1, 3, 7, 0)", "marked with 7"),
        ("INSERT OR REPLACE INTO marks VALUES (1, 3, 1, 9)", "marked with 1 and 9"),
        ("UPDATE objects SET object_id = -4 WHERE object_id = 1", "an ID that is none"),
    ],
)
def test_row38_what_makes_no_sense_is_refused_when_the_session_is_opened(toy, folder, statement, message):
    edit(folder, statement)
    with pytest.raises(SessionError, match=message):
        again(toy, folder)
    # The lock is let go of, and the next one is told the same.
    with pytest.raises(SessionError, match=message):
        again(toy, folder)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE frames SET bits = x'00'",
        "UPDATE frames SET bits = 'text'",
        "UPDATE frames SET y1 = 1000000000, x1 = 1000000000",
        "UPDATE frames SET y0 = -5",
        "UPDATE frames SET y1 = y0",
        "UPDATE frames SET score = 'high'",
        "UPDATE frames SET x0 = 1.5",
    ],
)
def test_row38_a_mask_that_makes_no_sense_is_refused_when_it_is_asked_for(toy, folder, statement):
    edit(folder, statement)
    session = again(toy, folder)
    with pytest.raises(SessionError, match=r"the session in .*s\.sam2 is damaged"):
        session.labels(2)
    session.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE frames SET frame = frame + 4000000",
        "UPDATE frames SET origin = 77",
        "UPDATE origins SET prompted = '{}'",
    ],
)
def test_row38_a_trail_that_makes_no_sense_is_refused_when_it_is_needed(toy, folder, statement):
    edit(folder, statement)
    session = again(toy, folder)
    with pytest.raises(SessionError, match=r"the session in .*s\.sam2 is damaged"):
        list(session.propagate("forward"))
    with pytest.raises(SessionError, match="damaged"):
        session.close()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no database", b"SQLite format 3\x00" + bytes(5000)])
def test_row38_what_is_no_database_is_refused(toy, folder, content):
    (folder / "session.sqlite").write_bytes(content)
    with pytest.raises(SessionError, match=r"s\.sam2 (holds|is damaged)|session in .* is damaged"):
        again(toy, folder)
    with pytest.raises(SessionError):
        describe(folder)


@pytest.mark.parametrize("share", [0.1, 0.4, 0.7, 0.95])
def test_row38_a_file_that_was_cut_short_is_refused_or_read_without_inventing_anything(toy, folder, share):
    whole = again(toy, folder)
    masks = {i: dict(masklet) for i, masklet in whole.masklets.items()}
    whole.close()
    path = folder / "session.sqlite"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(SessionError, match="damaged"):
        session = again(toy, folder)
        for i, masklet in session.masklets.items():
            assert dict(masklet).items() <= masks[i].items()


@pytest.mark.parametrize("name", ["session.sqlite", "session.sqlite-wal", "lock", "owner.json"])
def test_row38_a_link_is_not_followed(toy, folder, tmp_path, name):
    elsewhere = tmp_path / "elsewhere"
    if (folder / name).exists():
        shutil.move(folder / name, elsewhere)
    else:
        elsewhere.write_bytes(b"mine")
    before = elsewhere.read_bytes()
    (folder / name).symlink_to(elsewhere)
    with pytest.raises(SessionError, match="is a link"):
        again(toy, folder)
    assert elsewhere.read_bytes() == before


def test_row38_a_journal_that_names_a_file_to_be_deleted_is_not_played(toy, folder):
    (folder / "session.sqlite-journal").write_bytes(b"whatever")
    with pytest.raises(SessionError, match=r"there is a session\.sqlite-journal in it"):
        again(toy, folder)


def test_row38_a_database_of_somebody_else_is_left_as_it_is(toy, tmp_path):
    connection = sqlite3.connect(tmp_path / "session.sqlite")
    connection.execute("CREATE TABLE thesis (x)")
    connection.close()
    before = (tmp_path / "session.sqlite").read_bytes()
    with pytest.raises(SessionError, match="holds a database, but no session"):
        again(toy, tmp_path)
    assert (tmp_path / "session.sqlite").read_bytes() == before


@pytest.mark.parametrize("path", ["//evil/share/movie.tif", "\\\\evil\\share\\movie.tif", "/\\evil/share/movie.tif"])
def test_row38_a_movie_on_somebody_elses_machine_is_not_looked_for(toy, folder, path, monkeypatch):
    asked = []
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda self: asked.append(str(self)) or exists(self))
    quoted = path.replace("\\", "\\\\")
    edit(folder, f"UPDATE meta SET value = json_set(value, '$.path', '{path}') WHERE name = 'movie'")
    with pytest.raises(SessionError, match="which is not there: give it as"):
        reopen_session(folder, model=toy)
    assert not [name for name in asked if "evil" in name], quoted


@pytest.mark.parametrize("path", ["//evil/share/model.pt", "\\\\evil\\share\\model.pt"])
def test_row38_a_model_on_somebody_elses_machine_is_not_loaded(toy, folder, path, monkeypatch):
    loaded = []
    monkeypatch.setattr(originals, "load_model", lambda name, **_: loaded.append(name) or toy)
    edit(folder, f"UPDATE meta SET value = json_set(value, '$.name', '{path}') WHERE name = 'model'")
    with pytest.raises(SessionError, match=r"is on another machine, .* where nothing is looked for"):
        reopen_session(folder, movie=movie())
    assert not loaded


def test_row38_nothing_is_written_outside_of_the_folder(toy, folder, tmp_path):
    before = sorted(p.name for p in tmp_path.iterdir())
    session = again(toy, folder)
    list(session.propagate("both"))
    session.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    assert sorted(p.name for p in folder.iterdir()) == ["lock", "session.sqlite"]
