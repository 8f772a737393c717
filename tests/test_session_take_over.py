"""A session that goes on with what another one has, under other settings: as a stored session does, in memory."""

import numpy as np
import pytest

from napari_sam2.api import open_session
from napari_sam2.errors import SessionError
from napari_sam2.session_files.session_folder import open_stored
from napari_sam2.session_setup import SessionSetup
from toy_scene import FAST, RADIUS, STILL, click
from toy_session import NUM_FRAMES, again, begin, movie, shown

OTHER = SessionSetup(diameter=2 * RADIUS, max_recent=1)


def work(session):
    """A bit of everything, and a propagation that is stopped half way."""
    session.set_prompts([click(0, 1, FAST), click(0, 2, STILL), click(4, 3, STILL)])
    list(session.propagate("both"))
    session.rename(1, "fast one")
    session.approve(2, 5)
    session.end(3, 9)
    session.remove_object(session.split(2, 8))
    session.add_prompts(click(6, 1, STILL))
    session.segment(6, 1)
    for result in session.propagate("forward"):
        if result.frame == 6:
            break
    return session


def begun(toy, folder=None, **settings):
    return begin(toy, folder, **settings) if folder else open_session(movie(), model=toy, contrast=(0, 1), **settings)


def told(session):
    """What there is beside masks and prompts."""
    approved = {i: session.approved(i) for i in session.masklets}
    return session.names, session.ends, approved, session.next_object_id, session.can_resume, session.changed_ids


def test_taken_over_in_memory_is_what_a_stored_session_goes_on_with(toy, tmp_path):
    work(begun(toy, tmp_path / "toy.sam2")).close()
    stored = open_stored(tmp_path / "toy.sam2", movie(), model=toy, despite_changes=True, setup=OTHER).session
    before = work(begun(toy, diameter=2 * RADIUS))
    session = begun(toy, diameter=2 * RADIUS, max_recent=1)
    session.take_over(before)
    assert told(session) == told(stored) and told(session)[0] == {1: "fast one"}
    assert shown(session) == shown(stored) and shown(session)[:2] == shown(before)[:2]
    assert session.can_resume and not session.can_undo
    for going_on in (session, stored):
        assert [result.frame for result in going_on.resume()] == list(range(7, NUM_FRAMES))
    assert shown(session) == shown(stored)
    labels = [session.labels(t) for t in range(NUM_FRAMES)]
    session.rename(2, "still one")
    session.remove_object(1)
    assert [session.undo(), session.undo()] == ["removal of object 1", "name of object 2"]
    np.testing.assert_array_equal(labels, [session.labels(t) for t in range(NUM_FRAMES)])


def test_clicks_are_answered_anew(toy):
    before = work(begun(toy, diameter=2 * RADIUS))
    session = begun(toy, diameter=2 * RADIUS)
    session.take_over(before)
    toy.log.clear()
    assert session.segment(0, 1) is not None
    assert [what for what, *_ in toy.log] == ["segment"]


def test_a_session_that_is_stored_stores_what_it_takes_over(toy, tmp_path):
    before = work(begun(toy, diameter=2 * RADIUS))
    session = begun(toy, tmp_path / "toy.sam2")
    session.take_over(before)
    expected = shown(session), told(session)
    session.close()
    assert expected == (shown(stored := again(toy, tmp_path / "toy.sam2")), told(stored))


def test_only_an_empty_session_of_the_same_movie_takes_another_one_over(toy):
    before = work(begun(toy, diameter=2 * RADIUS))
    session = begun(toy, diameter=2 * RADIUS)
    session.set_prompts([click(2, 7, FAST)])
    with pytest.raises(SessionError, match="1 objects"):
        session.take_over(before)
    assert [*session.masklets] == [7]
    short = open_session(movie()[:5], model=toy, contrast=(0, 1))
    with pytest.raises(SessionError, match="the same movie"):
        short.take_over(before)
    assert not short.masklets and not short.prompts
