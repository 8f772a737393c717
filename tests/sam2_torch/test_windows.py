"""Windows: from source pixels to the model's and back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sam2_torch.config import CELL, TINY
from sam2_torch.windows import (
    Window,
    around,
    common_diameter,
    cut,
    cut_mask,
    paste,
    pixels_per_token,
    whole_frame,
)


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
    above=st.sampled_from([0.0, -1.0, -3.0, 2.0]),
)
def test_pasted_is_what_interpolation_of_the_whole_gives_where_it_is_high(height, width, y0, x0, seed, above):
    logits = torch.randn(16, 16, generator=torch.Generator().manual_seed(seed)) - (1.5 if seed % 3 else 9)
    window, shape = Window(y0, x0, height, width, (64, 64)), (64, 72)
    pasted, (oy, ox) = paste(logits, window, shape, above=above)
    found = torch.full(shape, above)
    found[oy : oy + pasted.shape[0], ox : ox + pasted.shape[1]] = pasted
    whole = torch.nn.functional.interpolate(logits[None, None], size=(height, width), mode="bilinear")[0, 0]
    expected = torch.full(shape, above)
    rows, columns = window.part_of(shape)
    expected[y0 + rows.start : y0 + rows.stop, x0 + columns.start : x0 + columns.stop] = whole[rows, columns]
    assert torch.allclose(found.clamp(min=above), expected.clamp(min=above), atol=1e-5)


PLACES = st.tuples(st.floats(0, 1), st.floats(0, 1))


@given(st.tuples(st.integers(16, 1500), st.integers(16, 1500)), PLACES, st.floats(3, 150), st.sampled_from([12, 16]))
def test_a_window_stays_within_the_frame_or_holds_it(shape, place, diameter, tokens):
    y, x = (part * (n - 1) for part, n in zip(place, shape, strict=True))
    window, p = around(y, x, diameter, CELL, shape_yx=shape, tokens=tokens), pixels_per_token(diameter, CELL)
    assert (window.height, window.width, window.size) == (tokens * p, tokens * p, (16 * tokens, 16 * tokens))
    for first, length, n, at in ((window.y0, window.height, shape[0], y), (window.x0, window.width, shape[1], x)):
        assert first <= at < first + length
        if n > length:
            assert 0 <= first and first + length < n + p, "beyond the last row by part of a token at most"
        else:
            assert first <= 0 and first + length >= n
            assert abs(first + length / 2 - n / 2) <= 1.5 * p, "the frame in the middle"


@given(
    st.lists(PLACES, min_size=2, max_size=6), st.floats(3, 150), st.tuples(st.integers(16, 900), st.integers(16, 900))
)
def test_windows_of_one_scale_lie_on_one_grid(places, diameter, shape):
    p = pixels_per_token(diameter, CELL)
    for y, x in ((part_y * shape[0], part_x * shape[1]) for part_y, part_x in places):
        for window in (around(y, x, diameter, CELL, shape_yx=shape), around(y, x, diameter, CELL)):
            assert window.y0 % p == 0 == window.x0 % p


@given(PLACES, st.floats(3, 150), st.sampled_from([12, 16]))
def test_away_from_the_border_the_place_is_at_most_half_a_token_from_the_middle(place, diameter, tokens):
    p, n = pixels_per_token(diameter, CELL), 20_000
    y, x = (9000 + 500 * part for part in place)
    window = around(y, x, diameter, CELL, shape_yx=(n, n), tokens=tokens)
    assert abs(window.y0 + window.height / 2 - (y + 0.5)) <= p / 2
    assert abs(window.x0 + window.width / 2 - (x + 0.5)) <= p / 2
    assert window == around(y, x, diameter, CELL, tokens=tokens)


def test_an_object_of_the_preferred_size_is_shown_pixel_by_pixel():
    assert pixels_per_token(36, CELL) == 16
    assert pixels_per_token(72, CELL) == 32
    assert pixels_per_token(0.1, CELL) == 1
    window = around(500, 500, 36, CELL)
    assert (window.height, window.size) == (192, (192, 192))
    with pytest.raises(ValueError, match="no preferred object size: show it the whole frame"):
        pixels_per_token(36, TINY)


@given(st.floats(6, 400))
def test_a_common_diameter_is_near(diameter):
    assert 2**-0.2501 <= common_diameter(diameter, CELL) / diameter <= 2**0.2501
    assert common_diameter(common_diameter(diameter, CELL), CELL) == pytest.approx(common_diameter(diameter, CELL))


def test_common_diameters_are_few():
    diameters = np.geomspace(6, 400, 1000)
    common = {common_diameter(d, CELL) for d in diameters}
    assert len(common) <= 14
    assert 36.0 in common
    assert len({pixels_per_token(d, CELL) for d in common}) < len({pixels_per_token(d, CELL) for d in diameters}) / 4
    assert common_diameter(31, CELL) == common_diameter(42, CELL)
    assert common_diameter(50, TINY) == 50, "a model for whole frames has no scale"


@pytest.mark.parametrize(
    ("y0", "x0", "rows", "columns"),
    [
        (2, 3, (2, 12), (3, 13)),
        (-4, 15, (0, 6), (15, 20)),
        (-30, 5, (0, 1), (5, 15)),
        (40, 50, (29, 30), (19, 20)),
    ],
)
def test_what_a_window_shows_of_a_frame(y0, x0, rows, columns):
    shown = Window(y0, x0, 10, 10, (32, 32)).inside((30, 20))
    assert [(place.start, place.stop) for place in shown] == [rows, columns]


@given(st.integers(-40, 60), st.integers(-40, 60), st.integers(1, 50), st.integers(1, 50))
def test_the_pixels_a_window_shows_are_all_that_it_is_made_of(y0, x0, height, width):
    frame = torch.arange(30.0 * 20).reshape(1, 30, 20)
    window = Window(y0, x0, height, width, (height, width))
    rows, columns = window.inside((30, 20))
    moved = Window(y0 - rows.start, x0 - columns.start, height, width, window.size)
    assert torch.equal(cut(frame[:, rows, columns], [moved]), cut(frame, [window]))
