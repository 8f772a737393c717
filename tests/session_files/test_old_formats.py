"""Sessions that older versions wrote open in this one; `make_golden.py` wrote them."""

import shutil
from pathlib import Path

import pytest

from napari_sam2.cleaning import Cleaning
from napari_sam2.prompts import BoxPrompt, PointPrompt
from napari_sam2.session_files.info import describe
from napari_sam2.session_files.schema import FORMAT_VERSION
from toy_model import ToyModel
from toy_scene import FAST, STILL, STILL_YX, click, discs, truth
from toy_session import NUM_FRAMES, again

HERE = Path(__file__).parent
VERSIONS = range(1, FORMAT_VERSION + 1)


@pytest.fixture(params=VERSIONS)
def folder(request, tmp_path):
    # Opening it writes to it.
    return shutil.copytree(HERE / f"version-{request.param}.sam2", tmp_path / "old.sam2")


def test_row34_a_session_of_an_older_version_opens_and_goes_on(folder, monkeypatch):
    session = again(ToyModel().install(monkeypatch), folder)
    assert session.settings.max_prompted == 4
    assert session.settings.diameter == 26
    assert session.cleaning == Cleaning(fill_holes=3)
    assert session.object_ids == (1, 2, 5)
    prompts = session.prompts
    assert set(prompts) == {(1, 2), (1, 6), (2, 3), (2, 8), (5, 4)}
    assert prompts[1, 2].points == (click(2, 1, FAST),)
    assert prompts[2, 3].box == BoxPrompt(3, 2, 170, 310, 210, 350)
    assert prompts[2, 8].points == (PointPrompt(8, 2, 20, 20.25, positive=False),)
    assert (prompts[5, 4].mask.mask == (truth()[4] == STILL)).all()
    assert prompts[5, 4].points == (PointPrompt(4, 5, *STILL_YX),)
    assert session.masklets[1].frames == tuple(range(2, NUM_FRAMES))
    assert set(discs(session, 1).values()) == {FAST}
    run = session.run
    assert (run.direction, run.object_ids, run.start, run.frame) == ("both", (1, 2, 5), "first", 9)
    assert [result.frame for result in session.resume()] == [10, 11, 3, 2, 1, 0]
    assert set(discs(session, 1).values()) == {FAST}
    assert session.masklets[1].frames == tuple(range(NUM_FRAMES))
    session.close()


def test_row42_ids_are_not_used_again_in_a_session_of_an_older_version(folder, monkeypatch):
    toy = ToyModel().install(monkeypatch)
    session = again(toy, folder)
    session.remove_object(5)
    session.close()
    session = again(toy, folder)
    assert session.next_object_id == 6
    session.close()


def test_row34_objects_of_an_older_session_have_no_names_and_no_parents_and_can_be_given_some(folder, monkeypatch):
    toy = ToyModel().install(monkeypatch)
    session = again(toy, folder)
    assert session.names == {} and session.parents == {}
    session.rename(5, "the last")
    session.set_parent(5, 1)
    session.close()
    session = again(toy, folder)
    assert session.names == {5: "the last"} and session.parents == {5: 1}
    session.close()


def test_row34_what_an_older_session_holds_is_told(folder):
    told = describe(folder)
    assert told["objects"] == "3"
    assert told["prompts"] == "6"
    assert told["movie"] == "an array, 12 frames of 256 x 420, float32"
    assert told["propagation"] == "both, 3 objects, interrupted after frame 9"


def test_a_session_of_an_older_version_is_one_of_this_version_afterwards(folder, monkeypatch):
    toy = ToyModel().install(monkeypatch)
    session = again(toy, folder)
    for _ in session.resume():
        pass
    session.approve(2, [5, 6])
    doubts, sure = session.doubtful(), session.confidence(2).values.tolist()
    session.close()
    session = again(toy, folder)
    assert session.approved(2) == (5, 6)
    assert session.doubtful() == doubts
    assert session.confidence(2).values.tolist() == sure
    session.close()


def test_a_session_of_an_older_version_can_be_looked_at_where_it_cannot_be_written(folder, monkeypatch):
    before = (folder / "session.sqlite").read_bytes()
    session = again(ToyModel().install(monkeypatch), folder, read_only=True)
    assert session.confidence(1).frames.tolist() == list(range(2, NUM_FRAMES))
    assert set(discs(session, 1).values()) == {FAST}
    session.close()
    assert (folder / "session.sqlite").read_bytes() == before


def test_what_version_2_adds_is_there_again(tmp_path, monkeypatch):
    folder = shutil.copytree(HERE / "version-2.sam2", tmp_path / "old.sam2")
    session = again(ToyModel().install(monkeypatch), folder)
    assert session.approved(2) == (6,)
    assert session.masklets[1][5].signs.jump == pytest.approx(1.08, abs=0.05)
    assert session.changed_ids == (1, 2)
    session.close()
