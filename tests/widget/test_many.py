"""Many objects, many frames, large frames: what stays bounded however many there are, in a viewer."""

import time
from typing import Any

import dask.array as da
import numpy as np
import pytest

from napari_sam2.api import open_session
from napari_sam2.layers import masks as mask_layers
from napari_sam2.layers.chosen_input import as_video
from napari_sam2.widget.form import NEXT_FRAMES
from toy_model import ToyModel
from toy_scene import RADIUS
from widget.conftest import Desk
from widget.fakes import wait


def test_row21_five_hundred_labels_are_followed_with_one_write_a_frame(
    empty_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = empty_desk
    desk.add_movie((5, 200, 250))
    desk.dock()
    labels = np.kron(np.arange(1, 501, dtype=np.uint16).reshape(20, 25), np.pad(np.ones((6, 6), np.uint16), 2))
    desk.viewer.add_labels(labels, name="cellpose")
    desk.widget.form.labels.layer.value = desk.viewer.layers["cellpose"]
    desk.go_to(0)
    desk.click(desk.widget.form.labels.use)
    desk.wait_idle()
    assert desk.widget.controller.object_ids == tuple(range(1, 501))
    written: list[int] = []
    write = mask_layers.write_frame
    monkeypatch.setattr(
        mask_layers, "write_frame", lambda layer, t, *a, **k: written.append(t) or write(layer, t, *a, **k)
    )
    said: list[str] = []
    desk.widget.controller.status.connect(said.append)
    desk.session.before_frame = wait(0.05)
    desk.click(desk.widget.form.propagate)
    desk.wait_idle()
    assert written == list(range(5))
    np.testing.assert_array_equal(desk.frame(4), labels)
    assert any("left" in text for text in said), said
    assert not desk.notes()


def test_row19_ids_of_any_size_are_labels_that_do_not_wrap(desk: Desk) -> None:
    image, form = desk.viewer.layers["movie"], desk.widget.form
    places = {255: (8, 8), 256: (8, 40), 300: (40, 8), 70_000: (40, 40), 2**31 - 1: (58, 24)}
    for object_id, (y, x) in places.items():
        form.object_id.setValue(object_id)
        desk.click_canvas(image, y, x)
    desk.wait_idle()
    desk.click(form.propagate)
    desk.wait_idle()
    for frame in (0, 11):
        assert {int(i) for i in np.unique(desk.frame(frame))} == {0, *places}
        assert all(desk.frame(frame)[place] == object_id for object_id, place in places.items())
    form.objects.select_objects({70_000})
    desk.click(form.objects.own_layers)
    desk.wait_idle()
    assert np.unique(np.asarray(desk.viewer.layers["object 70000"].data)).tolist() == [0, 70_000]
    assert not desk.notes()


@pytest.fixture
def toy_desk(bare_desk: Desk, toy: ToyModel, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Return a viewer without layers; sessions look at the layer's own pixels with a stand-in network."""
    monkeypatch.setattr(
        "napari_sam2.widget.session_choices.open_layer_session",
        lambda image, *_, **__: open_session(as_video(image), model=toy, diameter=2 * RADIUS),
    )
    return bare_desk


def disc(shape: tuple[int, int], y: int, x: int) -> np.ndarray:
    ys, xs = np.ogrid[: shape[0], : shape[1]]
    return ((ys - y) ** 2 + (xs - x) ** 2 < RADIUS**2).astype(np.uint8)


def test_row22_of_ten_thousand_frames_only_those_are_read_that_are_needed(toy_desk: Desk) -> None:
    desk, number, frame, reads = toy_desk, 10_000, disc((128, 128), 60, 70), []

    def load(block_info: Any = None) -> np.ndarray:
        reads.append(block_info[None]["chunk-location"][0])
        return frame[None]

    chunks = ((1,) * number, (128,), (128,))
    data = da.map_blocks(load, chunks=chunks, dtype=np.uint8, meta=np.empty((0,) * 3, np.uint8))
    image = desk.viewer.add_image(data, name="movie", contrast_limits=(0, 1))
    desk.dock()
    desk.go_to(5000)
    desk.viewer.reset_view()
    desk.settle(20)
    desk.click_canvas(image, 60, 70)
    desk.widget.form.direction.setCurrentText(NEXT_FRAMES)
    desk.wait_idle()
    desk.click(desk.widget.form.propagate)
    desk.wait_idle()
    assert all(desk.frame(t)[60, 70] == 1 for t in range(5000, 5011))
    assert not desk.frame(5011).any() and not desk.frame(4999).any()
    # 8 for the contrast, 3 to know the movie again, 11 twice: for the model and on screen.
    assert len({*reads}) <= 8 + 3 + 11 and len(reads) < 60
    assert desk.viewer.layers["masks"].data.shape == (number, 128, 128)
    assert desk.viewer.layers["masks"].data.nchunks_initialized == 11
    assert not desk.notes()


def test_row23_a_frame_of_many_pixels_is_read_in_parts_and_gets_a_mask_of_its_size(toy_desk: Desk) -> None:
    desk, shape, reads = toy_desk, (4096, 4352), []

    def load(block_info: Any = None) -> np.ndarray:
        (y, _), (x, _) = block_info[None]["array-location"][1:]
        reads.append((y, x))
        block = disc((256, 256), 3000 - y, 2000 - x)
        # A speck, so that no block is flat.
        block[0, 0] = 1
        return block[None]

    chunks = ((1,) * 2, (256,) * 16, (256,) * 17)
    data = da.map_blocks(load, chunks=chunks, dtype=np.uint8, meta=np.empty((0,) * 3, np.uint8))
    # What napari shows of it is not what this is about.
    desk.viewer.add_image(data, name="movie", contrast_limits=(0, 1), visible=False)
    desk.dock()
    desk.go_to(0)
    reads.clear()
    desk.viewer.layers["point_prompts"].add([0, 3000, 2000])
    desk.wait_idle()
    assert desk.frame(0).shape == shape
    np.testing.assert_allclose(np.argwhere(desk.frame(0) == 1).mean(0), (3000, 2000), atol=2)
    assert (desk.frame(0) == 1).sum() == pytest.approx(np.pi * RADIUS**2, rel=0.2)
    assert 0 < len({*reads}) < 16 * 17 / 2 and not desk.notes()


def test_row24_frames_faster_than_the_screen_are_not_all_drawn(
    empty_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = empty_desk
    image = desk.add_movie((120, 64, 64))
    desk.dock()
    desk.go_to(0)
    desk.viewer.reset_view()
    desk.settle(20)
    desk.click_canvas(image, 20, 40)
    desk.wait_idle()
    labels, drawn = desk.viewer.layers["masks"], []
    refresh = labels.refresh
    monkeypatch.setattr(labels, "refresh", lambda *a, **k: drawn.append("refresh") or refresh(*a, **k))
    desk.viewer.dims.events.current_step.connect(lambda event: drawn.append("slider"))
    began = time.monotonic()
    desk.click(desk.widget.form.propagate)
    desk.wait_idle()
    took = time.monotonic() - began
    assert all(desk.frame(t)[20, 40] == 1 for t in range(120))
    assert desk.viewer.dims.current_step[0] == 119
    for what in ("refresh", "slider"):
        assert drawn.count(what) <= 10 * took + 3, (what, took)
