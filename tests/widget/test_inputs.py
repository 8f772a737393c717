"""Images of more axes than a movie, and labels layers as prompts, with real clicks."""

import threading
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr
from qtpy.QtCore import Qt

from napari_sam2.input_choice import InputChoice
from napari_sam2.layers import chosen_input
from napari_sam2.layers.chosen_input import as_video
from widget.conftest import PLACED, Desk
from widget.fakes import FakeSession

PLACED_4D = {
    "scale": (60.0, 2.0, 0.5, 0.5),
    "translate": (120.0, 7.0, 10.0, -5.0),
    "units": ("s", "um", "um", "um"),
    "axis_labels": ("t", "z", "y", "x"),
}
STACK = (6, 5, 64, 64)


def stack(shape: tuple[int, ...] = STACK) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)


@pytest.fixture
def deep_desk(empty_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Return a viewer with the widget; a session has the shape of the movie that was chosen."""

    def open_session(image: Any, model: str, **_: Any) -> FakeSession:
        video = as_video(image)
        empty_desk.sessions.append(FakeSession((video.num_frames, *video.shape_yx), **empty_desk.hooks))
        return empty_desk.sessions[-1]

    monkeypatch.setattr("napari_sam2.widget.session_choices.open_layer_session", open_session)
    return empty_desk


def begin(desk: Desk, data: Any, step: tuple[int, ...], **placed: Any) -> Any:
    image = desk.viewer.add_image(data, name="stack", **placed)
    desk.viewer.dims.set_current_step(tuple(range(len(step))), step)
    desk.dock()
    desk.settle(20)
    return image


def masks(desk: Desk) -> Any:
    return desk.viewer.layers["masks"]


def shows(desk: Desk, plane: int) -> bool:
    """Whether the masks are drawn while a plane or channel is on screen."""
    layer = masks(desk)
    desk.viewer.dims.set_current_step(1, plane)
    layer.visible = True
    desk.qtbot.waitUntil(lambda: layer.loaded)
    desk.settle()
    with_masks = desk.viewer.screenshot(canvas_only=True, flash=False)
    layer.visible = False
    desk.settle()
    without = desk.viewer.screenshot(canvas_only=True, flash=False)
    layer.visible = True
    return not np.array_equal(with_masks, without)


def test_movies_are_not_asked_about(desk: Desk) -> None:
    assert not desk.widget.form.input.isVisible()
    assert desk.widget.controller is not None


@pytest.mark.async_slicing
def test_row13_a_click_on_a_plane_marks_that_plane_only(deep_desk: Desk) -> None:
    desk = deep_desk
    image = begin(desk, stack(), (2, 3), **PLACED_4D)
    form = desk.widget.form
    assert form.input.isVisible() and desk.widget.controller is None
    assert form.input.choice() == InputChoice("TZYX", plane=3)
    assert "choose under 'Input'" in form.hint.text() and form.image.value is not None
    desk.click(form.input.use)
    desk.click_canvas(image, 20, 40)
    desk.wait_idle()
    points = desk.viewer.layers["point_prompts"]
    (t, z, y, x) = points.data[0]
    assert (t, z) == (2, 0) and (y, x) == (pytest.approx(20, abs=1), pytest.approx(40, abs=1))
    assert [(p.frame, p.object_id) for g in desk.session.prompts.values() for p in g.points] == [(2, 1)]
    assert desk.frame(2)[20, 40] == 1 and desk.frame(1).max() == 0
    # The masks lie on plane 3 of the image: they are seen there, and nowhere else.
    assert masks(desk).data.shape == (6, 1, 64, 64)
    assert [shows(desk, plane) for plane in range(5)] == [False, False, False, True, False]
    np.testing.assert_allclose(masks(desk).data_to_world((5, 0, 63, 63)), image.data_to_world((5, 3, 63, 63)))
    assert masks(desk).units == image.units and masks(desk).axis_labels == image.axis_labels
    assert not desk.notes()


def test_row15_a_click_on_another_plane_is_refused_with_one_note(deep_desk: Desk) -> None:
    desk = deep_desk
    image = begin(desk, stack(), (2, 3), **PLACED_4D)
    desk.click(desk.widget.form.input.use)
    desk.viewer.dims.set_current_step(1, 1)
    desk.settle()
    desk.click_canvas(image, 20, 40)
    desk.settle()
    assert len(desk.viewer.layers["point_prompts"].data) == 0
    assert len([note for note in desk.notes() if "on another plane" in note]) == 1


@pytest.mark.async_slicing
def test_row13_masks_of_a_projection_are_seen_on_every_plane(deep_desk: Desk) -> None:
    desk = deep_desk
    image = begin(desk, stack(), (2, 4), **PLACED_4D)
    form = desk.widget.form
    form.input.way.setCurrentText("Brightest of all planes")
    assert not form.input.plane.isVisible()
    desk.click(form.input.use)
    desk.click_canvas(image, 20, 40)
    desk.wait_idle()
    assert [shows(desk, plane) for plane in range(5)] == [True] * 5
    np.testing.assert_allclose(masks(desk).data_to_world((0, -0.5, 0, 0)), image.data_to_world((0, -0.5, 0, 0)))
    np.testing.assert_allclose(masks(desk).data_to_world((0, 0.5, 0, 0)), image.data_to_world((0, 4.5, 0, 0)))
    desk.viewer.dims.set_current_step(1, 0)
    desk.click_canvas(image, 50, 10)
    desk.wait_idle()
    assert desk.viewer.layers["point_prompts"].data[:, 1].tolist() == [0, 0]
    assert not desk.notes()


def test_row12_channels_are_chosen_and_masks_are_seen_on_all(deep_desk: Desk) -> None:
    desk = deep_desk
    image = begin(desk, da.from_array(stack((6, 2, 64, 64)), chunks=(1, 1, 64, 64)), (1, 1))
    channels = desk.widget.form.input.channels
    assert channels.item(1).checkState() == Qt.CheckState.Checked
    assert channels.item(0).checkState() == Qt.CheckState.Unchecked
    channels.item(0).setCheckState(Qt.CheckState.Checked)
    desk.click(desk.widget.form.input.use)
    assert chosen_input(image) == InputChoice("TCYX", channels=(0, 1))
    assert as_video(image).rgb
    desk.click_canvas(image, 20, 40)
    desk.wait_idle()
    assert [shows(desk, channel) for channel in (0, 1)] == [True, True]
    desk.click(desk.widget.form.propagate)
    desk.wait_idle()
    assert [bool(desk.frame(t).any()) for t in range(6)] == [False, True, True, True, True, True]
    assert desk.viewer.dims.current_step[0] == 5 and not desk.notes()


def test_row12_color_with_planes_and_time_second(deep_desk: Desk) -> None:
    desk = deep_desk
    image = begin(desk, stack((5, 6, 64, 64, 3)), (3, 2), rgb=True)
    roles = desk.widget.form.input.roles
    roles[0].setCurrentIndex(1)
    roles[1].setCurrentIndex(0)
    desk.widget.form.input.plane.setValue(3)
    desk.click(desk.widget.form.input.use)
    assert chosen_input(image) == InputChoice("ZTYX", plane=3)
    desk.click_canvas(image, 20, 40)
    desk.wait_idle()
    assert masks(desk).data.shape == (1, 6, 64, 64)
    assert desk.frame(2)[20, 40] == 1
    layer = masks(desk)
    layer.data_setitem((np.array([0, 0]), np.array([2, 2]), np.array([60, 61]), np.array([60, 60])), 9)
    assert [(p.object_id, p.frame) for p in desk.widget.controller.masks.mask_prompts()] == [(9, 2)]


def test_row03_another_plane_is_another_session(deep_desk: Desk) -> None:
    desk = deep_desk
    image = begin(desk, stack(), (0, 3), **PLACED_4D)
    form = desk.widget.form
    desk.click(form.input.use)
    desk.click_canvas(image, 20, 40)
    desk.wait_idle()
    first = desk.widget.controller
    form.input.plane.setValue(1)
    desk.click(form.input.use)
    assert desk.widget.controller is not first and desk.viewer.dims.current_step[1] == 1
    desk.click_canvas(image, 40, 20)
    desk.wait_idle()
    assert desk.frame(0)[40, 20] == 1 and desk.frame(0)[20, 40] == 0
    assert len(desk.sessions) == 2


def test_choices_that_do_not_fit_are_told_of(deep_desk: Desk) -> None:
    desk = deep_desk
    begin(desk, stack(), (0, 3), **PLACED_4D)
    desk.widget.form.input.roles[0].setCurrentIndex(1)
    desk.click(desk.widget.form.input.use)
    assert any("expected T, Y and X" in note for note in desk.notes())
    assert desk.widget.controller is None


def next_desk(desk: Desk, make_napari_viewer: Any) -> Desk:
    """Return another viewer, after the first has let go of its session."""
    desk.leave()
    desk.viewer.close()
    desk.settle()
    other = Desk(make_napari_viewer(show=True), desk.qtbot)
    other.settle()
    return other


@pytest.mark.parametrize("way", ["folder", "button"])
def test_row35_a_stored_session_comes_back_on_its_plane(
    bare_desk: Desk, tmp_path: Path, make_napari_viewer: Any, way: str
) -> None:
    data = np.zeros(STACK, np.uint8)
    data[:, 2, 10:30, 30:50] = 255
    path = tmp_path / "deep.tif"
    tifffile.imwrite(path, data, metadata={"axes": "TZYX"}, photometric="minisblack")

    def show(desk: Desk, plane: int) -> None:
        desk.viewer.open(str(path), plugin="napari")
        desk.viewer.dims.set_current_step(0, 0)
        desk.dock()
        desk.widget.form.input.plane.setValue(plane)
        desk.click(desk.widget.form.input.use)

    show(bare_desk, 2)
    bare_desk.click_canvas(bare_desk.viewer.layers["deep"], 20, 40)
    bare_desk.wait_idle()
    saving = bare_desk.widget._movie.saved.saving
    found = bare_desk.frame(0).copy()
    assert found.any()
    desk = next_desk(bare_desk, make_napari_viewer)
    if way == "folder":
        (image,) = desk.viewer.open(str(saving.folder), plugin="napari-sam2")
        assert image.data.shape == STACK and chosen_input(image).plane == 2
        np.testing.assert_array_equal(np.asarray(image.data), data)
        desk.dock()
    else:
        show(desk, 4)
        desk.click(desk.widget.form.saved.button)
    desk.wait_idle()
    assert desk.widget.session.prompts and desk.widget.session.video.choice.plane == 2
    np.testing.assert_array_equal(desk.frame(0), found)
    # What the layers say is what the session knows: nothing is asked anew.
    assert desk.widget.session.set_prompts(desk.widget.controller.prompts.usable()[0]) == set()
    desk.leave()


def test_row12_the_full_resolution_of_a_pyramid_is_tracked(empty_desk: Desk) -> None:
    data = stack((12, 64, 64))
    image = empty_desk.viewer.add_image([data, data[:, ::2, ::2]], name="movie", multiscale=True)
    assert as_video(image).shape_yx == (64, 64)


@pytest.mark.async_slicing
def test_row24_only_the_frame_on_screen_is_drawn_anew(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.click_canvas(desk.viewer.layers["movie"], 20, 40)
    desk.wait_idle()
    desk.widget.form.follow.setChecked(False)
    drawn: list[int] = []
    refresh = masks(desk).refresh
    monkeypatch.setattr(masks(desk), "refresh", lambda *a, **k: drawn.append(1) or refresh(*a, **k))
    desk.click(desk.widget.form.propagate)
    desk.wait_idle()
    assert desk.frame(11).any() and len(drawn) == 1


def test_row07_cancel_is_acknowledged_at_once(desk: Desk) -> None:
    gate = threading.Event()
    desk.hooks["before_frame"] = lambda frame: gate.wait(20) if frame == 2 else None
    desk.click_canvas(desk.viewer.layers["movie"], 20, 40)
    desk.wait_idle()
    desk.click(desk.widget.form.propagate)
    desk.qtbot.waitUntil(lambda: desk.frame(1).any(), timeout=10_000)
    desk.click(desk.widget.form.cancel)
    assert desk.widget.controller.state == "stopping" and "Stopping" in desk.widget.form.status.text()
    gate.set()
    desk.wait_idle()
    assert desk.frame(1).any() and not desk.frame(5).any()


def labels_layer(desk: Desk, **kwargs: Any) -> Any:
    labels = np.zeros((64, 64), np.int32)
    labels[10:20, 10:20], labels[30:40, 30:45] = 1, 7
    placed = {name: value[1:] for name, value in PLACED.items()}
    layer = desk.viewer.add_labels(labels, name="cellpose", **placed, **kwargs)
    desk.widget.form.labels.layer.value = layer
    return layer


@pytest.mark.async_slicing
def test_row28_labels_become_objects_with_their_ids_on_the_frame_on_screen(desk: Desk) -> None:
    layer = labels_layer(desk)
    desk.go_to(4)
    desk.click(desk.widget.form.labels.use)
    desk.wait_idle()
    np.testing.assert_array_equal(desk.frame(4), layer.data)
    assert desk.widget.controller.object_ids == (1, 7)
    assert desk.widget.form.objects.selected_objects() == [1, 7]
    assert "2 labels used" in desk.widget.form.status.text()
    assert not desk.notes()
    desk.click(desk.widget.form.propagate)
    desk.wait_idle()
    np.testing.assert_array_equal(desk.frame(11), layer.data)


def test_row42_labels_whose_ids_are_in_use_are_renumbered_and_that_is_said(desk: Desk) -> None:
    desk.click_canvas(desk.viewer.layers["movie"], 50, 50)
    desk.wait_idle()
    labels_layer(desk)
    desk.click(desk.widget.form.labels.use)
    desk.wait_idle()
    assert desk.widget.controller.object_ids == (1, 7, 8)
    assert desk.frame(0)[50, 50] == 1 and desk.frame(0)[15, 15] == 8
    assert any("1 of the 2 objects of 'cellpose' have new IDs" in note for note in desk.notes())


def stored_as(kind: str, data: np.ndarray) -> Any:
    """The labels in an array of some library."""
    if kind == "dask":
        return da.from_array(data)
    if kind == "zarr":
        return zarr.array(data)
    if kind == "tensorstore":
        return pytest.importorskip("tensorstore").array(data)
    return [data, data[:, ::2, ::2]] if kind == "pyramid" else data


@pytest.mark.parametrize("made", ["movie", "dask", "zarr", "tensorstore", "pyramid", "wrong"])
def test_row28_labels_layers_of_any_kind_are_read_only(desk: Desk, made: str) -> None:
    data = np.zeros((12, 64, 64), np.uint16)
    data[3, 5:9, 5:9] = 4
    if made == "wrong":
        data = data[:, :32]
    layer = desk.viewer.add_labels(stored_as(made, data), name="before", **PLACED)
    desk.widget.form.labels.layer.value = layer
    desk.go_to(3)
    desk.click(desk.widget.form.labels.use)
    desk.wait_idle()
    if made == "wrong":
        assert any("choose labels of this movie" in note for note in desk.notes())
    else:
        assert desk.widget.controller.object_ids == (4,)
        np.testing.assert_array_equal(desk.frame(3), data[3])
        desk.click(desk.widget.form.propagate)
        desk.wait_idle()
        np.testing.assert_array_equal(desk.frame(11), data[3])
    np.testing.assert_array_equal(np.asarray(layer.data[0] if made == "pyramid" else layer.data), data)


def test_labels_need_a_layer_with_objects(desk: Desk) -> None:
    desk.click(desk.widget.form.labels.use)
    assert any("Choose a layer of labels first" in note for note in desk.notes())
    layer = labels_layer(desk)
    layer.data = np.zeros_like(layer.data)
    desk.click(desk.widget.form.labels.use)
    assert any("no object of at least 1 pixels" in note for note in desk.notes())


def test_row05_an_error_leaves_no_half_made_objects(desk: Desk) -> None:
    def fail(frame: int, object_id: int) -> None:
        if object_id == 7:
            raise RuntimeError("the network is gone")

    desk.hooks["before_segment"] = fail
    labels_layer(desk)
    desk.click(desk.widget.form.labels.use)
    desk.wait_idle()
    assert any("the network is gone" in note for note in desk.notes())
    assert not desk.widget.controller.prompts.groups
