"""Edits of objects: merge, split, swap, end and absence on a frame."""

import numpy as np
import pytest

from napari_sam2.errors import PromptError
from napari_sam2.found_objects import Everything
from napari_sam2.prompts import MAX_OBJECT_ID, BoxPrompt, MaskPrompt
from test_history import known
from toy_scene import FAST, RADIUS, STILL, click, discs, open_scene, run, stored, truth
from toy_session import again, begin, shown


def pixels(mask):
    full = np.zeros(truth().shape[1:], np.uint8)
    mask.paint(full, 1)
    return full > 0


@pytest.fixture
def confused(session):
    """Object 1 is the still disc up to frame 4 and the fast one from there on; object 2 the other way round."""
    session.add_prompts(click(0, 1, STILL), click(0, 2, FAST), click(5, 1, FAST), click(5, 2, STILL))
    run(session, last=9)
    assert discs(session, 1) == {t: STILL if t < 5 else FAST for t in range(10)}
    return session


@pytest.fixture(params=["merge", "split", "swap", "end", "mark_absent", "divide"])
def edit(request):
    return {
        "merge": lambda session: session.merge(1, 2),
        "split": lambda session: session.split(1, 5),
        "swap": lambda session: session.swap(1, 2, 5),
        "end": lambda session: session.end(1, 5),
        "mark_absent": lambda session: session.mark_absent(1, 7),
        "divide": lambda session: (session.merge(1, 2), session.divide(1, 5)),
    }[request.param]


def test_each_edit_is_one_step_that_can_be_undone_and_stored(toy, tmp_path, edit):
    session = begin(toy, tmp_path / "s.sam2")
    session.add_prompts(click(0, 1, STILL), click(2, 2, FAST), click(7, 1, FAST))
    run(session, "both", last=9)
    before = known(session)
    with session.one_step():
        edit(session)
    after = known(session)
    assert before != after
    session.undo()
    assert known(session) == before
    session.redo()
    assert known(session) == after
    seen = shown(session), session.objects.facts, session.next_object_id
    session.close()
    session = again(toy, tmp_path / "s.sam2")
    assert (shown(session), session.objects.facts, session.next_object_id) == seen
    list(session.propagate("both", first=1))
    session.close()


def test_an_edit_leaves_nothing_remembered_that_came_from_prompts_that_are_gone(session, edit):
    session.add_prompts(click(0, 1, STILL), click(2, 2, FAST), click(7, 1, FAST))
    run(session, "both", last=9)
    edit(session)
    assert session.objects
    for one in session.objects.values():
        records = [one.record(t) for t in one.frames]
        for record in records:
            assert record.origin is None or record.origin[1] <= one.prompts.keys()
            assert record.answer is None or record.answer.sources <= one.prompts.keys()
            assert record.prompts is None or all(p.object_id == one.object_id for p in record.prompts.in_order)
            assert record.mask is None or record.mask.object_id == one.object_id
        assert set(one.followed.bank.prompted) <= one.prompts.keys()
        first = min(one.prompts, default=None)
        assert first is None or one.prompts[first].says_where


# --- merge ---


def test_merged_masks_are_united_and_the_prompts_of_the_first_stay(session):
    session.add_prompts(click(0, 1, STILL), click(3, 2, FAST))
    run(session, last=5)
    run(session, last=8, object_ids=[2], first=6)
    prompts = {key: p for key, p in session.prompts.items() if key[0] == 1}
    session.merge(1, 2)
    assert session.prompts == prompts
    assert set(session.objects) == {1}
    assert (pixels(session.masklets[1][2]) == (truth()[2] == STILL)).mean() > 0.999
    both = pixels(session.masklets[1][4])
    assert (both == (truth()[4] > 0)).mean() > 0.999, "both discs"
    assert discs(session)[7] == FAST
    assert not session.labels(7)[truth()[7] == STILL].any()


def test_pieces_that_were_merged_are_followed_on_from_the_last(session, toy):
    session.add_prompts(click(0, 1, FAST))
    run(session, last=3)
    session.add_prompts(click(4, 2, FAST))
    run(session, last=7, object_ids=[2])
    session.merge(1, 2)
    toy.log.clear()
    run(session, first=8, last=9)
    tracked = [frames for what, frames, _ in toy.log if what == "track"]
    assert tracked[0] == [0, 2, 3, 4, 5, 6, 7], "masks of the other are remembered as its own"
    assert discs(session) == dict.fromkeys(range(10), FAST)


