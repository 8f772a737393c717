"""Windows laid over an image."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_torch.crops import crop_windows, grid_points, tiles


def box(window):
    return window.x0, window.y0, window.x0 + window.width, window.y0 + window.height


def test_layers_of_crops_are_those_of_the_original():
    # 600 x 800 (width 800), overlap ratio 512 / 1500: overlap 204 in layer 1, 102 in layer 2.
    assert [box(w) for w in crop_windows((600, 800), 0, 512 / 1500, 1024)] == [(0, 0, 800, 600)]
    layer = [box(w) for w in crop_windows((600, 800), 1, 512 / 1500, 1024)]
    assert layer == [(0, 0, 502, 402), (0, 198, 502, 600), (298, 0, 800, 402), (298, 198, 800, 600)]
    layer = [box(w) for w in crop_windows((600, 800), 2, 512 / 1500, 1024)]
    assert len(layer) == 16
    assert layer[0] == (0, 0, 277, 227)
    assert layer[-1] == (525, 375, 800, 600)


def test_grid_points_are_the_middles_of_cells():
    (window,) = crop_windows((20, 40), 0, 0, 64)
    assert grid_points(window, 2).tolist() == [[4.5, 9.5], [4.5, 29.5], [14.5, 9.5], [14.5, 29.5]]
    assert window.to_model(4.5, 9.5) == (15.5, 15.5)


@given(height=st.integers(1, 400), width=st.integers(1, 400), side=st.integers(16, 150), spacing=st.floats(3, 50))
def test_tiles_share_the_image_out(height, width, side, spacing):
    halo = side * 3 // 16
    laid = tiles((height, width), side, halo, 256)
    times = np.zeros((2 * height, 2 * width), int)
    for tile in laid:
        window = tile.window
        assert window.size == (256, 256)
        y0, x0, y1, x1 = tile.core
        times[round(2 * y0) : round(2 * y1), round(2 * x0) : round(2 * x1)] += 1
        for first, last, low, high, extent in (
            (y0, y1, window.y0, window.y0 + side, height),
            (x0, x1, window.x0, window.x0 + side, width),
        ):
            assert low <= 0 or (first - low >= halo and low >= 0)
            assert high >= extent or high - last >= halo
        points = tile.points(spacing)
        assert ((points >= np.array([y0, x0]) - 0.5) & (points <= np.array([y1, x1]) - 0.5)).all()
        assert len(points) >= (y1 - y0) * (x1 - x0) / spacing**2
    assert (times == 1).all()


def test_windows_stay_in_the_image_where_they_can():
    laid = tiles((100, 300), 128, 24, 256)
    assert {tile.window.y0 for tile in laid} == {-14}
    assert [tile.window.x0 for tile in laid] == [0, 57, 115, 172]


@pytest.mark.parametrize("extent", [128, 60])
def test_a_small_image_lies_in_the_middle_of_one_window(extent):
    (tile,) = tiles((extent, extent), 128, 24, 256)
    assert tile.window.y0 == -((128 - extent) // 2)
    assert tile.core == (0, 0, extent, extent)
