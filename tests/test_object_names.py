"""Names that people give to objects: kept in the session and its folder, undone like anything else."""

import sqlite3
from contextlib import closing

import pytest

from napari_sam2.errors import PromptError, SessionError
from toy_scene import FAST, STILL, click, run
from toy_session import again, begin


def test_a_name_belongs_to_the_id_and_goes_with_the_object(session):
    session.add_prompts(click(0, 1, STILL), click(0, 2, FAST))
    run(session, last=5)
    session.rename(1, "  the still\n one ")
    session.rename(2, "fast")
    assert session.names == {1: "the still one", 2: "fast"}
    session.swap(1, 2, 3)
    new_id = session.split(2, 4)
    assert session.names == {1: "the still one", 2: "fast"}
    session.merge(1, new_id)
    session.remove_object(2)
    assert session.names == {1: "the still one"}
    session.undo()
    assert session.names == {1: "the still one", 2: "fast"}
    session.rename(2, "")
    assert session.names == {1: "the still one"}


def test_naming_is_one_step(session):
    session.add_prompts(click(0, 1, STILL))
    session.rename(1, "a")
    session.rename(1, "b")
    session.rename(1, "b ")
    assert session.history.undo_name == "name of object 1"
    assert [session.undo(), session.names, session.undo(), session.names] == [
        "name of object 1",
        {1: "a"},
        "name of object 1",
        {},
    ]
    session.redo()
    assert session.names == {1: "a"}


@pytest.mark.parametrize(("object_id", "name", "said"), [(7, "x", "no object 7"), (1, "x" * 201, "201 characters")])
def test_names_that_make_no_sense_are_refused(session, object_id, name, said):
    session.add_prompts(click(0, 1, STILL))
    with pytest.raises(PromptError, match=said):
        session.rename(object_id, name)
    assert session.names == {}


def test_row_34_names_are_stored_whatever_is_undone(toy, tmp_path):
    folder = tmp_path / "s.sam2"
    session = begin(toy, folder)
    session.add_prompts(click(0, 1, STILL), click(0, 2, FAST), click(0, 3, FAST))
    for object_id, name in ((1, "still"), (2, "fast"), (3, "gone")):
        session.rename(object_id, name)
    session.remove_object(3)
    session.remove_object(2)
    session.undo()
    session.close()
    session = again(toy, folder)
    assert session.names == {1: "still", 2: "fast"}
    session.rename(1, "")
    session.close()
    session = again(toy, folder)
    assert session.names == {2: "fast"}
    session.close()


def test_row_38_a_name_that_is_none_is_damage(toy, tmp_path):
    folder = tmp_path / "s.sam2"
    session = begin(toy, folder)
    session.add_prompts(click(0, 1, STILL))
    session.close()
    with closing(sqlite3.connect(folder / "session.sqlite")) as connection:
        connection.execute("UPDATE objects SET name = zeroblob(99)")
        connection.commit()
    with pytest.raises(SessionError, match="damaged"):
        again(toy, folder)
