"""Segment everything: the controller with a session without a model, and the button with a viewer."""

import time
from collections.abc import Iterator

import numpy as np
import pytest

from napari_sam2.cleaning import Cleaning
from napari_sam2.layers.prompt_reader import prompt_defaults
from napari_sam2.settings import EverythingSettings
from napari_sam2.widget import edits
from napari_sam2.widget.answers import PropagationRequest, SearchRequest
from napari_sam2.widget.finder import NOTHING_FOUND
from widget.conftest import Desk
from widget.test_controller import Bench

CELLS = [(10, 10), (10, 40), (30, 20)]
HERE = SearchRequest(3, EverythingSettings())


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench(cells=CELLS)
    yield bench
    bench.controller.close()


@pytest.fixture
def paused() -> Iterator[Bench]:
    bench = Bench(paused=True, cells=CELLS)
    yield bench
    bench.runner.paused = False
    bench.controller.close()


def point_ids(bench: Bench) -> list[int]:
    return [int(i) for i in bench.points.features["object_id"]]


def shown(bench: Bench, frame: int) -> set[int]:
    return set(np.unique(bench.frame(frame)).tolist()) - {0}


def test_what_is_found_becomes_points_masks_and_objects(bench: Bench) -> None:
    told: list[tuple[int, ...]] = []
    bench.controller.found.connect(told.append)
    bench.controller.segment_everything(HERE)
    assert shown(bench, 3) == {1, 2, 3}
    assert (bench.frame(3) == 2).sum() == 25, "the mask found, and not the disc that a click would give"
    assert bench.controller.object_ids == (1, 2, 3)
    np.testing.assert_allclose(bench.points.data, [(3, y, x) for y, x in CELLS])
    assert point_ids(bench) == [1, 2, 3]
    assert told == [(1, 2, 3)]
    assert bench.session.asked == [], "no click was answered"
    assert bench.progress[:4] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert bench.controller.state == "idle"
    assert bench.errors == bench.notes == []


def test_clicked_cells_are_left_alone_and_ids_go_on(bench: Bench) -> None:
    bench.click(3, *CELLS[0], object_id=6)
    before = bench.frame(3) == 6
    bench.controller.segment_everything(HERE)
    assert shown(bench, 3) == {6, 7, 8}
    assert np.array_equal(bench.frame(3) == 6, before)
    assert point_ids(bench) == [6, 7, 8]
    bench.controller.segment_everything(HERE)
    assert point_ids(bench) == [6, 7, 8]
    assert bench.notes == [NOTHING_FOUND]


def test_clicks_that_wait_are_answered_first(paused: Bench) -> None:
    paused.click(3, *CELLS[0], object_id=1)
    paused.controller.segment_everything(HERE)
    paused.runner.finish()
    assert shown(paused, 3) == {1, 2, 3}
    assert paused.session.asked == [(3, 1)]


def test_found_objects_are_propagated(bench: Bench) -> None:
    bench.controller.segment_everything(HERE)
    bench.controller.propagate(PropagationRequest("forward"))
    assert shown(bench, 7) == {1, 2, 3}
    assert shown(bench, 2) == set()


def test_a_propagation_may_be_asked_for_meanwhile(paused: Bench) -> None:
    paused.click(0, 30, 50, object_id=1)
    paused.runner.finish()
    paused.controller.segment_everything(HERE)
    paused.runner.step()
    paused.controller.propagate(PropagationRequest("forward"))
    paused.runner.finish()
    assert shown(paused, 7) == {1, 2, 3, 4}


def test_removed_in_one_go(bench: Bench) -> None:
    bench.click(3, 30, 50, object_id=1)
    bench.controller.segment_everything(HERE)
    bench.controller.propagate(PropagationRequest("both"))
    bench.controller.edit(edits.remove([2, 3, 4]))
    assert point_ids(bench) == [1]
    assert all(shown(bench, t) == {1} for t in range(8))
    assert set(bench.session.masklets) == {1}
    assert bench.controller.object_ids == (1,)
    bench.controller.segment_everything(HERE)
    assert point_ids(bench) == [1, 5, 6, 7], "an ID is never used again"


def test_points_removed_by_hand_take_their_masks_along(bench: Bench) -> None:
    bench.controller.segment_everything(HERE)
    bench.points.selected_data = {0, 2}
    bench.points.remove_selected()
    assert shown(bench, 3) == {2}
    assert bench.controller.object_ids == (2,)


def test_another_click_refines_a_found_object(bench: Bench) -> None:
    bench.controller.segment_everything(HERE)
    bench.click(3, 12, 42, object_id=2)
    assert bench.session.asked == [(3, 2)]
    assert (bench.frame(3) == 2).sum() > 25


def test_canceled_while_searching(paused: Bench) -> None:
    paused.controller.segment_everything(HERE)
    paused.runner.step()
    assert paused.controller.state == "searching"
    paused.controller.cancel()
    assert paused.controller.state == "idle"
    assert point_ids(paused) == []
    paused.controller.segment_everything(HERE)
    paused.runner.finish()
    assert shown(paused, 3) == {1, 2, 3}


def test_canceled_while_masks_are_taken_over(paused: Bench) -> None:
    paused.controller.segment_everything(HERE)
    while not point_ids(paused):
        paused.runner.step()
    paused.runner.step()  # ends the search
    paused.runner.step()  # the first mask
    paused.controller.cancel()
    paused.runner.finish()
    assert point_ids(paused) == []
    assert shown(paused, 3) == set()
    assert paused.session.prompts == paused.session.masklets == {}
    assert paused.controller.state == "idle"


