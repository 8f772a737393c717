"""The layers follow the session, whoever changes it: undo, redo, edits of objects, the console."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from napari_sam2.cleaning import Cleaning
from napari_sam2.errors import SessionError
from napari_sam2.layers import read_frame
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt
from napari_sam2.widget import edits
from napari_sam2.widget.answers import PropagationRequest
from toy_model import ToyModel
from toy_scene import FAST, STILL, STILL_YX, click, truth
from widget.toy_desk import NUM_FRAMES, ToyBench

FORWARD = PropagationRequest("forward")


@pytest.fixture
def bench(toy: ToyModel) -> Iterator[ToyBench]:
    bench = ToyBench(toy)
    yield bench
    bench.check()
    bench.controller.close()


@pytest.fixture
def tracked(bench: ToyBench) -> ToyBench:
    """Two objects that were followed to the end, and corrected once."""
    bench.click(0, 1, STILL)
    bench.click(0, 2, FAST)
    bench.controller.propagate(FORWARD)
    bench.click(4, 2, FAST)
    return bench


def test_row18_undo_takes_a_click_out_of_the_layer_and_redo_puts_it_back(bench: ToyBench) -> None:
    bench.click(0, 1, STILL)
    bench.click(2, 1, STILL, positive=False)
    mask, features = bench.frames(), bench.points.features.copy()
    bench.controller.edit(edits.undo())
    assert bench.points.data.tolist() == [[0, *STILL_YX]]
    bench.check()
    bench.controller.edit(edits.undo())
    assert len(bench.points.data) == 0 and not bench.frames().any()
    bench.controller.edit(edits.redo())
    bench.controller.edit(edits.redo())
    np.testing.assert_array_equal(bench.frames(), mask)
    assert bench.points.features["polarity"].tolist() == features["polarity"].tolist()
    assert "Done again: click on object 1." in bench.said
    assert bench.controller.steps == ("click on object 1", None)


def test_row18_what_the_plugin_writes_into_the_layers_is_no_click(tracked: ToyBench, toy: ToyModel) -> None:
    asked, states = len(toy.asked), []
    tracked.controller.state_changed.connect(states.append)
    tracked.controller.edit(edits.undo())
    tracked.controller.edit(edits.redo())
    assert len(toy.asked) == asked and "editing" in states and "segmenting" not in states
    assert tracked.session.can_undo and not tracked.session.can_redo


def test_row26_a_click_that_is_undone_does_not_overrule_a_stroke_after_it(tracked: ToyBench) -> None:
    tracked.labels.brush_size = 4
    tracked.labels.paint((4, 20, 20), 2)
    tracked.session.undo()
    assert (2, 4) not in tracked.session.prompts and tracked.frames()[4, 20, 20] == 2
    tracked.controller.propagate(FORWARD)
    assert tracked.session.prompts[2, 4].mask.mask[20, 20]


def test_row25_undo_of_a_propagation_restores_all_frames(bench: ToyBench) -> None:
    bench.click(0, 1, STILL)
    before = bench.frames()
    bench.controller.propagate(FORWARD)
    after = bench.frames()
    assert not np.array_equal(before, after)
    assert bench.controller.steps[0] == "propagation"
    bench.controller.edit(edits.undo())
    np.testing.assert_array_equal(bench.frames(), before)
    bench.controller.edit(edits.redo())
    np.testing.assert_array_equal(bench.frames(), after)


@pytest.mark.parametrize(
    "edit",
    [edits.merge([1, 2]), edits.split([1], 3), edits.swap(1, 2, 3), edits.end([2], 3), edits.remove([2])],
    ids=["merge", "split", "swap", "end", "remove"],
)
def test_row42_edits_of_objects_are_shown_and_can_be_undone(tracked: ToyBench, edit: edits.Edit) -> None:
    before, points, prompts = tracked.frames(), tracked.points.data.copy(), tracked.session.prompts
    tracked.controller.edit(edit)
    assert tracked.session.prompts != prompts
    tracked.check()
    after = tracked.frames()
    tracked.controller.edit(edits.undo())
    tracked.check()
    assert tracked.session.prompts == prompts
    np.testing.assert_array_equal(tracked.frames(), before)
    np.testing.assert_array_equal(np.sort(tracked.points.data, 0), np.sort(points, 0))
    tracked.controller.edit(edits.redo())
    np.testing.assert_array_equal(tracked.frames(), after)


def test_only_frames_that_were_touched_are_drawn_again(tracked: ToyBench) -> None:
    tracked.written.clear()
    tracked.controller.edit(edits.undo())
    assert tracked.written == [4], "the correction"
    tracked.written.clear()
    tracked.controller.edit(edits.rename(1, "mother"))
    assert not tracked.written


def test_mask_prompts_without_a_shape_are_kept_whatever_is_clicked_next(tracked: ToyBench) -> None:
    tracked.session.split(1, 3)
    mask = tracked.session.prompts[3, 3].mask
    assert mask is not None
    tracked.click(6, 3, STILL)
    assert tracked.session.prompts[3, 3].mask == mask
    tracked.controller.propagate(FORWARD)
    assert tracked.session.prompts[3, 3].mask == mask


def test_boxes_from_the_console_are_drawn_and_moved_as_if_drawn_by_hand(bench: ToyBench) -> None:
    bench.click(0, 1, STILL)
    y, x = STILL_YX
    bench.session.add_prompts(BoxPrompt(2, 5, y - 20, x - 20.25, y + 20, x + 20))
    assert bench.shapes is not None
    assert bench.shapes.shape_type == ["rectangle"] and bench.shapes.features["object_id"].tolist() == [5]
    bench.check()
    bench.shapes.data = [bench.shapes.data[0] + [0, 1, 0]]
    assert bench.session.prompts[5, 2].box == BoxPrompt(2, 5, y - 19, x - 20.25, y + 21, x + 20)


def test_numbers_that_a_layer_cannot_hold_stay_what_they_are(bench: ToyBench) -> None:
    bench.click(0, 1, STILL)
    bench.points.scale, bench.points.translate = (1, 0.3, 0.7), (0, 0.1, 3.3)
    bench.click(1, 1, STILL)
    box, point = BoxPrompt(2, 5, 170.1, 310.3, 210.7, 350.9), PointPrompt(3, 6, 190.123456789, 330.3)
    bench.session.add_prompts(box, point)
    bench.session.segment(2, 5)
    bench.check()
    assert bench.session.prompts[5, 2].box == box and bench.session.prompts[6, 3].points == (point,)


def test_an_outline_that_was_drawn_comes_back_as_it_was(bench: ToyBench) -> None:
    bench.click(0, 1, STILL)
    shapes = bench.make_shapes()
    corners = np.array([[3, 150, 300], [3, 150, 360], [3, 220, 360], [3, 200, 290]], float)
    shapes.feature_defaults = shapes.feature_defaults.assign(object_id=4)
    shapes.add(corners, shape_type="polygon")
    assert bench.session.prompts[4, 3].mask is not None
    bench.controller.edit(edits.undo())
    assert shapes.nshapes == 0 and (4, 3) not in bench.session.prompts
    bench.controller.edit(edits.redo())
    assert shapes.shape_type == ["polygon"] and shapes.features["object_id"].tolist() == [4]
    np.testing.assert_array_equal(shapes.data[0], corners)


def test_row26_a_stroke_is_undone_with_its_pixels_and_redone(tracked: ToyBench) -> None:
    before = tracked.frames()
    tracked.labels.brush_size = 10
    tracked.labels.paint((5, 20, 20), 7)
    tracked.controller.propagate(FORWARD)
    assert tracked.frames()[5, 20, 20] == 7 and tracked.session.prompts[7, 5].mask is not None
    tracked.controller.edit(edits.undo())
    tracked.controller.edit(edits.undo())
    assert (7, 5) not in tracked.session.prompts
    assert not (tracked.frames() == 7).any()
    tracked.labels.undo()
    np.testing.assert_array_equal(tracked.frames(), before)


def test_row26_a_stroke_that_the_session_was_not_told_of_survives_what_others_do(tracked: ToyBench) -> None:
    tracked.labels.brush_size = 4
    tracked.labels.paint((5, 20, 20), 1)
    tracked.session.undo()
    assert read_frame(tracked.labels, 5)[20, 20] == 1
    tracked.controller.propagate(FORWARD)
    assert tracked.session.prompts[1, 5].mask.mask[20, 20]


def test_row25_napari_undo_after_undo_of_the_session_writes_no_stale_pixels(tracked: ToyBench) -> None:
    tracked.labels.brush_size = 6
    tracked.labels.paint((0, 20, 20), 1)
    tracked.controller.edit(edits.undo())
    shown = tracked.frames()
    tracked.labels.undo()
    tracked.labels.redo()
    np.testing.assert_array_equal(tracked.frames(), shown)


def test_clicks_are_answered_before_an_edit_that_came_after_them(toy: ToyModel) -> None:
    bench = ToyBench(toy, paused=True)
    bench.click(0, 1, STILL)
    bench.runner.finish()
    bench.click(0, 2, FAST)
    bench.controller.edit(edits.undo())
    bench.runner.finish()
    assert bench.point_ids() == [1]
    bench.check()
    bench.controller.close()


def test_no_edit_while_masks_are_propagated(toy: ToyModel) -> None:
    bench = ToyBench(toy, paused=True)
    bench.click(0, 1, STILL)
    bench.runner.finish()
    bench.controller.propagate(FORWARD)
    bench.runner.step()  # the session is told of the prompts
    bench.runner.step()
    bench.controller.edit(edits.undo())
    assert "wait" in bench.notes[0] and bench.controller.steps == (None, None)
    with pytest.raises(SessionError, match="wait until it is done"):
        bench.session.remove_object(1)
    bench.runner.finish()
    assert bench.controller.steps[0] == "propagation"
    bench.check()
    bench.controller.close()


def test_an_edit_that_makes_no_sense_is_told_and_changes_nothing(tracked: ToyBench) -> None:
    before = tracked.frames()
    tracked.controller.edit(edits.split([1], 0))
    (error,) = tracked.errors
    assert "nothing to split off" in str(error)
    np.testing.assert_array_equal(tracked.frames(), before)
    tracked.errors.clear()
    tracked.controller.edit(edits.undo())


def test_undo_without_a_session_or_a_step_says_so(bench: ToyBench) -> None:
    bench.controller.edit(edits.undo())
    assert "nothing to edit yet" in bench.notes[0]
    bench.click(0, 1, STILL)
    bench.controller.edit(edits.undo())
    bench.controller.edit(edits.undo())
    assert "there is nothing to undo" in bench.said[-1]


CONSOLE: dict[str, Callable[[ToyBench], object]] = {
    "add_prompts": lambda b: b.session.add_prompts(PointPrompt(3, 9, *STILL_YX)),
    "set_prompts": lambda b: b.session.set_prompts([click(1, 2, FAST), MaskPrompt(2, 6, truth()[2] == STILL)]),
    "segment": lambda b: (b.session.add_prompts(click(3, 9, FAST)), b.session.segment(3, 9)),
    "propagate": lambda b: (b.session.add_prompts(click(5, 9, FAST)), list(b.session.propagate("both"))),
    "remove_object": lambda b: b.session.remove_object(2),
    "merge": lambda b: b.session.merge(1, 2),
    "split": lambda b: b.session.split(2, 4),
    "swap": lambda b: b.session.swap(1, 2, 3),
    "end": lambda b: b.session.end(1, 4),
    "undo": lambda b: b.session.undo(),
    "undo all and redo": lambda b: [b.session.undo() for _ in range(4)] and b.session.redo(),
    "two at once": lambda b: (b.session.merge(1, 2), b.session.undo(), b.session.end(2, 4)),
}


@pytest.mark.parametrize("what", CONSOLE)
def test_the_layers_show_what_the_console_did(tracked: ToyBench, what: str) -> None:
    before = tracked.session.prompts, tracked.frames()
    CONSOLE[what](tracked)
    tracked.check()
    assert tracked.session.prompts != before[0] or not np.array_equal(tracked.frames(), before[1])
    ids = {object_id for object_id, _ in tracked.session.prompts} | {*tracked.session.masklets}
    assert set(tracked.controller.object_ids) == ids == set(tracked.controller.objects.rows)


def test_cleaning_from_the_console_is_shown_and_stays(tracked: ToyBench) -> None:
    shown: list[Cleaning] = []
    tracked.controller.cleaned.connect(shown.append)
    tracked.session.cleaning = Cleaning(fill_holes=9)
    assert shown == [Cleaning(fill_holes=9)]
    tracked.click(5, 1, STILL)
    assert tracked.session.cleaning == Cleaning(fill_holes=9)


def test_rows_tell_of_each_object(tracked: ToyBench) -> None:
    tracked.controller.edit(edits.rename(2, "  fast  one "))
    tracked.controller.edit(edits.end([2], 5))
    tracked.click(0, 7, STILL)
    rows = tracked.controller.objects.rows
    assert (rows[1].num_frames, rows[1].first, rows[1].last, rows[1].state) == (8, 0, 7, "tracked")
    assert (rows[2].name, rows[2].num_frames, rows[2].last, rows[2].state) == ("fast one", 5, 4, "ended")
    assert (rows[7].num_frames, rows[7].state) == (1, "prompted")
    assert rows[1].worst == tracked.session.worst(1)


def test_an_edit_of_many_objects_is_one_step(tracked: ToyBench) -> None:
    tracked.click(2, 3, STILL)
    before = tracked.frames()
    for edit, name in (
        (edits.merge([1, 2, 3]), "merge of objects 1, 2 and 3"),
        (edits.end([1, 2, 3], 3), "end of objects 1, 2 and 3"),
        (edits.remove([1, 2, 3]), "removal of objects 1, 2 and 3"),
        (edits.split([1, 2], 3), "split of 4 objects"),
    ):
        tracked.controller.edit(edit)
        tracked.check()
        assert not np.array_equal(tracked.frames(), before)
        assert tracked.controller.steps[0] == name
        tracked.controller.edit(edits.undo())
        np.testing.assert_array_equal(tracked.frames(), before)


def test_of_an_edit_that_is_refused_for_one_object_nothing_is_done(tracked: ToyBench) -> None:
    tracked.click(4, 3, STILL)
    before, step = tracked.frames(), tracked.controller.steps
    tracked.controller.edit(edits.end([1, 2, 3], 3))
    assert "object 3 has neither mask nor prompt before frame 3" in str(tracked.errors.pop())
    np.testing.assert_array_equal(tracked.frames(), before)
    assert tracked.controller.steps == step


@pytest.mark.parametrize(
    ("edit", "frames"),
    [
        (edits.split([1], 6), {6, 7}),
        (edits.swap(1, 2, 5), {5, 6, 7}),
        (edits.end([1], 6), {6, 7}),
        (edits.merge([1, 3]), {2}),
        (edits.remove([3]), {2}),
        (edits.approve(1), set()),
        (edits.rename(1, "mother"), set()),
    ],
    ids=["split", "swap", "end", "merge", "remove", "approve", "rename"],
)
def test_only_frames_are_written_whose_pixels_an_edit_has_changed(
    tracked: ToyBench, edit: edits.Edit, frames: set[int]
) -> None:
    tracked.click(2, 3, STILL)
    tracked.written.clear()
    tracked.controller.edit(edit)
    assert set(tracked.written) == frames
    tracked.written.clear()
    tracked.controller.edit(edits.undo())
    assert set(tracked.written) == frames
    tracked.check()


def test_a_negative_click_before_the_first_prompt_corrects_what_is_there(bench: ToyBench) -> None:
    bench.click(5, 1, STILL)
    bench.controller.propagate(PropagationRequest("both"))
    bench.click(2, 1, STILL, positive=False)
    assert not bench.notes
    assert (1, 2) in bench.session.prompts
    bench.controller.edit(edits.undo())
    assert (1, 2) not in bench.session.prompts
    bench.click(2, 9, FAST, positive=False)
    assert "object 9 has only negative points on frame 2, where there is no mask to correct" in bench.notes[0]
    bench.points.selected_data = {len(bench.points.data) - 1}
    bench.points.remove_selected()


def test_an_edit_that_is_refused_while_frames_are_shown_leaves_none_as_it_was(bench: ToyBench) -> None:
    bench.click(0, 1, FAST)
    bench.controller.propagate(FORWARD)
    bench.runner.paused = True
    bench.controller.edit(edits.undo())
    while bench.controller.state != "showing":
        bench.runner.step()
    bench.runner.step()
    bench.controller.edit(edits.end([99], 3))
    bench.runner.paused = False
    bench.runner.finish()
    assert "99" in str(bench.errors.pop())
    bench.check()


def test_without_any_prompt_layer_undo_and_labels_do_what_they_should(tracked: ToyBench) -> None:
    tracked.controller.edit(edits.remove([2]))
    tracked.controller.prompts.unwatch(tracked.points)
    tracked.viewer.layers.remove(tracked.points)
    # The prompts of the other object went with the layer.
    for undone in ("prompts of object 1", "removal of object 2"):
        tracked.controller.edit(edits.undo())
        assert tracked.said[-1] == f"Undone: {undone}."
    assert set(tracked.session.masklets) == {1, 2}
    tracked.controller.use_masks([MaskPrompt(0, 3, truth()[0] == STILL)])
    assert set(tracked.session.masklets) == {1, 2, 3}
    tracked.check()


def test_an_id_is_in_use_by_masks_without_points_and_by_what_was_painted(tracked: ToyBench) -> None:
    tracked.points.selected_data = {0, 1}
    tracked.points.remove_selected()
    assert [tracked.controller.has_object(i) for i in (1, 2, 3)] == [True, True, False]
    tracked.labels.selected_label, tracked.labels.brush_size = 3, 10
    tracked.labels.mode = "paint"
    tracked.labels.paint((0, 40, 40), 3)
    assert tracked.controller.has_object(3)
    assert tracked.controller.next_object_id == 4
    tracked.controller.propagate(FORWARD)
    assert 3 in tracked.session.masklets


def test_row01_stored_masks_come_back_in_full_whatever_is_stopped_and_done_meanwhile(tracked: ToyBench) -> None:
    labels = tracked.labels
    tracked.viewer.layers.remove(labels)
    tracked.controller.labels_removed(labels)
    tracked.runner.paused = True
    tracked.click(3, 1, STILL)
    while tracked.controller.state != "showing":
        tracked.runner.step()
    for _ in range(3):
        tracked.runner.step()
    assert tracked.controller.state == "showing" and tracked.controller.can_edit
    tracked.controller.cancel()
    tracked.controller.edit(edits.rename(1, "fast one"))
    tracked.runner.paused = False
    tracked.runner.finish()
    tracked.check()
    assert tracked.session.names[1] == "fast one"


def test_row01_clicks_and_edits_that_wait_outlast_the_layer_of_masks(tracked: ToyBench) -> None:
    tracked.runner.paused = True
    tracked.click(3, 3, STILL)
    tracked.controller.edit(edits.rename(1, "fast one"))
    labels = tracked.labels
    tracked.viewer.layers.remove(labels)
    tracked.controller.labels_removed(labels)
    tracked.runner.paused = False
    tracked.runner.finish()
    assert 3 in tracked.session.masklets[3] and tracked.session.names[1] == "fast one"
    tracked.click(4, 3, STILL)
    tracked.check()


def test_layers_of_single_objects_may_be_asked_for_while_clicks_are_answered(tracked: ToyBench) -> None:
    tracked.runner.paused = True
    tracked.click(3, 1, STILL)
    tracked.controller.split([2])
    tracked.runner.paused = False
    tracked.runner.finish()
    assert not tracked.notes
    own = tracked.controller.masks.single[2].layer
    assert [set(np.unique(read_frame(own, t))) for t in range(NUM_FRAMES)] == [{0, 2}] * NUM_FRAMES
