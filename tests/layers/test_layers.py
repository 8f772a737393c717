"""Layers as values, without Qt: what is carried over, read and written."""

import gc
from pathlib import Path

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image, Points

from napari_sam2.errors import MovieError, PromptError
from napari_sam2.layers import (
    MaskLayers,
    add_clicks,
    create_labels_layer,
    create_prompt_layer,
    merge_labels,
    movie_shape,
    read_frame,
    read_prompts,
    replace_points,
    reset_undo,
    write_frame,
)
from napari_sam2.layers.prompt_reader import prompt_defaults
from napari_sam2.prompts import PointPrompt

PLACED = {
    "scale": (60.0, 0.5, 0.25),
    "translate": (120.0, 10.0, -5.0),
    "units": ("s", "um", "um"),
    "axis_labels": ("t", "y", "x"),
}


def image(**kwargs: object) -> Image:
    return Image(np.zeros((5, 40, 60), np.uint16), name="movie", **kwargs)


@pytest.mark.parametrize(
    "kwargs",
    [{}, PLACED, {**PLACED, "rotate": 20}, {**PLACED, "shear": [0.1, 0.0, 0.2]}, {"affine": np.diag([2, 3, 4, 1.0])}],
)
def test_row14_outputs_lie_exactly_over_the_image(kwargs: dict[str, object]) -> None:
    movie = image(**kwargs)
    labels, points = create_labels_layer(movie), create_prompt_layer(movie)
    np.testing.assert_allclose(labels.extent.world, movie.extent.world)
    for layer in (labels, points):
        assert layer.units == movie.units
        assert layer.axis_labels == movie.axis_labels
        np.testing.assert_allclose(layer.data_to_world((1, 2, 3)), movie.data_to_world((1, 2, 3)))


def test_color_movies_have_labels_of_three_axes() -> None:
    movie = Image(np.zeros((4, 20, 30, 3), np.uint8), rgb=True, **PLACED)
    assert movie_shape(movie) == (4, 20, 30)
    assert create_labels_layer(movie).data.shape == (4, 20, 30)
    assert create_prompt_layer(movie).ndim == 3


def test_row12_lazy_and_multiscale_movies_are_measured_without_reading() -> None:
    reads: list[int] = []

    def read(block: np.ndarray) -> np.ndarray:
        reads.append(len(block))
        return block

    lazy = da.zeros((7, 64, 64), chunks=(1, 64, 64), dtype=np.uint8).map_blocks(read, dtype=np.uint8, meta=np.empty(0))
    for layer in (Image(lazy), Image([lazy, lazy[:, ::2, ::2]], multiscale=True)):
        _ = np.asarray(lazy[0])
        assert reads, "reading is noticed"
        reads.clear()
        assert movie_shape(layer) == (7, 64, 64)
        assert create_labels_layer(layer).data.shape == (7, 64, 64)
        assert not reads


@pytest.mark.parametrize(
    ("data", "rgb", "text"),
    [
        (np.zeros((20, 30)), False, "single image"),
        (np.zeros((20, 30, 3), np.uint8), True, "single image"),
        (np.zeros((2, 3, 20, 30)), False, "choose a plane or a channel"),
    ],
)
def test_row10_wrong_layers_are_refused_with_a_way_out(data: np.ndarray, rgb: bool, text: str) -> None:
    with pytest.raises(MovieError, match=text):
        create_labels_layer(Image(data, rgb=rgb))


def test_prompts_have_color_text_and_features() -> None:
    points = create_prompt_layer(image())
    points.add([0, 5, 6])
    points.feature_defaults = prompt_defaults(3, positive=False)
    points.selected_data = set()
    points.add([1, 7, 8])
    assert list(points.features["object_id"]) == [1, 3]
    assert list(points.features["polarity"]) == ["positive", "negative"]
    assert isinstance(points.features["polarity"].dtype, pd.CategoricalDtype)
    green, red = points.face_color
    assert green[1] > green[0] and red[0] > red[1]
    assert list(points.text.values) == ["1", "3"]


@pytest.mark.parametrize("kwargs", [{}, PLACED, {**PLACED, "rotate": 20}])
def test_points_go_through_the_world_into_image_pixels(kwargs: dict[str, object]) -> None:
    movie, points = image(**kwargs), create_prompt_layer(image())
    world = np.array([movie.data_to_world((2, 11.5, 20.25)), movie.data_to_world((4.4, 0, 59))])
    points.data = [points.world_to_data(position) for position in world]
    first, second = read_prompts(points, movie)
    assert (first.frame, first.object_id, first.positive) == (2, 1, True)
    assert (first.y, first.x) == pytest.approx((11.5, 20.25))
    assert second.frame == 4


