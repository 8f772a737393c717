"""Shapes as prompts, without Qt."""

import numpy as np
import pytest
from napari.layers import Image, Shapes

from napari_sam2.errors import PromptError
from napari_sam2.layers import Drawing, add_drawings, create_shape_layer, read_shapes, take_shapes
from napari_sam2.layers.shape_reader import shape_defaults
from napari_sam2.prompts import BoxPrompt, MaskPrompt

PLACED = {"scale": (60.0, 0.5, 0.25), "translate": (120.0, 10.0, -5.0)}


def image(**kwargs: object) -> Image:
    return Image(np.zeros((5, 40, 60), np.uint16), name="movie", **kwargs)


def corners(t: float, y0: float, x0: float, y1: float, x1: float) -> np.ndarray:
    return np.array([(t, y0, x0), (t, y0, x1), (t, y1, x1), (t, y1, x0)])


def draw(layer: Shapes, vertices: np.ndarray, kind: str, object_id: int) -> None:
    layer.feature_defaults = shape_defaults(object_id)
    layer.add(vertices, shape_type=kind)


@pytest.mark.parametrize("kwargs", [{}, PLACED])
def test_an_upright_rectangle_is_a_box_in_pixels_of_the_image_wherever_that_lies(kwargs) -> None:
    movie = image(**kwargs)
    layer = create_shape_layer(movie)
    np.testing.assert_allclose(layer.data_to_world((1, 2, 3)), movie.data_to_world((1, 2, 3)))
    draw(layer, corners(2.2, 5, 10, 20, 30), "rectangle", 7)
    (box,) = read_shapes(layer, movie)
    assert isinstance(box, BoxPrompt)
    assert (box.frame, box.object_id) == (2, 7)
    assert (box.y0, box.x0, box.y1, box.x1) == pytest.approx((5, 10, 20, 30))


def test_a_box_over_the_border_is_cut_there() -> None:
    movie = image()
    layer = create_shape_layer(movie)
    draw(layer, corners(0, -9, 50, 20, 90), "rectangle", 1)
    (box,) = read_shapes(layer, movie)
    assert (box.y0, box.x0, box.y1, box.x1) == (-0.5, 50, 20, 59.5)


def test_outlines_are_masks_of_what_is_inside() -> None:
    movie = image()
    layer = create_shape_layer(movie)
    draw(layer, corners(1, 10, 20, 30, 50), "ellipse", 3)
    draw(layer, np.array([(1, 0, 0), (1, 0, 12), (1, 12, 0)], float), "polygon", 4)
    turned = np.array([(3, 10, 20), (3, 20, 30), (3, 30, 20), (3, 20, 10)], float)
    draw(layer, turned, "rectangle", 5)
    ellipse, triangle, diamond = read_shapes(layer, movie)
    assert [type(p) for p in (ellipse, triangle, diamond)] == [MaskPrompt] * 3
    assert [(p.frame, p.object_id) for p in (ellipse, triangle, diamond)] == [(1, 3), (1, 4), (3, 5)]
    assert ellipse.mask.sum() == pytest.approx(np.pi * 10 * 15, rel=0.03)
    assert ellipse.mask[20, 35] and not ellipse.mask[11, 21]
    assert triangle.mask[2, 2] and not triangle.mask[10, 10]
    assert diamond.mask[20, 20] and not diamond.mask[12, 12]


def test_what_is_no_prompt_is_told_once_and_left_out() -> None:
    movie = image()
    layer = create_shape_layer(movie)
    draw(layer, np.array([(0, 1, 1), (0, 9, 9)], float), "line", 1)
    draw(layer, corners(9, 5, 5, 9, 9), "rectangle", 1)  # after the end
    draw(layer, corners(0, 5, 5, 9, 9), "rectangle", 0)  # no object ID
    draw(layer, corners(0, 90, 5, 99, 9), "rectangle", 2)  # outside
    slanting = corners(0, 5, 5, 9, 9)
    slanting[2:, 0] = 3
    draw(layer, slanting, "polygon", 2)  # over several frames
    draw(layer, corners(0, 5, 5, 9, 9), "rectangle", 8)
    told: list[str] = []
    assert [p.object_id for p in read_shapes(layer, movie, on_ignored=told.append)] == [8]
    (text,) = told
    assert text.startswith("5 shapes of 'shape_prompts' ignored")


def test_a_layer_that_is_no_prompt_layer_is_refused() -> None:
    stranger = Shapes([corners(0, 1, 1, 5, 5)[:, 1:]], name="cells")
    with pytest.raises(PromptError, match="draw in the layer that the plugin makes"):
        read_shapes(stranger, image())


@pytest.mark.parametrize("kind", ["rectangle", "ellipse", "polygon"])
def test_shapes_are_taken_and_drawn_again_as_they_were(kind: str) -> None:
    movie = image()
    layer = create_shape_layer(movie)
    for object_id in (1, 2, 1):
        draw(layer, corners(object_id, 5, 5.25, 9, 9), kind, object_id)
    before = read_shapes(layer, movie)
    taken = take_shapes(layer, movie, {(1, 1), (9, 0)})
    assert list(layer.features["object_id"]) == [2]
    assert [prompt for prompt, _ in taken] == [before[0], before[2]]
    assert take_shapes(layer, movie, {(9, 0)}) == []
    layer.feature_defaults = shape_defaults(7)
    add_drawings(layer, movie, taken)
    assert read_shapes(layer, movie) == [before[1], before[0], before[2]]
    assert layer.selected_data == set() and list(layer.feature_defaults["object_id"]) == [7]


def test_a_box_is_drawn_as_the_rectangle_that_is_read_as_it() -> None:
    movie = image(**PLACED)
    layer = create_shape_layer(movie)
    box = BoxPrompt(3, 5, 1.25, -0.5, 17.5, 30.75)
    add_drawings(layer, movie, [(box, Drawing.of_box(box))])
    assert read_shapes(layer, movie) == [box]
