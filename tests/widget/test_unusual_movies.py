"""Movies of every kind of pixels and axes, tracked in a viewer by the session's own rules; a stand-in network."""

from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.layers import Image

from napari_sam2.api import open_session
from napari_sam2.layers.chosen_input import as_video
from toy_model import ToyModel
from toy_scene import HEIGHT, RADIUS, STILL_YX, WIDTH
from widget.conftest import Desk
from widget.toy_desk import movie

NUM_FRAMES = 4


@pytest.fixture
def desk(bare_desk: Desk, toy: ToyModel, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Return a viewer without layers; sessions look at the layer's own pixels."""

    def open_toy_session(image: Image, *_: Any, **__: Any) -> Any:
        return open_session(as_video(image), model=toy, diameter=2 * RADIUS)

    monkeypatch.setattr("napari_sam2.widget.session_choices.open_layer_session", open_toy_session)
    return bare_desk


def track(desk: Desk, data: Any, **kwargs: Any) -> np.ndarray:
    """Click on the still disc of the first frame, propagate; the masks of all frames."""
    image = desk.viewer.add_image(data, name="movie", **kwargs)
    widget = desk.dock()
    if widget.controller is None:
        desk.click(widget.form.input.use)
    desk.go_to(0)
    desk.viewer.reset_view()
    desk.settle(20)
    desk.click_canvas(image, *STILL_YX)
    desk.wait_idle()
    desk.click(widget.form.propagate)
    desk.wait_idle()
    return np.stack([desk.frame(t) for t in range(widget.session.video.num_frames)])


def discs() -> np.ndarray:
    return movie()[:NUM_FRAMES]


def truth() -> np.ndarray:
    """Where the still disc is, in all frames."""
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    return np.broadcast_to(np.hypot(ys - STILL_YX[0], xs - STILL_YX[1]) < RADIUS, (NUM_FRAMES, HEIGHT, WIDTH))


def with_gaps() -> np.ndarray:
    data = discs()
    data[:, :3, :] = np.nan
    data[1, 100, :] = np.inf
    data[2, :, 5] = -np.inf
    return data


KINDS = {
    "uint8": lambda: (discs() * 200).astype(np.uint8),
    "big-endian uint16": lambda: (discs() * 60_000).astype(">u2"),
    "int32 below zero": lambda: (discs() * 5_000_000).astype(np.int32) - 4_000_000,
    "bool": lambda: discs() > 0,
    "float64 with gaps": lambda: with_gaps().astype(np.float64) * 1e-9,
    "float16": lambda: discs().astype(np.float16),
    "dask": lambda: da.from_array(discs(), chunks=(1, HEIGHT, WIDTH)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_row11_pixels_of_any_type_give_the_same_masks(desk: Desk, kind: str) -> None:
    found, expected = track(desk, KINDS[kind]()) == 1, truth()
    assert (found & expected).sum() / (found | expected).sum() > 0.85
    assert [bool(mask.any()) for mask in found] == [True] * NUM_FRAMES
    assert not desk.notes()


def test_row09_frames_that_are_flat_or_no_numbers_have_no_masks(desk: Desk) -> None:
    data = discs()
    data[1], data[2] = np.nan, 0
    found = track(desk, data)
    assert [bool(mask.any()) for mask in found] == [True, False, False, True]
    assert not desk.notes()


@pytest.mark.parametrize("value", [0, np.nan])
def test_row09_a_movie_without_any_contrast_is_told_of_once(desk: Desk, value: float) -> None:
    image = desk.viewer.add_image(np.full((3, 64, 64), value, np.float32), contrast_limits=(0, 1))
    desk.dock()
    desk.click_canvas(image, 30, 30)
    desk.wait_idle()
    (note,) = desk.notes()
    assert "nothing to segment" in note and "constant or hold no finite pixel" in note


def test_row10_a_movie_of_one_frame(desk: Desk) -> None:
    found = track(desk, discs()[:1]) == 1
    assert found.shape[0] == 1 and found[0][STILL_YX]
    assert not desk.notes()


@pytest.mark.parametrize("channels", [3, 4])
def test_row12_color_is_used_as_it_is(desk: Desk, channels: int) -> None:
    data = np.repeat((discs() * 255).astype(np.uint8)[..., None], channels, axis=-1)
    found = track(desk, data, rgb=True) == 1
    assert found[NUM_FRAMES - 1][STILL_YX] and (found & truth()).sum() / (found | truth()).sum() > 0.85
    assert not desk.notes()


def test_row12_of_a_pyramid_the_full_resolution_is_tracked(desk: Desk) -> None:
    # The lower level is empty: whoever looks at it finds nothing.
    pyramid = [discs(), np.zeros((NUM_FRAMES, HEIGHT // 2, WIDTH // 2), np.float32)]
    found = track(desk, pyramid, multiscale=True, contrast_limits=(0, 1)) == 1
    assert found.shape == truth().shape and (found & truth()).sum() / (found | truth()).sum() > 0.85
    assert desk.viewer.layers["masks"].extent.world.tolist() == desk.viewer.layers["movie"].extent.world.tolist()
    assert not desk.notes()


def test_row12_one_of_two_channels_is_tracked(desk: Desk) -> None:
    data = np.stack([np.zeros_like(discs()), discs()], axis=1)
    image = desk.viewer.add_image(data, name="movie", contrast_limits=(0, 1))
    desk.viewer.dims.set_current_step((0, 1), (0, 1))
    form = desk.dock().form
    desk.click(form.input.use)
    desk.viewer.reset_view()
    desk.settle(20)
    desk.click_canvas(image, *STILL_YX)
    desk.wait_idle()
    desk.click(form.propagate)
    desk.wait_idle()
    assert all(desk.frame(t)[STILL_YX] == 1 for t in range(NUM_FRAMES))
    assert not desk.notes()


def test_row08_a_chunk_that_cannot_be_read_stops_at_its_frame_and_the_rest_is_done_later(desk: Desk) -> None:
    broken = [True]

    def block(block_info: Any = None) -> np.ndarray:
        t = block_info[None]["chunk-location"][0]
        if t == 3 and broken:
            raise OSError("input/output error")
        return movie()[t][None]

    chunks = ((1,) * 6, (HEIGHT,), (WIDTH,))
    data = da.map_blocks(block, chunks=chunks, dtype=np.float32, meta=np.empty((0,) * 3, np.float32))
    found = track(desk, data, contrast_limits=(0, 1))
    assert [bool(mask.any()) for mask in found] == [True, True, True, False, False, False]
    (note,) = desk.notes()
    assert "frame 3" in note and "input/output error" in note and "movie" in note
    assert desk.viewer.dims.current_step[0] == 2
    broken.clear()
    desk.click(desk.widget.form.propagate)
    desk.wait_idle()
    assert all(desk.frame(t)[STILL_YX] == 1 for t in range(6))
    assert len(desk.notes()) == 1