@given(st.floats(allow_nan=True, allow_infinity=True), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_row17_any_point_is_either_inside_or_ignored(t: float, y: float, x: float) -> None:
    movie = image()
    points = Points(
        np.array([[t, y, x], [2, 3, 4]]), features={"object_id": [1, 1], "polarity": ["positive", "negative"]}
    )
    notes: list[str] = []
    prompts = read_prompts(points, movie, on_ignored=notes.append)
    assert prompts[-1] == PointPrompt(2, 1, 3.0, 4.0, positive=False)
    assert len(prompts) + len(notes) == 2
    assert all(0 <= p.frame < 5 and -0.5 <= p.y < 39.5 and -0.5 <= p.x < 59.5 for p in prompts)


@pytest.mark.parametrize(("t", "frame"), [(-0.5, 0), (0.49, 0), (0.5, 1), (1.49, 1), (2.4, 2), (4.49, 4)])
def test_row16_a_fractional_time_belongs_to_the_nearest_frame(t: float, frame: int) -> None:
    points = create_prompt_layer(image())
    points.data = [[t, 1, 1]]
    assert [prompt.frame for prompt in read_prompts(points, image())] == [frame]


def test_bad_object_ids_are_ignored_and_missing_ones_refused() -> None:
    points = Points(np.zeros((4, 3)), features={"object_id": [0, -1, np.nan, 2.0]})
    assert [prompt.object_id for prompt in read_prompts(points, image())] == [2]
    with pytest.raises(PromptError, match="object_id"):
        read_prompts(Points(np.zeros((1, 3)), name="mine"), image())
    with pytest.raises(PromptError, match="2 axes"):
        read_prompts(Points(np.zeros((1, 2)), features={"object_id": [1]}), image())


def test_frames_are_chunks_on_disk_that_go_with_the_layer() -> None:
    labels = create_labels_layer(image())
    assert labels.data.chunks == (1, 40, 60)
    assert labels.data.dtype == np.uint32
    assert np.array(labels.data[2]).max() == 0
    frame = np.zeros((40, 60), np.uint32)
    frame[3:5, 4:6] = 4_000_000_000
    write_frame(labels, 2, frame)
    np.testing.assert_array_equal(read_frame(labels, 2), frame)
    folder = Path(labels.data.store.root).parent
    assert folder.exists()
    del labels
    gc.collect()
    assert not folder.exists()


def test_merging_keeps_objects_that_the_session_does_not_speak_of() -> None:
    present = np.array([[1, 1, 2, 3]], np.uint32)
    new = np.array([[0, 2, 0, 0]], np.uint32)
    np.testing.assert_array_equal(merge_labels(present, new, ()), [[1, 2, 0, 3]])
    np.testing.assert_array_equal(merge_labels(present, new, (3,)), [[1, 2, 0, 0]])
    np.testing.assert_array_equal(merge_labels(present, new, (3, 700)), [[1, 2, 0, 0]])
    high = 4_000_000_000
    present, new = np.array([[high, high, 2, 3]], np.uint32), np.array([[0, 5, 0, 0]], np.uint32)
    np.testing.assert_array_equal(merge_labels(present, new, (3,)), [[high, 5, 2, 0]])


def shown(labels_name: str = "masks") -> tuple[ViewerModel, MaskLayers]:
    viewer = ViewerModel()
    movie = viewer.add_layer(image())
    labels = create_labels_layer(movie, labels_name)
    viewer.add_layer(labels)
    return viewer, MaskLayers(labels)


def test_row25_undo_after_a_write_changes_nothing() -> None:
    _, masks = shown()
    labels = masks.main.layer
    labels.mode, labels.brush_size = "paint", 4
    labels.paint((0, 10, 10), 5)
    new = np.zeros((40, 60), np.uint32)
    new[20:30, 20:30] = 1
    masks.write(0, new, (1,))
    before = read_frame(labels, 0)
    labels.undo()
    np.testing.assert_array_equal(read_frame(labels, 0), before)
    assert labels.mode == "paint"


def test_without_the_reset_undo_would_write_stale_pixels() -> None:
    _, masks = shown()
    labels = masks.main.layer
    labels.paint((0, 10, 10), 5)
    write_frame(labels, 0, np.full((40, 60), 7, np.uint32))
    labels.undo()
    assert (read_frame(labels, 0) == 0).any()
    labels.paint((0, 10, 10), 5)
    reset_undo(labels)
    before = read_frame(labels, 0)
    labels.undo()
    np.testing.assert_array_equal(read_frame(labels, 0), before)


def test_row26_painted_pixels_outlive_masks_and_become_prompts() -> None:
    _, masks = shown()
    labels = masks.main.layer
    labels.brush_size = 6
    labels.n_edit_dimensions = 2
    model = np.zeros((40, 60), np.uint32)
    model[10:20, 10:20] = 1
    masks.write(2, model, (1,))
    labels.paint((2, 30, 30), 1)
    labels.paint((2, 12, 12), 0)
    painted = read_frame(labels, 2)
    masks.write(2, model, (1,))
    np.testing.assert_array_equal(read_frame(labels, 2), painted)
    (prompt,) = masks.mask_prompts()
    assert (prompt.frame, prompt.object_id) == (2, 1)
    np.testing.assert_array_equal(prompt.mask, painted == 1)
    masks.clicked(1, 2)
    assert masks.mask_prompts() == []
    masks.write(2, model, (1,))
    np.testing.assert_array_equal(read_frame(labels, 2), painted)


def square(object_id: int = 1) -> np.ndarray:
    model = np.zeros((40, 60), np.uint32)
    model[10:20, 10:20] = object_id
    return model


def test_row26_erasing_alone_says_what_an_object_is() -> None:
    _, masks = shown()
    labels = masks.main.layer
    masks.write(2, square(), (1,))
    labels.paint((2, 12, 12), 0)
    (prompt,) = masks.mask_prompts()
    erased = read_frame(labels, 2) == 0
    assert (prompt.frame, prompt.object_id) == (2, 1) and not prompt.mask[12, 12]
    np.testing.assert_array_equal(prompt.mask, ~erased)


def test_row26_pixels_painted_back_by_hand_are_the_models_again() -> None:
    _, masks = shown()
    labels = masks.main.layer
    labels.brush_size = 3
    masks.write(2, square(), (1,))
    labels.paint((2, 15, 15), 7)
    labels.paint((2, 15, 15), 1)
    assert masks.mask_prompts() == []
    masks.write(2, np.zeros((40, 60), np.uint32), (1,))
    assert not read_frame(labels, 2).any()


def test_row26_what_the_session_knows_no_more_is_the_models_again_where_it_was_erased_too() -> None:
    _, masks = shown()
    labels = masks.main.layer
    masks.write(2, square(), (1,))
    labels.paint((2, 12, 12), 0)
    labels.paint((2, 30, 30), 1)
    masks.outdate(1, 2)
    masks.write(2, square(), (1,))
    np.testing.assert_array_equal(read_frame(labels, 2), square())


def test_row26_strokes_taken_back_are_no_edits_whatever_is_written_afterwards() -> None:
    _, masks = shown()
    labels = masks.main.layer
    labels.paint((1, 10, 10), 5)
    labels.undo()
    assert masks.mask_prompts() == []
    for value in (2, 3):
        masks.write(1, np.full((40, 60), value, np.uint32), (2,))
        assert (read_frame(labels, 1) == value).all() and masks.mask_prompts() == []


def test_row26_an_object_erased_altogether_is_told_of_once_and_may_come_back() -> None:
    _, masks = shown()
    labels = masks.main.layer
    masks.write(2, square(), (1,))
    masks.write(3, square(4), (4,))
    labels.brush_size = 40
    labels.paint((2, 15, 15), 0)
    labels.fill((3, 15, 15), 7)
    masks.write(2, square(), (1,))
    assert not read_frame(labels, 2).any(), "until it is told of"
    assert masks.take_erased() == {(1, 2), (4, 3)}
    assert masks.take_erased() == set()
    masks.write(2, square(), (1,))
    masks.write(3, square(4), (4,))
    np.testing.assert_array_equal(read_frame(labels, 2), square())
    np.testing.assert_array_equal(read_frame(labels, 3), square(7))
    (prompt,) = masks.mask_prompts()
    assert (prompt.object_id, prompt.frame) == (7, 3)


def test_row26_what_was_erased_and_painted_again_or_clicked_is_there() -> None:
    _, masks = shown()
    labels = masks.main.layer
    for frame in (1, 2, 3):
        masks.write(frame, square(), (1,))
        labels.brush_size = 40
        labels.paint((frame, 15, 15), 0)
    labels.brush_size = 3
    labels.paint((1, 30, 30), 1)
    masks.clicked(1, 2)
    masks.clicked(5, 3)
    assert masks.take_erased() == {(1, 3)}
    assert [(prompt.object_id, prompt.frame) for prompt in masks.mask_prompts()] == [(1, 1)]
    masks.write(2, square(), (1,))
    np.testing.assert_array_equal(read_frame(labels, 2), square())


def test_row26_erased_in_its_own_layer_it_is_erased_unless_it_was_painted_in_the_other() -> None:
    _, masks = shown()
    own = create_labels_layer(image(), "object 1")
    masks.add_single(1, own)
    for frame in (1, 2):
        masks.write(frame, square(), (1,))
        own.brush_size = 40
        own.paint((frame, 15, 15), 0)
    masks.main.layer.brush_size = 3
    masks.main.layer.paint((2, 30, 30), 1)
    assert masks.take_erased() == {(1, 1)}


def test_filling_is_an_edit_too() -> None:
    _, masks = shown()
    labels = masks.main.layer
    labels.fill((3, 5, 5), 9)
    (prompt,) = masks.mask_prompts()
    assert prompt.object_id == 9 and prompt.frame == 3 and prompt.mask.all()


def test_single_objects_follow_the_main_layer() -> None:
    _, masks = shown()
    own = create_labels_layer(image(), "object 2")
    masks.add_single(2, own)
    labels = np.zeros((40, 60), np.uint32)
    labels[:10], labels[20:] = 1, 2
    masks.write(4, labels, (1, 2))
    np.testing.assert_array_equal(read_frame(own, 4), np.where(labels == 2, 2, 0))
    masks.write(4, np.zeros_like(labels), (2,))
    assert read_frame(own, 4).max() == 0
    assert read_frame(masks.main.layer, 4).max() == 1


def test_row27_locked_layers_cannot_be_painted_and_are_as_before_afterwards() -> None:
    _, masks = shown()
    labels = masks.main.layer
    labels.mode = "paint"
    masks.lock()
    assert not labels.editable and labels.mode == "pan_zoom"
    masks.unlock()
    assert labels.editable and labels.mode == "paint"


@pytest.mark.parametrize("kwargs", [{}, PLACED, {**PLACED, "rotate": 20}])
def test_clicks_written_are_read_again(kwargs: dict[str, object]) -> None:
    movie = image(**kwargs)
    points = create_prompt_layer(movie)
    points.add(np.array([[0.0, 1.0, 2.0]]))
    points.feature_defaults = prompt_defaults(7, positive=False)
    clicks = [PointPrompt(3, 2, 10.0, 20.0), PointPrompt(4, 9, 5.0, 6.0, positive=False)]
    add_clicks(points, movie, clicks)
    read = read_prompts(points, movie)[1:]
    assert [(p.frame, p.object_id, p.positive) for p in read] == [(3, 2, True), (4, 9, False)]
    np.testing.assert_allclose([(p.y, p.x) for p in read], [(10, 20), (5, 6)], atol=1e-9)
    assert points.selected_data == set()
    points.add(np.array([[0.0, 1.0, 2.0]]))
    assert points.features["object_id"].iloc[-1] == 7, "what the next click is about is as before"
    add_clicks(points, movie, [])
    assert len(points.data) == 4


def test_points_of_some_objects_and_frames_are_replaced() -> None:
    movie = image()
    points = create_prompt_layer(movie)
    add_clicks(points, movie, [PointPrompt(t, i, 3.0, 4.0) for i in (1, 2) for t in (0, 1)])
    replace_points(points, movie, {(1, 0), (2, 1), (8, 0)}, [PointPrompt(1, 2, 5.0, 6.0, positive=False)])
    kept = [PointPrompt(1, 1, 3.0, 4.0), PointPrompt(0, 2, 3.0, 4.0)]
    assert read_prompts(points, movie) == [*kept, PointPrompt(1, 2, 5.0, 6.0, positive=False)]
    replace_points(points, movie, {(8, 0)}, ())
    assert len(points.data) == 3
