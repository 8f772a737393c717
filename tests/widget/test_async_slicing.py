"""Asynchronous slicing, in which napari reads the frame on screen in another thread, changes no mask."""

import time
from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.settings import get_settings
from qtpy.QtCore import Qt

from napari_sam2.api import open_session
from napari_sam2.layers.chosen_input import as_video
from toy_model import ToyModel
from toy_scene import HEIGHT, RADIUS, STILL_YX, WIDTH, fast_yx
from widget.conftest import Desk
from widget.test_shapes import drag
from widget.toy_desk import movie

NUM_FRAMES = 6
State = dict[str, Any]


def slow_movie() -> Any:
    """A movie of two discs, of which a frame takes a while to read: layers sliced asynchronously lag behind."""

    def block(block_info: Any = None) -> np.ndarray:
        time.sleep(0.03)
        return movie()[block_info[None]["chunk-location"][0]][None]

    chunks = ((1,) * NUM_FRAMES, (HEIGHT,), (WIDTH,))
    return da.map_blocks(block, chunks=chunks, dtype=np.float32, meta=np.empty((0,) * 3, np.float32))


def state(desk: Desk) -> State:
    """All that is to be seen, and all that the session knows."""
    desk.wait_idle()
    session, points = desk.widget.session, desk.viewer.layers["point_prompts"]
    check_screen(desk)
    return {
        "masks": [desk.frame(t) for t in range(NUM_FRAMES)],
        "points": points.data.copy(),
        "ids": points.features["object_id"].tolist(),
        "session": [session.labels(t) for t in range(NUM_FRAMES)],
        "prompts": sorted(session.prompts),
        "frame": desk.viewer.dims.current_step[0],
    }


def work(desk: Desk) -> list[State]:
    """Click, propagate, paint, propagate again, undo, redo, correct, use labels, split off a layer, end an object."""
    image = desk.viewer.add_image(slow_movie(), name="movie", contrast_limits=(0, 1))
    desk.dock()
    form, labels = desk.widget.form, desk.viewer.layers["masks"]
    # A click right after the masks were added: the slice on screen may still be a placeholder.
    desk.viewer.dims.set_current_step(0, 0)
    desk.viewer.reset_view()
    desk.settle(2)
    desk.click_canvas(image, *STILL_YX)
    desk.press_key("M")
    desk.click_canvas(image, *fast_yx(0))
    states = [state(desk)]
    desk.click(form.propagate)
    states.append(state(desk))
    # And a stroke on a frame that the slider has just come to.
    desk.viewer.layers.selection.active = labels
    labels.mode, labels.selected_label, labels.brush_size = "paint", 1, 12
    desk.viewer.dims.set_current_step(0, 3)
    desk.qtbot.waitUntil(lambda: labels.loaded)
    drag(desk, (100, 300), (100, 340))
    states.append(state(desk))
    assert states[-1]["masks"][3][100, 320] == 1
    desk.press_key("Z", Qt.KeyboardModifier.ControlModifier)
    assert not desk.frame(3)[100, 320]
    drag(desk, (100, 300), (100, 340))
    desk.click(form.propagate)
    states.append(state(desk))
    for key in ("U", "U"):
        desk.press_key(key)
        states.append(state(desk))
    desk.press_key("U", Qt.KeyboardModifier.ShiftModifier)
    states.append(state(desk))
    desk.viewer.layers.selection.active = desk.viewer.layers["point_prompts"]
    desk.go_to(4)
    form.object_id.setValue(2)
    desk.click_canvas(image, *fast_yx(4))
    desk.click(form.propagate)
    states.append(state(desk))
    desk.viewer.add_labels((np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) < 4000) * np.uint8(7), name="before")
    form.labels.layer.value = desk.viewer.layers["before"]
    desk.go_to(2)
    desk.click(form.labels.use)
    states.append(state(desk))
    form.objects.select_objects({2})
    desk.click(form.objects.own_layers)
    states.append(state(desk) | {"own": np.asarray(desk.viewer.layers["object 2"].data)})
    return states


def check_screen(desk: Desk) -> None:
    """What is drawn is, in a moment and without anybody moving the slider, what the layer holds of the frame."""
    labels, frame = desk.viewer.layers["masks"], desk.viewer.dims.current_step[0]
    desk.qtbot.waitUntil(lambda: np.array_equal(labels._slice.image.raw, desk.frame(frame)), timeout=10_000)


@pytest.fixture
def new_desk(bare_desk: Desk, toy: ToyModel, make_napari_viewer: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what shows a viewer without layers, with asynchronous slicing or without."""

    def open_toy_session(image: Any, *_: Any, **__: Any) -> Any:
        return open_session(as_video(image), model=toy, diameter=2 * RADIUS, contrast=(0, 1))

    monkeypatch.setattr("napari_sam2.widget.session_choices.open_layer_session", open_toy_session)
    was, desks = get_settings().experimental.async_, [bare_desk]

    def make(*, is_async: bool) -> Desk:
        desks[-1].leave()
        desks[-1].viewer.close()
        get_settings().experimental.async_ = is_async
        desks.append(Desk(make_napari_viewer(show=True), bare_desk.qtbot))
        desks[-1].viewer.window._qt_window.resize(1300, 1000)
        desks[-1].settle(20)
        return desks[-1]

    yield make
    desks[-1].leave()
    get_settings().experimental.async_ = was


def test_row29_async_slicing_gives_the_same_masks(new_desk: Callable[..., Desk]) -> None:
    desk = new_desk(is_async=False)
    expected = work(desk)
    assert not desk.notes()
    desk = new_desk(is_async=True)
    lagged: list[bool] = []
    desk.viewer.layers.events.inserted.connect(lambda event: lagged.append(event.value.loaded))
    found = work(desk)
    assert not all(lagged), "layers were not read in another thread"
    assert len(found) == len(expected)
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=f"{name} after step {number}")
    for frame in range(NUM_FRAMES):
        desk.go_to(frame)
        check_screen(desk)
    assert not desk.notes()