def test_merging_shows_absence_only_where_both_are_absent(toy):
    session = open_scene(toy, hidden=range(3, 5))
    session.add_prompts(click(0, 1, STILL), click(0, 2, FAST))
    run(session, last=6)
    session.set_prompts([*session.objects.all_prompts(), MaskPrompt(3, 2, truth()[3] == FAST)])
    session.segment(3, 2)
    session.merge(1, 2)
    assert session.masklets[1].absent == (4,)
    assert 3 in session.masklets[1]


# --- split ---


def test_a_split_gives_the_rest_to_a_new_object_with_its_first_mask_as_prompt(session):
    session.add_prompts(click(0, 1, FAST), click(8, 1, FAST, 2))
    run(session, last=11)
    before = stored(session)[1]
    new_id = session.split(1, 6)
    assert new_id == 2
    assert session.masklets[1].frames == tuple(range(6))
    assert session.masklets[2].frames == tuple(range(6, 12))
    for t, mask in session.masklets[2].items():
        assert mask.box == before[t].box and (mask.crop == before[t].crop).all()
    assert {key for key in session.prompts} == {(1, 0), (2, 6), (2, 8)}
    assert (session.prompts[2, 6].mask.mask == pixels(before[6])).all()
    session.set_prompts([p for p in session.objects.all_prompts() if p.frame != 8])
    run(session, object_ids=[2], last=14)
    assert discs(session, 2) == dict.fromkeys(range(6, 15), FAST)


def test_a_piece_split_off_is_followed_on_from_its_last_masks(session, toy):
    session.add_prompts(click(0, 1, FAST))
    run(session, last=9)
    new_id = session.split(1, 6)
    toy.log.clear()
    run(session, first=10, last=10, object_ids=[new_id])
    assert [frames for what, frames, _ in toy.log if what == "track"] == [[6, 7, 8, 9]]


def test_a_part_that_has_lost_all_prompts_is_prompted_by_its_last_mask(session):
    session.add_prompts(click(9, 1, FAST))
    run(session, "backward")
    new_id = session.split(1, 4)
    assert set(session.prompts) == {(1, 3), (new_id, 4), (new_id, 9)}
    run(session, "backward", object_ids=[1])
    assert discs(session, 1) == dict.fromkeys(range(4), FAST)


@pytest.mark.parametrize(("frame", "where"), [(0, "before frame 0"), (9, "from frame 9 on")])
def test_a_split_that_leaves_nothing_on_a_side_is_refused(session, frame, where):
    session.add_prompts(click(0, 1, FAST))
    run(session, last=5)
    before = known(session)
    with pytest.raises(PromptError, match=f"object 1 has no mask {where}.*frame within 1 to 5"):
        session.split(1, frame)
    assert known(session) == before


def test_there_is_no_new_id_after_the_last(session):
    session.add_prompts(click(0, MAX_OBJECT_ID, FAST))
    run(session, last=5)
    before = known(session)
    with pytest.raises(PromptError, match="4294967295"):
        session.split(MAX_OBJECT_ID, 3)
    assert known(session) == before


# --- swap ---


def test_swapped_objects_keep_to_their_own_also_when_propagated_again(confused):
    confused.swap(1, 2, 5)
    for _ in range(2):
        assert discs(confused, 1) == dict.fromkeys(range(10), STILL)
        assert discs(confused, 2) == dict.fromkeys(range(10), FAST)
        run(confused, last=9)


def test_a_swap_from_a_frame_without_prompts_holds_by_mask_prompts(session):
    session.add_prompts(click(0, 1, STILL), click(0, 2, FAST))
    run(session, last=9)
    session.swap(1, 2, 6)
    assert set(session.prompts) == {(1, 0), (2, 0), (1, 6), (2, 6)}
    run(session, last=12)
    assert discs(session, 1) == {t: STILL if t < 6 else FAST for t in range(13)}
    assert discs(session, 2) == {t: FAST if t < 6 else STILL for t in range(13)}


