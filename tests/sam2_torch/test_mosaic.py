"""The mosaic: windows are covered by few regions, and what is cut from a region is what the frame has there."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2.contrast import rescale
from napari_sam2.models import load_model
from napari_sam2.synthetic import MovieSpec, render_movie
from napari_sam2.video import Video
from sam2_torch.config import CELL
from sam2_torch.mosaic import CONTEXT, cover, cut_from, scale_of
from sam2_torch.outputs import FrameFeatures, PointTokens, stack_features
from sam2_torch.video_predictor import encode_frame, segment
from sam2_torch.windows import STRIDE, Window, around, cut

PASS = 64
"""Tokens of area that a pass costs beside those it encodes."""
REACH = 34
"""Tokens beyond which the trunk sees nothing."""
P = 16
"""Source pixels a token at a diameter of 36, as many as model pixels."""


def window_at(top: int, left: int, side: int = 12, p: int = P) -> Window:
    return Window(top * p, left * p, side * p, side * p, (side * STRIDE, side * STRIDE))


def box_of(window: Window, p: int) -> tuple[int, int, int, int]:
    """Top, left, bottom, right in tokens."""
    corner = window.y0 // p, window.x0 // p
    return *corner, corner[0] + window.size[0] // STRIDE, corner[1] + window.size[1] // STRIDE


def cost(regions: list[Window]) -> int:
    return sum(PASS + region.size[0] * region.size[1] // STRIDE**2 for region in regions)


def numbered(region: Window) -> FrameFeatures:
    """Features of a region that tell where in the frame they are from, in steps of their own stride."""
    p = scale_of(region)
    height, width = region.size[0] // STRIDE, region.size[1] // STRIDE
    levels = []
    for k in (1, 2, 4):
        y = k * (region.y0 // p) + torch.arange(k * height)
        x = k * (region.x0 // p) + torch.arange(k * width)
        levels.append(torch.stack(torch.meshgrid(y, x, indexing="ij"))[None].float())
    return FrameFeatures(*levels)


@st.composite
def windows_on_a_frame(draw):
    """Windows of one scale as `around` makes them, some of another size, and the frame's shape."""
    shape = draw(st.tuples(st.integers(20, 2500), st.integers(20, 2500)))
    diameter = draw(st.sampled_from([3, 9, 20, 36, 50, 110]))
    place = st.tuples(st.floats(0, shape[0] - 1), st.floats(0, shape[1] - 1))
    looks = draw(st.lists(st.tuples(place, st.sampled_from([12, 12, 12, 16])), min_size=1, max_size=25))
    return [around(*yx, diameter, CELL, shape_yx=shape, tokens=tokens) for yx, tokens in looks], shape


