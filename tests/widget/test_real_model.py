"""From a click to masks in all frames with the bundled model: nothing is replaced."""

from typing import Any

import numpy as np
import pytest

import napari_sam2
from napari_sam2.synthetic import SyntheticMovie, sample_movie
from widget.conftest import PLACED, Desk

pytestmark = pytest.mark.slow
NUM_FRAMES = 5


@pytest.fixture(scope="module")
def cells() -> SyntheticMovie:
    return sample_movie()


def clear_cells(labels: np.ndarray, number: int) -> list[tuple[int, int, int]]:
    """Return label, y, x of the largest cells, clicked at the pixel nearest their centroid."""
    found = []
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    for label in np.argsort(areas)[::-1][:number]:
        yx = np.argwhere(labels == label)
        found.append((int(label), *map(int, yx[np.argmin(((yx - yx.mean(0)) ** 2).sum(1))])))
    return found


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


def track_with_the_mouse(desk: Desk, movie: np.ndarray, clicks: list[tuple[int, int, int]]) -> np.ndarray:
    """Click on cells of frame 0, each an object of its own, and propagate; return the labels of all frames."""
    image = desk.viewer.add_image(movie, name="cells", **PLACED)
    desk.dock()
    desk.go_to(0)
    for number, (_, y, x) in enumerate(clicks):
        if number:
            desk.press_key("M")
        desk.click_canvas(image, y, x)
    desk.wait_idle(120_000)
    desk.click(desk.widget.form.propagate)
    desk.wait_idle(300_000)
    assert not desk.notes()
    np.testing.assert_allclose(desk.viewer.layers["masks"].extent.world, image.extent.world)
    return np.stack([desk.frame(frame) for frame in range(len(movie))])


def test_the_mouse_gives_the_same_masks_as_a_script(bare_desk: Desk, cells: SyntheticMovie) -> None:
    movie, clicks = cells.frames[:NUM_FRAMES], clear_cells(cells.labels[0], 3)
    by_mouse = track_with_the_mouse(bare_desk, movie, clicks)
    # The points as they came out of the canvas: a click hits a pixel, not its center.
    points = bare_desk.viewer.layers["point_prompts"]
    np.testing.assert_allclose(points.data[:, 1:], [(y, x) for _, y, x in clicks], atol=1)
    by_script = napari_sam2.track(bare_desk.viewer.layers["cells"], points=points, direction="forward")
    np.testing.assert_array_equal(by_mouse, by_script.labels())


def test_three_clicks_and_the_button_track_three_cells(bare_desk: Desk, cells: SyntheticMovie) -> None:
    clicks = clear_cells(cells.labels[0], 3)
    masks = track_with_the_mouse(bare_desk, cells.frames[:NUM_FRAMES], clicks)
    for object_id, (label, _, _) in enumerate(clicks, start=1):
        found = [overlap(masks[t] == object_id, cells.labels[t] == label) for t in range(NUM_FRAMES)]
        assert min(found) > 0.5, (label, found)


def test_a_painted_cell_of_a_color_movie_is_propagated(bare_desk: Desk, cells: SyntheticMovie) -> None:
    grey = np.clip(cells.frames[:3] / np.percentile(cells.frames[0], 99.9) * 255, 0, 255).astype(np.uint8)
    bare_desk.viewer.add_image(np.stack([grey] * 3, axis=-1), name="cells", rgb=True)
    bare_desk.dock()
    label = clear_cells(cells.labels[0], 1)[0][0]
    labels, cell = bare_desk.viewer.layers["masks"], cells.labels[0] == label
    y, x = np.nonzero(cell)
    labels.data_setitem((np.zeros_like(y), y, x), 4)
    bare_desk.click(bare_desk.widget.form.propagate)
    bare_desk.wait_idle(300_000)
    assert not bare_desk.notes()
    np.testing.assert_array_equal(bare_desk.frame(0) == 4, cell)
    assert overlap(bare_desk.frame(2) == 4, cells.labels[2] == label) > 0.5


def test_the_sample_opens_from_the_menu(bare_desk: Desk) -> None:
    bare_desk.viewer.open_sample("napari-sam2", "cells")
    bare_desk.dock()
    assert bare_desk.widget.controller is not None
    assert bare_desk.viewer.layers["cells"].data.ndim == 3


def test_row30_two_viewers_that_propagate_together_find_what_each_finds_alone(
    bare_desk: Desk, cells: SyntheticMovie, make_napari_viewer: Any
) -> None:
    movie, clicks = cells.frames[:NUM_FRAMES], clear_cells(cells.labels[0], 2)
    second = Desk(make_napari_viewer(show=True), bare_desk.qtbot)
    for desk, (_, y, x) in zip((bare_desk, second), clicks, strict=True):
        desk.viewer.add_image(movie, name="cells")
        desk.dock()
        desk.viewer.layers["point_prompts"].add([0, y, x])
        desk.wait_idle(120_000)
    for desk in (bare_desk, second):
        desk.widget.runs.propagate()
    assert bare_desk.widget.runner.is_busy and second.widget.runner.is_busy
    for desk, (_, y, x) in zip((bare_desk, second), clicks, strict=True):
        desk.wait_idle(300_000)
        alone = napari_sam2.track(movie, points=[(0, y, x)], direction="forward").labels()
        np.testing.assert_array_equal([desk.frame(t) for t in range(NUM_FRAMES)], alone)
        assert not desk.notes()
    second.leave()