def test_swapping_with_an_object_that_is_not_there_hands_the_rest_over(session):
    session.add_prompts(click(0, 1, STILL), click(0, 2, FAST))
    run(session, last=3)
    run(session, first=4, last=9, object_ids=[1])
    session.swap(1, 2, 5)
    assert session.masklets[1].frames == tuple(range(5))
    assert session.masklets[2].frames == (0, 1, 2, 3, *range(5, 10))


@pytest.mark.parametrize("ended", [1, 2])
def test_an_end_goes_with_what_ends(session, ended):
    session.add_prompts(click(0, 1, STILL), click(0, 2, FAST))
    run(session, last=9)
    session.end(ended, 8)
    session.swap(1, 2, 5)
    assert session.objects.facts.ends == {3 - ended: 8}


# --- end ---


@pytest.mark.parametrize("direction", ["forward", "backward", "both"])
def test_an_object_is_not_followed_beyond_its_end(session, direction):
    session.add_prompts(click(2, 1, FAST), click(2, 2, STILL), click(8, 1, FAST))
    run(session, last=11)
    session.end(1, 6)
    assert session.masklets[1].frames == (2, 3, 4, 5)
    assert set(session.prompts) == {(1, 2), (2, 2)}
    run(session, direction, last=11)
    assert session.masklets[1].frames[-1] == 5
    assert session.masklets[2].frames[-1] == 11


def test_a_propagation_stops_where_the_last_object_ends(session):
    session.add_prompts(click(0, 1, FAST), click(0, 2, STILL))
    session.end(1, 4)
    session.end(2, 6)
    assert session.plan() == 6
    assert run(session) == list(range(6))
    assert session.run.is_done
    with pytest.raises(PromptError, match=r"Nothing to follow on the frames 6 to 47: .* on the frames 0 to 5 only"):
        session.propagate(first=6)


def test_an_end_is_lifted_by_a_prompt_there_and_by_undo(session):
    session.add_prompts(click(0, 1, FAST))
    run(session, last=9)
    session.end(1, 5)
    session.undo()
    assert session.masklets[1].frames == tuple(range(10))
    run(session, last=10)
    assert session.masklets[1].frames == tuple(range(11))
    session.end(1, 5)
    session.add_prompts(click(7, 1, FAST, positive=False))
    session.add_prompts(click(3, 1, FAST))
    assert session.objects.facts.ends == {1: 5}, "neither says where it is after the end"
    session.add_prompts(click(8, 1, FAST))
    assert session.objects.facts.ends == {}
    run(session, last=10)
    assert session.masklets[1].frames == tuple(range(11))
    session.undo(), session.undo()
    assert session.objects.facts.ends == {1: 5}


def test_an_object_that_was_removed_has_no_end_when_it_is_clicked_again(session):
    session.add_prompts(click(0, 1, FAST))
    session.end(1, 4)
    session.remove_object(1)
    session.add_prompts(click(0, 1, FAST))
    assert run(session, last=6) == list(range(7))


# --- the scale at which objects are looked at ---


@pytest.fixture
def measured(toy, tmp_path):
    """A stored session whose objects, 1 and 2, have their diameters from clicks on frame 0, or on 9, and another."""

    def open_measured(first, *others):
        session = begin(toy, tmp_path / "s.sam2", diameter=None)
        session.add_prompts(click(first, 1, STILL), click(first, 2, FAST))
        list(session.segment_all(first))
        session.add_prompts(*(click(t, i, disc) for t in others for i, disc in ((1, STILL), (2, FAST))))
        run(session, "both")
        return session

    return open_measured