def test_an_error_while_masks_are_taken_over_leaves_nothing_behind() -> None:
    def fail(object_id: int) -> None:
        if object_id == 2:
            raise RuntimeError("no more memory")

    bench = Bench(cells=CELLS, before_accept=fail)
    bench.controller.segment_everything(HERE)
    assert len(bench.errors) == 1
    assert point_ids(bench) == []
    assert shown(bench, 3) == set()
    assert bench.session.prompts == bench.session.masklets == {}
    bench.controller.close()


def test_an_error_while_searching() -> None:
    def fail(done: int) -> None:
        raise RuntimeError("no more memory")

    bench = Bench(cells=CELLS, before_point=fail)
    bench.controller.segment_everything(HERE)
    assert "no more memory" in str(bench.errors[0])
    assert bench.controller.state == "idle"
    bench.click(3, 30, 50)
    assert shown(bench, 3) == {1}
    bench.controller.close()


def test_a_point_moved_before_its_mask_was_taken_over_is_a_click(paused: Bench) -> None:
    paused.controller.segment_everything(HERE)
    while not point_ids(paused):
        paused.runner.step()
    data = paused.points.data.copy()
    data[1] = (3, 25, 50)
    paused.points.data = data
    paused.runner.finish()
    assert paused.session.asked == [(3, 2)]
    assert paused.frame(3)[25, 50] == 2
    assert (paused.frame(3) == 1).sum() == 25
    assert paused.frame(3)[10, 40] == 0


def test_one_thing_at_a_time(paused: Bench) -> None:
    paused.click(3, 30, 50, object_id=1)
    paused.runner.finish()
    paused.controller.propagate(PropagationRequest("forward"))
    paused.controller.segment_everything(HERE)
    paused.controller.edit(edits.remove([1]))
    assert "Masks are being made" in paused.notes[0]
    assert "wait for the end" in paused.notes[1]
    assert point_ids(paused) == [1]
    paused.runner.finish()


def test_without_a_prompt_layer_nothing_is_added(paused: Bench) -> None:
    paused.controller.segment_everything(HERE)
    paused.runner.step()
    paused.controller.prompts.unwatch()
    paused.runner.finish()
    assert point_ids(paused) == []
    assert paused.controller.state == "idle"


def test_cleaning_reaches_the_session_and_shows_clicks_anew(bench: Bench) -> None:
    bench.controller.set_cleaning(Cleaning(fill_holes=4))
    bench.click(3, *CELLS[0])
    assert bench.session.cleaning == Cleaning(fill_holes=4)
    bench.controller.set_cleaning(Cleaning(remove_pieces=9))
    assert bench.session.cleaning == Cleaning(remove_pieces=9)
    assert bench.session.asked == [(3, 1)] * 2


# With a viewer.


@pytest.fixture
def filled(desk: Desk) -> Desk:
    desk.hooks["cells"] = [(10, 10), (40, 40)]
    return desk


def test_the_button_finds_the_cells_of_the_frame_on_screen(filled: Desk) -> None:
    form = filled.widget.form
    filled.go_to(4)
    form.quality.setValue(0.65)
    filled.click(form.everything)
    filled.wait_idle()
    assert set(np.unique(filled.frame(4))) == {0, 1, 2}
    assert filled.session.qualities == [0.65]
    assert form.objects.selected_objects() == [1, 2]
    assert "2 cells found" in form.status.text()
    filled.click(form.objects.remove)
    filled.wait_idle()
    assert not filled.frame(4).any()
    assert form.objects.table.objects.object_ids == []
    assert len(filled.widget.controller.prompts.points.data) == 0


def test_clicks_go_on_as_before(filled: Desk) -> None:
    """Points that the plugin adds change neither the object that clicks are about nor their polarity."""
    tool = filled.widget._movie.tool
    tool.object_id = 5
    tool.positive = False
    filled.click(filled.widget.form.everything)
    filled.wait_idle()
    points = filled.widget.controller.prompts.points
    expected = prompt_defaults(5, positive=False)
    assert points.feature_defaults.to_dict("list") == expected.to_dict("list")
    assert list(points.features["polarity"]) == ["positive"] * 2
    assert points.selected_data == set()


def test_it_can_be_canceled(filled: Desk) -> None:
    filled.hooks["before_point"] = lambda done: time.sleep(0.3)
    filled.click(filled.widget.form.everything)
    filled.qtbot.waitUntil(lambda: filled.widget.controller.state == "searching", timeout=5000)
    filled.settle()
    assert filled.widget.form.cancel.isEnabled()
    assert not filled.widget.form.everything.isEnabled()
    filled.click(filled.widget.form.cancel)
    filled.wait_idle()
    assert not filled.frame(0).any()
    assert filled.widget.form.everything.isEnabled()


def test_a_removed_prompt_layer_comes_back(filled: Desk) -> None:
    filled.viewer.layers.remove(filled.widget.controller.prompts.points)
    filled.settle()
    filled.click(filled.widget.form.everything)
    filled.wait_idle()
    assert len(filled.widget.controller.prompts.points.data) == 2
    assert set(np.unique(filled.frame(0))) == {0, 1, 2}


def test_cleaning_controls_come_from_the_settings(filled: Desk) -> None:
    form = filled.widget.form.cleaning
    assert form.cleaning == Cleaning()
    filled.click(filled.widget.form.everything)
    filled.wait_idle()
    form.controls["fill_holes"].setValue(12)
    form.controls["separate"].setChecked(False)
    filled.wait_idle()
    assert filled.session.cleaning == Cleaning(fill_holes=12, separate=False)
    assert set(np.unique(filled.frame(0))) == {0, 1, 2}