@given(windows_on_a_frame(), st.integers(0, 4), st.integers(13, 96))
def test_every_window_lies_in_a_region_whole(scene, context, max_side):
    windows, shape = scene
    p = scale_of(windows[0])
    regions = cover(windows, shape, context=context, max_side=max_side)
    for window in windows:
        assert any(cut_from(numbered(r), r, window) is not None for r in regions)
    for region in regions:
        assert scale_of(region) == p
        assert all(place % 2 == 0 for place in box_of(region, p))
        sides = [side // STRIDE for side in region.size]
        alone = [cover([w], shape, context=context)[0] for w in windows]
        assert max(sides) <= max_side or region in alone


@given(windows_on_a_frame())
def test_regions_cost_no_more_than_one_for_each_window(scene):
    windows, shape = scene
    alone = {cover([window], shape)[0] for window in windows}
    together = cover(windows, shape)
    assert cost(together) <= cost(list(alone))
    assert len(together) <= len(alone)
    assert cover(windows[::-1], shape) == together, "the order of the objects does not matter"


@given(windows_on_a_frame())
def test_a_region_has_context_wherever_the_frame_goes_on(scene):
    windows, shape = scene
    p = scale_of(windows[0])
    regions = [box_of(region, p) for region in cover(windows, shape)]
    end_y, end_x = (-(-n // p) for n in shape)
    for top, left, bottom, right in (box_of(window, p) for window in windows):
        assert any(
            r_top <= max(min(top, 0), top - CONTEXT)
            and r_left <= max(min(left, 0), left - CONTEXT)
            and r_bottom >= min(max(bottom, end_y), bottom + CONTEXT)
            and r_right >= min(max(right, end_x), right + CONTEXT)
            for r_top, r_left, r_bottom, r_right in regions
        )


@given(windows_on_a_frame())
def test_what_is_cut_from_a_region_is_of_the_windows_place(scene):
    windows, shape = scene
    regions = cover(windows, shape)
    for window in windows:
        cuts = [found for r in regions if (found := cut_from(numbered(r), r, window)) is not None]
        assert cuts
        for found in cuts:
            expected = numbered(window)
            for level in ("stride16", "stride8", "stride4"):
                assert torch.equal(getattr(found, level), getattr(expected, level))


def test_scattered_windows_get_a_region_each_and_dense_ones_one_for_all():
    shape = (8000, 8000)
    scattered = [window_at(top, left) for top in (20, 150, 400) for left in (30, 200, 450)]
    assert len(cover(scattered, shape)) == 9
    dense = [window_at(top, left) for top in range(20, 50, 6) for left in range(30, 70, 6)]
    (region,) = cover(dense, shape)
    assert box_of(region, P) == (18, 28, 58, 80)
    assert len(cover([*dense, window_at(400, 400)], shape)) == 2, "one far away does not break the others up"


def test_equal_windows_are_encoded_once():
    assert len(cover([window_at(4, 6)] * 5, (2000, 2000))) == 1


@given(st.sampled_from([12, 32, 48, 60, 62, 64]), st.lists(st.tuples(*[st.integers(-40, 200)] * 2), min_size=1))
def test_regions_of_one_side_hold_windows_of_any_size(tokens, places):
    """For a trunk that knows how large its image is; windows on odd tokens too."""
    windows = [window_at(top, left, tokens) for top, left in places]
    regions = cover(windows, (180 * P, 150 * P), side=64)
    assert {region.size for region in regions} == {(64 * STRIDE, 64 * STRIDE)}
    for window in windows:
        assert any(cut_from(numbered(region), region, window) is not None for region in regions)


def test_nothing_needs_no_region():
    assert cover([], (100, 100)) == []


def test_windows_on_no_grid_are_regions_themselves():
    odd = Window(3, 5, 150, 150, (192, 192))
    assert scale_of(odd) is None
    assert scale_of(Window(3, 0, 192, 192, (192, 192))) is None, "off the grid"
    assert scale_of(Window(0, 0, 192, 180, (192, 192))) is None, "squeezed"
    assert cover([odd, odd], (300, 300)) == [odd]


def test_a_window_is_not_cut_from_where_it_is_not():
    region = window_at(10, 10, 20)
    features = numbered(region)
    assert cut_from(features, region, region) is features
    for top, left in ((9, 12), (12, 9), (19, 12), (12, 19)):
        assert cut_from(features, region, window_at(top, left)) is None
    assert cut_from(features, region, window_at(12, 12, p=8)) is None, "another scale"


def test_a_stack_of_cuts_is_a_batch():
    region = window_at(0, 0, 30)
    parts = [cut_from(numbered(region), region, window_at(top, 3)) for top in (2, 7)]
    stacked = stack_features(parts)
    assert stacked.stride16.shape == (2, 2, 12, 12)
    assert stacked.stride4.shape == (2, 2, 48, 48)
    assert stacked.stride8[:, 0, 0, 0].tolist() == [4, 14]
    assert stack_features(parts[:1]) is parts[0]


@pytest.fixture(scope="module")
def cell():
    return load_model("cell", device="cpu")


def texture(height: int, width: int) -> torch.Tensor:
    """A gray frame (3, height, width) of spots at several scales."""
    draw = torch.Generator().manual_seed(0)
    frame = torch.zeros(1, 1, height, width)
    for side in (4, 16, 64):
        noise = torch.rand(1, 1, height // side, width // side, generator=draw)
        frame += torch.nn.functional.interpolate(noise, size=(height, width), mode="bilinear") / 3
    return frame[0].expand(3, -1, -1)


def features_from(model, frame: torch.Tensor, region: Window, window: Window) -> FrameFeatures:
    with torch.inference_mode():
        features = encode_frame(model, cut(frame, [region]))
    found = cut_from(features, region, window)
    assert found is not None
    return found


@pytest.mark.slow
def test_features_do_not_know_of_a_regions_border_beyond_the_trunks_reach(cell):
    height, width = 54, 90
    frame = texture(height * P, width * P)
    whole = Window(0, 0, height * P, width * P, (height * P, width * P))
    window = window_at(0, 38)
    far = Window(0, 4 * P, (12 + REACH) * P, 80 * P, ((12 + REACH) * P, 80 * P))
    near = cover([window], (height * P, width * P))[0]
    expected = features_from(cell, frame, whole, window)
    found = features_from(cell, frame, far, window)
    for level in ("stride16", "stride8", "stride4"):
        assert torch.allclose(getattr(found, level), getattr(expected, level), atol=1e-4, rtol=0)
    close = features_from(cell, frame, near, window)
    assert (close.stride16 - expected.stride16).abs().max() > 1e-3, "nearer by, they do"


@pytest.mark.slow
def test_masks_do_not_show_where_a_region_ends(cell):
    """A click's mask is the same whether the window lies at the border of a small region or within a big one."""
    ious = np.concatenate([seam_ious(cell, seed) for seed in range(11, 16)])
    assert len(ious) > 100
    assert np.median(ious) >= 0.95
    assert (ious >= 0.85).mean() >= 0.97
    assert min(ious) >= 0.75


def seam_ious(model, seed: int) -> list[float]:
    """Of each cell of a movie, the agreement of its mask from a region of its own and from all of the frame."""
    spec = MovieSpec(seed=seed, num_frames=1, shape_yx=(576, 576), diameter=36.0, num_cells=24)
    movie = render_movie(spec)
    low, high = Video(movie.frames).contrast
    frame = torch.from_numpy(rescale(movie.frames[0], (low, high)))[None].expand(3, -1, -1)
    shape = spec.shape_yx
    whole = Window(0, 0, *shape, shape)
    with torch.inference_mode():
        everywhere = encode_frame(model, cut(frame, [whole]))
    ious = []
    for label in np.unique(movie.labels[0])[1:]:
        ys, xs = np.nonzero(movie.labels[0] == label)
        y, x = ys.mean(), xs.mean()
        if len(ys) < 200 or movie.labels[0][int(y), int(x)] != label:
            continue
        window = around(y, x, spec.diameter, CELL, shape_yx=shape)
        (region,) = cover([window], shape)
        masks = [
            clicked(model, features, window, y, x)
            for features in (cut_from(everywhere, whole, window), features_from(model, frame, region, window))
        ]
        ious.append(float((masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()))
    return ious


def clicked(model, features: FrameFeatures, window: Window, y: float, x: float) -> torch.Tensor:
    tokens = CELL.image_size // STRIDE
    shown = FrameFeatures(features.stride16, features.stride8, features.stride4, (tokens, tokens))
    point = PointTokens(torch.tensor([[window.to_model(y, x)]], dtype=torch.float32), torch.ones(1, 1, dtype=torch.int))
    with torch.inference_mode():
        mask = segment(model, shown, point).logits[0, 0] > 0
    assert mask.any(), "there is a cell"
    return mask