@pytest.mark.parametrize(
    ("first", "edit"),
    [
        (0, lambda session: session.split(1, 9)),
        (9, lambda session: session.split(1, 5)),
        (9, lambda session: session.end(1, 5)),
        (0, lambda session: session.swap(1, 2, 9)),
        (9, lambda session: session.swap(1, 2, 5)),
        (9, lambda session: session.merge(1, 2)),
    ],
)
def test_every_piece_keeps_the_scale_of_the_object(measured, toy, tmp_path, first, edit):
    session = measured(first, 9 - first)
    diameter = session.diameter_of(1)
    assert session.diameter_of(2) == diameter == pytest.approx(2 * RADIUS, abs=6)
    before = known(session)
    edit(session)
    after = known(session)
    assert {session.diameter_of(i) for i in session.objects} == {diameter}
    session.undo()
    assert known(session) == before
    assert {session.diameter_of(i) for i in session.objects} == {diameter}
    session.redo()
    assert known(session) == after
    session.close()
    session = again(toy, tmp_path / "s.sam2")
    assert {session.diameter_of(i) for i in session.objects} == {diameter}
    run(session, "both")
    assert {session.diameter_of(i) for i in session.objects} == {diameter}
    session.close()


def test_objects_that_change_places_keep_their_own_scale(measured):
    session = measured(0, 9)
    session.set_prompts(
        [*(p for p in session.objects.all_prompts() if p.object_id == 1), BoxPrompt(9, 2, 0, 0, 99, 99)]
    )
    session.segment(9, 2)
    one, two = session.diameter_of(1), session.diameter_of(2)
    assert one != two
    session.swap(1, 2, 5)
    assert (session.diameter_of(1), session.diameter_of(2)) == (one, two)
    session.undo()
    assert (session.diameter_of(1), session.diameter_of(2)) == (one, two)


def test_a_mask_that_becomes_a_prompt_stays_approved(session):
    session.add_prompts(click(0, 1, FAST))
    run(session, last=9)
    session.approve(1, 6)
    new_id = session.split(1, 6)
    assert session.approved(new_id) == (6,)
    before = stored(session)[new_id][6]
    run(session, "both", last=11, object_ids=[new_id])
    assert session.masklets[new_id][6] == before
    assert session.approved(new_id) == (6,)
    assert discs(session, new_id) == dict.fromkeys(range(12), FAST)


# --- what is refused ---


def test_edits_of_objects_that_are_not_there_are_refused(session):
    session.add_prompts(click(0, 1, FAST), click(0, 2, FAST))
    before = known(session)
    for refused, text in (
        (lambda: session.merge(1, 1), "object 1 was named twice"),
        (lambda: session.merge(1, 9), r"there is no object 9: name one of \[1, 2\]"),
        (lambda: session.split(9, 2), "there is no object 9"),
        (lambda: session.swap(1, 2, 3), "neither object 1 nor object 2 has a mask from frame 3 on"),
        (lambda: session.end(1, 0), "object 1 has neither mask nor prompt before frame 0"),
    ):
        with pytest.raises(PromptError, match=text):
            refused()
    assert known(session) == before
    assert session.history.undo_name == "prompts of objects 1 and 2"


# --- IDs ---


def test_ids_of_removed_objects_are_not_given_again_by_everything(session):
    session.add_prompts(click(0, 7, FAST))
    session.remove_object(7)
    session.add_prompts(click(0, 2, STILL))
    mask = session.segment(0, 2)
    found = Everything(0, truth().shape[1:], (mask,), (click(0, 2, STILL),))
    assert session.add_everything(found) == (8,)
    session.undo()
    assert session.add_everything(found) == (9,)


def test_a_painted_mask_moves_along_with_the_part_split_off(session):
    session.add_prompts(click(0, 1, FAST))
    run(session, last=5)
    painted = MaskPrompt(3, 1, pixels(session.masklets[1][3]))
    session.add_prompts(painted)
    session.segment(3, 1)
    new_id = session.split(1, 2)
    assert session.prompts[new_id, 3].mask == painted.of_object(new_id)
    session.swap(1, new_id, 3)
    assert session.prompts[1, 3].mask == painted


# --- several at once ---


@pytest.fixture
def three(session):
    """Three objects, two of them on one disc, followed to frame 9."""
    session.add_prompts(click(0, 1, FAST), click(0, 2, STILL), click(0, 3, STILL, 3))
    run(session, last=9)
    return session


