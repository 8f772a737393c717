"""Who is whose daughter: said, kept through edits, and cut out of a mask that falls in two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2 import lineage
from napari_sam2.api import save_results
from napari_sam2.errors import PromptError
from napari_sam2.prompts import MaskPrompt
from test_history import known
from toy_scene import FAST, NUM_FRAMES, STILL, click, discs, run, truth
from toy_session import again, begin

IDS = st.integers(1, 8)


@pytest.fixture
def family(session):
    """Object 1 with the children 2 and 3, the latter from frame 4 on, and the grandchild 4 of 2."""
    session.add_prompts(*(click(t, i, STILL) for i, t in ((1, 0), (2, 0), (3, 4), (4, 0))))
    for child, parent in ((2, 1), (3, 1), (4, 2)):
        session.set_parent(child, parent)
    return session


@pytest.fixture
def double(session):
    """Object 1 is both discs on the frames 0 to 9."""
    session.add_prompts(click(0, 1, STILL), click(0, 2, FAST))
    run(session, last=9)
    session.merge(1, 2)
    return session


@st.composite
def lineages(draw):
    """Any parents among eight objects, of which each has an older one for parent, or none."""
    order = draw(st.permutations(range(1, 9)))
    older = {child: draw(st.sampled_from([0, *order[:k]])) for k, child in enumerate(order)}
    return {child: parent for child, parent in older.items() if parent}


@given(lineages(), IDS, IDS, st.sets(IDS))
def test_row42_no_edit_makes_a_cycle_or_leaves_what_is_gone(parents, a, b, some):
    assert not lineage.has_cycle(parents)
    for after in (lineage.without(parents, a), lineage.handed_on(parents, some, a)):
        assert not lineage.has_cycle(after)
    assert a not in {*(rest := lineage.without(parents, a)), *rest.values()}
    if a != b:
        merged = lineage.merged(parents, a, b)
        assert not lineage.has_cycle(merged)
        assert b not in {*merged, *merged.values()}
        assert set(lineage.children(merged, a)) >= set(lineage.children(parents, b)) - {a}


@given(st.dictionaries(IDS, IDS))
def test_a_cycle_is_found_wherever_it_is(parents):
    def returns(object_id):
        at = parents.get(object_id)
        for _ in parents:
            if at == object_id:
                return True
            at = parents.get(at)
        return False

    assert lineage.has_cycle(parents) == any(map(returns, parents))


def test_a_parent_is_said_taken_back_and_undone(family):
    family.set_parent(4, None)
    assert family.parents == {2: 1, 3: 1}
    assert family.undo() == "parent of object 4"
    assert family.parents == {2: 1, 3: 1, 4: 2}
    before = known(family)
    family.set_parent(4, 2)
    assert known(family) == before
    assert family.history.undo_name == "parent of object 4", "the same once more is no step"


@pytest.mark.parametrize(
    ("child", "parent", "message"),
    [
        (1, 4, "object 4 descends from object 1, so it cannot be its parent: take away"),
        (1, 2, "object 2 descends from object 1"),
        (3, 3, "object 3 was named twice"),
        (3, 9, "there is no object 9"),
        (9, 3, "there is no object 9"),
    ],
)
def test_row42_a_parent_that_makes_no_sense_is_refused(family, child, parent, message):
    before = known(family)
    with pytest.raises(PromptError, match=message):
        family.set_parent(child, parent)
    assert known(family) == before


def test_the_lineage_follows_edits(family):
    with family.one_step():
        family.merge(3, 2)
        assert family.parents == {3: 1, 4: 3}, "3 has the child of 2, and its own parent"
        family.remove_object(3)
        assert family.parents == {}
    family.undo()
    assert family.parents == {2: 1, 3: 1, 4: 2}
    family.merge(4, 1)
    assert family.parents == {2: 4, 3: 4}, "a grandchild that is the same as its grandparent has no parent"


def test_a_child_that_was_looked_for_before_in_vain_goes_with_the_piece(family):
    run(family, last=9, object_ids=[1])
    family.segment(4, 3)
    family.mark_absent(3, 1)
    new_id = family.split(1, 4)
    assert family.parents == {2: 1, 3: new_id, 4: 2}


def test_a_swap_leaves_children_with_who_is_left(session):
    session.add_prompts(click(0, 1, STILL), click(5, 2, STILL), click(5, 3, FAST))
    run(session, last=4, object_ids=[1])
    run(session, first=5, last=9, object_ids=[2, 3])
    session.set_parent(3, 1)
    session.swap(1, 2, 5)
    assert 2 not in session.objects and session.parents == {3: 1}


def test_two_that_are_swapped_from_their_births_on_swap_parents(session):
    session.add_prompts(*(click(t, i, d) for i, t, d in ((1, 0, STILL), (2, 0, FAST), (3, 4, STILL), (4, 4, FAST))))
    run(session, last=9)
    session.set_parent(3, 1)
    session.set_parent(4, 2)
    session.swap(3, 4, 4)
    assert session.parents == {3: 2, 4: 1}


def test_children_go_with_the_piece_that_they_came_from(family):
    run(family, last=9, object_ids=[1, 2, 3, 4])
    new_id = family.split(1, 4)
    assert family.parents == {2: 1, 3: new_id, 4: 2}, "3 comes up on the frame of the split"
    family.undo()
    family.swap(1, 4, 4)
    assert family.parents == {2: 1, 3: 4, 4: 2}


def test_a_mask_in_two_pieces_becomes_two_children(double):
    assert double.divide(1, 6) == (3, 4)
    assert double.parents == {3: 1, 4: 1} and double.ends == {1: 6}
    assert double.masklets[1].frames == tuple(range(6))
    run(double, last=9)
    assert [discs(double, i) for i in (3, 4)] == [dict.fromkeys(range(6, 10), disc) for disc in (FAST, STILL)]
    double.undo()
    assert double.undo() == "division of objects 1, 3 and 4"
    assert double.masklets[1].frames == tuple(range(10)) and not double.parents


@pytest.mark.parametrize("way", ["both", "update"])
def test_row42_children_are_not_followed_to_before_the_division(double, tmp_path, way):
    children = double.divide(1, 6)
    for _ in double.update() if way == "update" else double.propagate("both"):
        pass
    assert all(double.masklets[i].frames == tuple(range(6, NUM_FRAMES)) for i in children)
    assert not double.changed_ids and not double.can_resume
    save_results(double, tmp_path)
    last = NUM_FRAMES - 1
    assert (tmp_path / "res_track.txt").read_text() == f"1 0 5 0\n3 6 {last} 1\n4 6 {last} 1\n"


def test_row42_frames_before_the_division_are_refused_with_the_way_out(double):
    children = double.divide(1, 6)
    with pytest.raises(PromptError, match=r"frames 0 to 3: .* on the frames 6 to 47 only. Ask for some of these"):
        double.propagate("both", object_ids=children, last=3)
    with pytest.raises(PromptError, match="No frames from 3 to 2"):
        double.propagate("both", object_ids=children, first=3, last=2)


def test_who_says_that_a_child_was_there_before_is_believed_and_a_parent_without_an_end_lives_on(session):
    session.add_prompts(click(0, 1, STILL), click(8, 2, FAST))
    session.set_parent(2, 1)
    run(session, "both", last=9)
    assert session.masklets[2].frames[0] == 0
    session.end(1, 7)
    session.add_prompts(click(5, 3, FAST))
    session.set_parent(3, 1)
    run(session, "both", last=9, object_ids=[3])
    assert session.masklets[3].frames == (5, 6, 7, 8, 9)
    assert session.can_approve(3, 2) and 2 not in session.objects[3].tracked, "it cannot be there"


@pytest.mark.parametrize("way", ["end", "divide"])
def test_an_edit_that_leaves_nothing_is_refused_also_where_a_negative_click_is_left(session, way):
    session.add_prompts(click(5, 1, STILL), click(5, 2, FAST))
    run(session, "both", last=9)
    session.merge(1, 2)
    session.add_prompts(click(2, 1, STILL, 60, positive=False))
    session.segment(2, 1)
    for t in (0, 1, 3, 4):
        session.mark_absent(1, t)
    before = known(session)
    with pytest.raises(PromptError, match="nothing of it would be left"):
        getattr(session, way)(1, 5)
    assert known(session) == before and (1, 2) in session.prompts


@pytest.mark.parametrize(("frame", "message"), [(20, "no mask on frame 20"), (0, "nothing of it would be left")])
def test_what_does_not_divide_is_refused(double, frame, message):
    before = known(double)
    with pytest.raises(PromptError, match=message):
        double.divide(1, frame)
    assert known(double) == before and double.next_object_id == 3


def test_a_speck_beside_a_mask_is_no_child(session):
    session.add_prompts(click(0, 1, STILL))
    run(session, last=3)
    painted = truth()[2] == STILL
    painted[5:10, 5:15] = True
    session.add_prompts(MaskPrompt(2, 1, painted))
    session.segment(2, 1)
    assert session.masklets[1][2].area == painted.sum()
    with pytest.raises(PromptError, match=r"its mask in one piece on frame 2.*set_parent"):
        session.divide(1, 2)


def test_a_stored_lineage_is_there_again(toy, tmp_path):
    session = begin(toy, tmp_path / "s.sam2")
    session.add_prompts(click(0, 1, STILL), click(0, 2, FAST))
    session.set_parent(2, 1)
    session.close()
    session = again(toy, tmp_path / "s.sam2")
    assert session.parents == {2: 1}
    session.close()
