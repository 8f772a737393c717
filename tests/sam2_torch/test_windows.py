"""Windows: from source pixels to the model's and back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sam2_torch.config import CELL, TINY
from sam2_torch.windows import Window, around, cut, cut_mask, paste, whole_frame


def test_whole_frame_at_its_own_size_is_the_frame():
    frame = torch.rand(3, 64, 64)
    window = Window(0, 0, 64, 64, (64, 64))
    assert torch.equal(cut(frame, [window])[0], frame)
    assert window.to_model(3, 5) == (5, 3)


def test_official_models_see_the_whole_frame_squeezed():
    window = whole_frame((300, 500), TINY)
    assert window.size == (1024, 1024)
    x, y = window.to_model(149.5, 249.5)
    assert (x, y) == (511.5, 511.5)
    with pytest.raises(ValueError, match="no preferred object size"):
        around(1, 1, 30, TINY)


def test_beyond_the_border_the_edge_is_repeated():
    frame = torch.arange(16.0).reshape(1, 4, 4).expand(3, -1, -1)
    shown = cut(frame, [Window(-2, -2, 4, 4, (4, 4))])[0, 0]
    assert shown.tolist() == [[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1], [4, 4, 4, 5]]


@given(
    y=st.floats(0, 99), x=st.floats(0, 79), diameter=st.floats(6, 120), dy=st.integers(-40, 40), dx=st.integers(-40, 40)
)
def test_a_disc_cut_and_pasted_stays_where_it_is(y, x, diameter, dy, dx):
    ys, xs = np.mgrid[:100, :80]
    disc = (ys - y) ** 2 + (xs - x) ** 2 <= (diameter / 2) ** 2
    window = around(y + dy * diameter / 80, x + dx * diameter / 80, diameter, CELL)
    shown = cut_mask(torch.from_numpy(disc), window)
    low = torch.nn.functional.avg_pool2d(shown * 20 - 10, 4)[0, 0]
    pasted, (oy, ox) = paste(low, window, (100, 80))
    back = np.zeros_like(disc)
    back[oy : oy + pasted.shape[0], ox : ox + pasted.shape[1]] = pasted.numpy() > 0
    seen = np.zeros_like(disc)
    seen[max(0, window.y0) : window.y0 + window.height, max(0, window.x0) : window.x0 + window.width] = True
    true = disc & seen
    if true.sum() >= 50:
        assert (back & true).sum() / (back | true).sum() > 0.8


def test_a_click_lands_on_the_pixel_it_was_made_on():
    frame = torch.zeros(3, 60, 60)
    frame[:, 20, 31] = 1
    window = around(22, 28, 12, CELL)
    shown = cut(frame, [window])[0, 0]
    y, x = divmod(int(shown.argmax()), shown.shape[1])
    assert window.to_model(20, 31) == pytest.approx((x, y), abs=3)


def test_a_window_outside_the_frame_shows_nothing_of_a_mask():
    window = Window(-500, -500, 64, 64, (64, 64))
    assert not cut_mask(torch.ones(20, 20, dtype=torch.bool), window).any()
    pasted, _ = paste(torch.ones(16, 16), window, (20, 20))
    assert pasted.numel() == 0


@given(
    height=st.integers(20, 90),
    width=st.integers(20, 90),
    y0=st.integers(-30, 40),
    x0=st.integers(-30, 40),
    seed=st.integers(0, 9),
)
def test_pasted_is_what_interpolation_of_the_whole_gives_where_anything_is_positive(height, width, y0, x0, seed):
    logits = torch.randn(16, 16, generator=torch.Generator().manual_seed(seed)) - (1.5 if seed % 3 else 9)
    window, shape = Window(y0, x0, height, width, (64, 64)), (64, 72)
    pasted, (oy, ox) = paste(logits, window, shape)
    found = torch.full(shape, -1.0)
    found[oy : oy + pasted.shape[0], ox : ox + pasted.shape[1]] = pasted
    whole = torch.nn.functional.interpolate(logits[None, None], size=(height, width), mode="bilinear")[0, 0]
    expected = torch.full(shape, -1.0)
    rows, columns = window.part_of(shape)
    expected[y0 + rows.start : y0 + rows.stop, x0 + columns.start : x0 + columns.stop] = whole[rows, columns]
    assert torch.allclose(found.clamp(min=0), expected.clamp(min=0), atol=1e-5)