def test_an_object_is_absent_on_one_frame_whatever_is_propagated(session):
    session.add_prompts(click(0, 1, STILL))
    run(session, last=9)
    session.mark_absent(1, 4)
    assert session.masklets[1].absent == session.approved(1) == (4,)
    assert session.history.undo_name == "absence of object 1"
    assert [result.frame for result in session.update()] == [5, 6, 7], "as far as it changes anything, and not back"
    run(session, "both", last=9)
    assert set(discs(session, 1)) == {*range(10)} - {4} and session.masklets[1].absent == (4,)
    session.disapprove(1, 4)
    run(session, first=4, last=4)
    assert discs(session, 1)[4] == STILL


def test_prompts_on_the_frame_go_and_those_elsewhere_count(session):
    session.add_prompts(click(0, 1, STILL), click(4, 1, STILL))
    run(session, last=9)
    session.mark_absent(1, 4)
    assert set(session.prompts) == {(1, 0)} and session.masklets[1].absent == (4,)
    session.add_prompts(click(4, 1, STILL))
    session.segment(4, 1)
    assert session.approved(1) == () and discs(session, 1)[4] == STILL


def test_without_its_only_prompt_an_object_has_its_last_mask_for_one(session):
    session.add_prompts(click(0, 1, STILL))
    run(session, last=5)
    session.mark_absent(1, 0)
    assert list(session.prompts) == [(1, 5)] and session.prompts[1, 5].mask is not None
    run(session, "both", last=9)
    assert set(discs(session, 1)) == {*range(1, 10)}


@pytest.mark.parametrize(
    ("object_id", "frame", "problem"),
    [
        (1, 0, "object 1 has neither mask nor prompt on another frame than 0, .*: remove it"),
        (2, 0, "there is no object 2"),
        (1, -1, "no frame -1: name one of 0 to"),
        (1, 10**6, "no frame 1000000: name one of 0 to"),
    ],
)
def test_an_absence_that_makes_no_sense_is_refused_and_changes_nothing(session, object_id, frame, problem):
    session.add_prompts(click(0, 1, STILL))
    session.segment(0, 1)
    before = known(session)
    with pytest.raises(PromptError, match=problem):
        session.mark_absent(object_id, frame)
    assert known(session) == before


def test_several_edits_are_one_step(three):
    before = known(three)
    with three.one_step("merge"):
        three.merge(1, 2)
        three.merge(1, 3)
    after = known(three)
    assert tuple(three.objects) == (1,)
    assert three.undo() == "merge of objects 1, 2 and 3"
    assert known(three) == before
    three.redo()
    assert known(three) == after
    three.undo()
    with three.one_step():
        three.end(1, 4)
        three.remove_object(2)
        three.rename(3, "bud")
    assert three.undo() == "edits of objects 1, 2 and 3"
    assert known(three) == before


@pytest.mark.parametrize("history_bytes", [10**8, 0])
def test_of_several_edits_all_are_done_or_none(toy, history_bytes, tmp_path):
    session = begin(toy, tmp_path / "s.sam2", history_bytes=history_bytes)
    session.add_prompts(click(0, 1, FAST), click(0, 2, STILL), click(4, 3, STILL))
    run(session, last=9)
    session.close()
    session = again(toy, tmp_path / "s.sam2", history_bytes=history_bytes)
    before, masks = known(session), stored(session)
    with pytest.raises(PromptError, match="object 3 has neither mask nor prompt before frame 3"), session.one_step():
        session.remove_object(2)
        session.rename(1, "mother")
        session.end(1, 3)
        session.end(3, 3)
    assert known(session) == before
    assert not session.can_undo
    session.close()
    session = again(toy, tmp_path / "s.sam2")
    assert stored(session) == masks
    session.close()


def test_edits_touch_only_what_they_change(three):
    touched = set()

    class Log:
        def touching(self, known, frames):
            touched.update((known.object_id, t) for t in frames)

        def begin(self, step):
            touched.clear()

        def removing(self, known):
            self.touching(known, known.frames)

        def end(self, step): ...
        def close(self): ...

    three.logs.add(Log())
    new = three.split(1, 7)
    assert touched == {(1, 7), (1, 8), (1, 9), (new, 7), (new, 8), (new, 9)}
    three.swap(2, 3, 8)
    assert touched == {(2, 8), (2, 9), (3, 8), (3, 9)}
    three.end(1, 5)
    assert touched == {(1, 5), (1, 6)}
