import gc
import threading
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_sam2 import video as video_module
from napari_sam2.contrast import rescale
from napari_sam2.errors import MovieError, NapariSam2Error
from napari_sam2.video import Video


def movie_uint8(frames=6, height=24, width=33):
    return np.random.default_rng(0).integers(10, 250, (frames, height, width)).astype(np.uint8)


class CountingArray:
    """An array that writes down which of its frames were read."""

    def __init__(self, data):
        self.data_ = data
        self.shape, self.dtype = data.shape, data.dtype
        self.reads = []

    def __getitem__(self, key):
        assert isinstance(key, int)
        self.reads.append(key)
        return self.data_[key]


def assert_is_a_frame(frame, shape_yx):
    assert frame.shape == (*shape_yx, 3)
    assert frame.dtype == np.float32
    assert frame.flags.c_contiguous
    assert np.isfinite(frame).all()
    assert frame.min() >= 0 and frame.max() <= 1


def test_error_tree():
    assert issubclass(MovieError, NapariSam2Error) and issubclass(MovieError, ValueError)


def test_a_gray_movie():
    data = movie_uint8()
    video = Video(data)
    assert (video.num_frames, len(video), video.shape_yx, video.dtype, video.rgb) == (6, 6, (24, 33), np.uint8, False)
    frame = video.frame(2)
    assert_is_a_frame(frame, (24, 33))
    low, high = video.contrast
    np.testing.assert_allclose(frame[..., 0], np.clip((data[2] - low) / (high - low), 0, 1), atol=1e-6)
    np.testing.assert_array_equal(frame[..., 0], frame[..., 2])
    assert "6 frames of 24 x 33, gray, uint8" in repr(video)


def test_the_source_is_left_alone():
    data = movie_uint8().astype(np.float32)
    data[1, 0, 0] = np.nan
    before = data.copy()
    Video(data).frame(1)
    np.testing.assert_array_equal(data, before)


SAME_PICTURE = {
    "uint8": lambda d: d,
    "uint16": lambda d: d.astype(np.uint16) * 257,
    "big-endian uint16": lambda d: (d.astype(np.uint16) * 200).astype(">u2"),
    "int16": lambda d: d.astype(np.int16) * 100 - 12000,
    "big-endian int16": lambda d: (d.astype(np.int16) - 128).astype(">i2"),
    "int64": lambda d: d.astype(np.int64) * 10**15,
    "uint32": lambda d: d.astype(np.uint32) * 2**24,
    "float16": lambda d: d.astype(np.float16),
    "float32": lambda d: d.astype(np.float32) / 1e30,
    "float64": lambda d: d.astype(np.float64) * 1e300,
    "big-endian float64": lambda d: d.astype(">f8") - 1e6,
}


@pytest.mark.parametrize("kind", SAME_PICTURE)
def test_row11_same_picture_whatever_the_type(kind):
    data = movie_uint8()
    expected = Video(data).frame(3)
    frame = Video(SAME_PICTURE[kind](data)).frame(3)
    assert_is_a_frame(frame, (24, 33))
    np.testing.assert_allclose(frame, expected, atol=2e-6)


def test_bool():
    data = np.zeros((3, 8, 9), bool)
    data[1, 2, 3] = True
    frame = Video(data).frame(1)
    assert_is_a_frame(frame, (8, 9))
    np.testing.assert_array_equal(frame[..., 1], data[1])


@pytest.mark.parametrize("dtype", [np.complex64, object, "U3", "datetime64[s]"])
def test_row10_types_that_are_no_pictures(dtype):
    with pytest.raises(MovieError, match="expected integers, real numbers or bool: convert them first"):
        Video(np.zeros((2, 8, 8), dtype))


def test_a_type_that_numpy_does_not_know():
    foreign = SimpleNamespace(shape=(2, 8, 8), dtype="bfloat17")
    with pytest.raises(MovieError, match="pixels of bfloat17: convert it to a numpy array first"):
        Video(foreign)


@pytest.mark.parametrize("shape", [(0, 8, 8), (3, 0, 8), (3, 8, 0), (0, 8, 8, 3)])
def test_row10_no_pixels(shape):
    with pytest.raises(MovieError, match="and so no pixels"):
        Video(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", [(), (64,), (64, 65), (64, 65, 3), (64, 65, 4)])
def test_no_time(shape):
    with pytest.raises(MovieError, match=r"no time axis, expected .* a movie of one frame, picture\[None\]"):
        Video(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", [(5, 3, 64, 64), (5, 2, 3, 64, 64), (5, 4, 8, 8, 3)])
def test_planes_must_be_chosen(shape):
    with pytest.raises(MovieError, match=r"choose a plane or a channel, for example .*InputChoice.* --plane 0"):
        Video(np.zeros(shape, np.uint8))


def test_rgb_said_by_the_caller():
    with pytest.raises(MovieError, match="color needs a last axis of 3 or 4, not 64"):
        Video(np.zeros((5, 3, 64, 64)), rgb=True)
    with pytest.raises(MovieError, match="choose a plane"):
        Video(np.zeros((5, 64, 64, 3)), rgb=False)
    assert Video(np.zeros((5, 64, 3)), rgb=False).shape_yx == (64, 3)


def test_axes_of_length_one_are_dropped():
    data = movie_uint8()
    np.testing.assert_array_equal(Video(data[:, None, None]).frame(4), Video(data).frame(4))


@pytest.mark.parametrize("channels", [3, 4])
def test_row12_color(channels):
    data = np.random.default_rng(0).integers(0, 256, (4, 10, 11, channels)).astype(np.uint8)
    counting = CountingArray(data)
    video = Video(counting)
    assert video.rgb and video.contrast == (0.0, 255.0) and counting.reads == []
    frame = video.frame(1)
    assert_is_a_frame(frame, (10, 11))
    np.testing.assert_allclose(frame, data[1, ..., :3] / 255, atol=1e-6)
    assert counting.reads == [1]


def test_color_of_another_type_keeps_its_hues():
    data = np.random.default_rng(0).integers(0, 4000, (4, 10, 11, 3)).astype(np.uint16)
    video = Video(data)
    low, high = video.contrast
    assert 0 <= low < 50 and 3950 < high <= 4000
    np.testing.assert_allclose(video.frame(0), np.clip((data[0] - low) / (high - low), 0, 1), atol=1e-6)


def test_contrast_is_that_of_the_movie():
    data = np.stack([np.linspace(0, 100 * (t + 1), 100 * 100).reshape(100, 100) for t in range(5)])
    video = Video(data)
    low, high = video.contrast
    assert low == pytest.approx(np.percentile(data, 0.1), abs=1)
    assert high == pytest.approx(np.percentile(data, 99.9), abs=1)
    assert video.frame(0).max() < 0.25 and video.frame(4).max() == 1


def test_contrast_of_a_rare_bright_spot():
    data = np.zeros((3, 1200, 1200), np.uint16)
    data[:, 601, 601] = 500
    video = Video(data)
    assert video.contrast == (0.0, 500.0)
    assert video.frame(0)[601, 601].tolist() == [1, 1, 1]


def test_given_contrast():
    counting = CountingArray(movie_uint8())
    video = Video(counting, contrast=(0, 1000))
    np.testing.assert_allclose(video.frame(0)[..., 0], counting.data_[0] / 1000, atol=1e-6)
    assert counting.reads == [0]
    for contrast in [(1, 1), (2, 1), (np.nan, 1), (0, np.inf)]:
        with pytest.raises(MovieError, match="is no range: expected two finite numbers, the lower first"):
            Video(counting, contrast=contrast)


@pytest.mark.parametrize("value", [0, 7, np.nan, np.inf])
def test_nothing_to_segment(value):
    video = Video(np.full((20, 8, 8), value, np.float32), name="flat.tif")
    with pytest.raises(MovieError, match=r"nothing to segment in flat.tif: all 8 frames .* constant or hold no finite"):
        video.frame(0)


@pytest.mark.parametrize("value", [0, 1e30, np.nan, -np.inf])
def test_a_single_bad_frame_is_flat(value):
    data = np.random.default_rng(0).random((4, 16, 17)).astype(np.float32)
    good = Video(data[1:]).contrast
    data[0] = value
    video = Video(data)
    assert video.contrast == good
    frame = video.frame(0)
    assert_is_a_frame(frame, (16, 17))
    assert frame.min() == frame.max() == (value == 1e30)


def test_row09_not_numbers_become_zero():
    data = np.random.default_rng(0).random((2, 16, 16)).astype(np.float32)
    data[1, 2, 3], data[1, 4, 5], data[1, 6, 7] = np.nan, np.inf, -np.inf
    frame = Video(data).frame(1)
    assert frame[2, 3].tolist() == frame[4, 5].tolist() == frame[6, 7].tolist() == [0, 0, 0]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([np.float16, np.float32, np.float64]).flatmap(
        lambda dtype: arrays(dtype, st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(5, 8)))
    )
)
def test_row09_any_floats_give_a_frame_or_a_reason(data):
    video = Video(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            frames = [video.frame(t) for t in range(len(data))]
        except MovieError as exc:
            assert "nothing to segment" in str(exc)
            return
    for frame in frames:
        assert_is_a_frame(frame, data.shape[1:])


@given(
    arrays(np.float64, (4, 4)),
    st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False)),
)
def test_any_contrast(pixels, contrast):
    low, high = sorted(contrast)
    if low < high:
        for values in (pixels, np.arange(16, dtype=np.uint8).reshape(4, 4)):
            frame = rescale(values, (low, high))
            assert frame.dtype == np.float32 and np.isfinite(frame).all() and 0 <= frame.min() <= frame.max() <= 1


def test_a_frame_is_read_once():
    counting = CountingArray(np.random.default_rng(0).random((100, 8, 8)))
    video = Video(counting)
    assert counting.reads == []
    assert video.contrast == video.contrast
    assert len(counting.reads) == len(set(counting.reads)) == 8
    assert counting.reads[0] == 0 and counting.reads[-1] == 99
    counting.reads.clear()
    video.frame(57)
    assert counting.reads == [57]


def test_row22_ten_thousand_dask_frames():
    reads = []

    def load(block_info=None):
        t = block_info[None]["array-location"][0][0]
        reads.append(t)
        return np.random.default_rng(t).integers(0, 4000, (1, 16, 16)).astype(np.uint16)

    stack = da.map_blocks(load, chunks=((1,) * 10_000, (16,), (16,)), dtype=np.uint16, meta=np.zeros((0,) * 3, "u2"))
    video = Video.open(stack)
    assert video.num_frames == 10_000 and reads == []
    assert np.isfinite(video.contrast).all()
    assert len(reads) == 8
    reads.clear()
    assert_is_a_frame(video.frame(9_876), (16, 16))
    assert reads == [9_876]


def test_row22_memory_stays_flat():
    stack = da.random.default_rng(0).random((1000, 64, 64), chunks=(1, 64, 64))
    video = Video(stack)
    video.frame(0)
    gc.collect()
    tracemalloc.start()
    try:
        for t in range(200):
            video.frame(t)
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 20 * 64 * 64 * 8


def test_row08_a_frame_that_cannot_be_read():
    def load(block, block_info=None):
        if block_info[0]["array-location"][0][0] == 3:
            raise OSError("the network is gone")
        return block

    stack = da.from_array(movie_uint8(), chunks=(1, 24, 33)).map_blocks(load, dtype=np.uint8, meta=np.zeros((0,) * 3))
    video = Video(stack, name="far.zarr")
    for t in (0, 1, 2, 4, 5):
        assert_is_a_frame(video.frame(t), (24, 33))
    with pytest.raises(
        MovieError, match=r"frame 3 of far.zarr cannot be read \(OSError: the network is gone\)"
    ) as info:
        video.frame(3)
    assert isinstance(info.value.__cause__, OSError)


def test_no_frame_can_be_read():
    class Broken(CountingArray):
        def __getitem__(self, key):
            raise OSError("unplugged")

    with pytest.raises(MovieError, match=r"frame 5 of movie cannot be read \(OSError: unplugged\)"):
        _ = Video(Broken(movie_uint8())).contrast


def test_a_frame_of_another_shape():
    class Odd(CountingArray):
        def __getitem__(self, key):
            return np.zeros((3, 3), np.uint8) if key == 2 else super().__getitem__(key)

    with pytest.raises(MovieError, match="frame 2 of movie cannot be read"):
        Video(Odd(movie_uint8())).frame(2)


@pytest.mark.parametrize("t", [-1, 6])
def test_frames_that_are_not_there(t):
    with pytest.raises(MovieError, match=f"movie has no frame {t}: it has the frames 0 to 5"):
        Video(movie_uint8()).frame(t)


def test_numpy_numbers_count_frames_fractions_do_not():
    video = Video(movie_uint8())
    np.testing.assert_array_equal(video.frame(np.int64(2)), video.frame(2))
    with pytest.raises(TypeError):
        video.frame(2.0)


def test_one_frame():
    video = Video(movie_uint8(frames=1))
    assert video.num_frames == 1
    assert_is_a_frame(video.frame(0), (24, 33))


def test_open_an_array_and_a_video():
    data = movie_uint8()
    video = Video.open(data)
    np.testing.assert_array_equal(video.frame(0), Video(data).frame(0))
    assert Video.open(video) is video
    assert Video.open(data, contrast=(0, 500)).contrast == (0, 500)


def test_open_a_layer():
    data = movie_uint8()
    video = Video.open(SimpleNamespace(data=data, rgb=False, name="phase", dtype=data.dtype))
    assert video.name == "phase" and not video.rgb
    color = np.zeros((4, 10, 11, 3), np.uint8)
    assert Video.open(SimpleNamespace(data=color, rgb=True)).rgb
    # Three pixels wide and not in color: the layer knows.
    assert Video.open(SimpleNamespace(data=data[..., :3], rgb=False)).shape_yx == (24, 3)
    with pytest.raises(MovieError, match="choose a plane"):
        Video.open(SimpleNamespace(data=color, rgb=False))


def test_row12_open_levels():
    data = movie_uint8()
    levels = [data, data[:, ::2, ::2]]
    assert Video.open(levels).shape_yx == (24, 33)
    assert Video.open(SimpleNamespace(data=levels, rgb=False, multiscale=True)).shape_yx == (24, 33)


@pytest.mark.parametrize("source", [None, 3, [], [1, 2], {"a": 1}, SimpleNamespace(data=None)])
def test_open_what_is_no_movie(source):
    with pytest.raises(MovieError, match="as a movie: expected a path, an array or a layer"):
        Video.open(source)


def test_open_a_tiff(tmp_path):
    data = movie_uint8().astype(np.uint16) * 9
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, data, photometric="minisblack")
    expected = Video(data)
    for source in (path, str(path)):
        video = Video.open(source)
        assert (video.name, video.num_frames, video.shape_yx, video.dtype) == ("cells.tif", 6, (24, 33), np.uint16)
        assert video.contrast == expected.contrast
        np.testing.assert_array_equal(video.frame(5), expected.frame(5))
        video.close()
        with pytest.raises(MovieError, match=r"frame 1 of cells.tif cannot be read"):
            video.frame(1)


def test_close_an_array():
    video = Video(movie_uint8())
    video.close()
    assert_is_a_frame(video.frame(0), (24, 33))


def test_open_a_missing_file(tmp_path):
    with pytest.raises(MovieError, match=r"cannot open the movie .*none\.tif: there is no such file or folder"):
        Video.open(tmp_path / "none.tif")


def test_open_zarr(tmp_path):
    data = movie_uint8()
    array = zarr.create_array(tmp_path / "a.zarr", data=data, chunks=(1, 24, 33))
    for source in (array, tmp_path / "a.zarr"):
        np.testing.assert_array_equal(Video.open(source).frame(2), Video(data).frame(2))


def test_many_threads(tmp_path):
    data = movie_uint8(frames=40)
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, data, photometric="minisblack", compression="zlib")
    video, expected = Video.open(path), Video(data)
    barrier = threading.Barrier(8)

    def read(first):
        barrier.wait()
        return [(t, video.frame(t)) for t in range(first, 40, 8)]

    with ThreadPoolExecutor(8) as pool:
        for frames in pool.map(read, range(8)):
            for t, frame in frames:
                np.testing.assert_array_equal(frame, expected.frame(t))
    video.close()


# --- parts of large frames ---

PART = slice(5, 17), slice(8, 30)


@pytest.fixture
def all_are_large(monkeypatch):
    """Frames of 24 x 33 count as large."""
    monkeypatch.setattr(video_module, "LARGE", 100)


def gray_movie():
    return movie_uint8(frames=3).astype(np.uint16) * 7


def color_movie(channels):
    return np.random.default_rng(1).integers(0, 255, (3, 24, 33, channels)).astype(np.uint8)


MAKERS = {
    "numpy": lambda data: data,
    "dask": lambda data: da.from_array(data, chunks=(1, 10, 11, *data.shape[3:])),
    "zarr": lambda data: zarr.array(data, chunks=(1, 10, 11, *data.shape[3:])),
}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("data", [gray_movie(), color_movie(3), color_movie(4)], ids=["gray", "color", "with alpha"])
@pytest.mark.parametrize("large", [100, 10_000])
def test_a_part_is_that_of_the_frame(kind, data, large, monkeypatch):
    monkeypatch.setattr(video_module, "LARGE", large)
    video = Video(MAKERS[kind](data), contrast=(10, 1500))
    assert video.reads_parts == (large == 100)
    part, expected = video.part(1, *PART), video.frame(1)[PART]
    assert part.dtype == np.float32 and part.flags.c_contiguous
    assert part.shape == ((3 if data.ndim == 4 else 1), 12, 22)
    for channel in range(3):
        np.testing.assert_array_equal(part[channel % len(part)], expected[..., channel])


@pytest.mark.parametrize("kind", MAKERS)
def test_the_whole_is_a_part_too(kind, all_are_large):
    video = Video(MAKERS[kind](gray_movie()), contrast=(10, 1500))
    np.testing.assert_array_equal(video.part(2, slice(None), slice(None))[0], video.frame(2)[..., 0])


def test_axes_of_length_one_do_not_matter_to_a_part(all_are_large):
    data = gray_movie()
    video = Video(data[:, None, None], contrast=(10, 1500))
    np.testing.assert_array_equal(video.part(1, *PART), Video(data, contrast=(10, 1500)).part(1, *PART))


def test_only_the_chunks_of_a_dask_array_that_a_part_touches_are_read(all_are_large):
    reads, data = [], gray_movie()

    def load(block, block_info=None):
        reads.append(tuple(first for first, _ in block_info[0]["array-location"]))
        return block

    stack = da.from_array(data, chunks=(1, 10, 11)).map_blocks(load, dtype=data.dtype, meta=np.zeros((0,) * 3, "u2"))
    video = Video(stack, contrast=(10, 1500))
    assert reads == []
    part = video.part(1, slice(12, 19), slice(9, 13))
    assert sorted(reads) == [(1, 10, 0), (1, 10, 11)]
    np.testing.assert_array_equal(part[0], video.frame(1)[12:19, 9:13, 0])


def test_row23_only_the_chunks_of_a_zarr_array_that_a_part_touches_are_read(all_are_large):
    reads = []

    class Store(zarr.storage.MemoryStore):
        async def get(self, key, *args, **kwargs):
            reads.append(key)
            return await super().get(key, *args, **kwargs)

    data = gray_movie()
    array = zarr.create_array(Store(), data=data, chunks=(1, 10, 11))
    video = Video(array, contrast=(10, 1500))
    reads.clear()
    part = video.part(1, slice(12, 19), slice(9, 13))
    assert sorted(key for key in reads if not key.endswith("json")) == ["c/1/1/0", "c/1/1/1"]
    np.testing.assert_array_equal(part[0], Video(data, contrast=(10, 1500)).frame(1)[12:19, 9:13, 0])


def test_what_takes_only_a_number_is_read_whole(all_are_large):
    counting = CountingArray(gray_movie())
    video = Video(counting, contrast=(10, 1500))
    assert not video.reads_parts
    np.testing.assert_array_equal(video.part(1, *PART)[0], video.frame(1)[PART][..., 0])
    assert counting.reads == [1, 1]
    assert Video(counting).contrast == Video(counting.data_).contrast, "how it is read does not matter to the contrast"


def test_not_numbers_of_a_part_become_zero(all_are_large):
    data = np.random.default_rng(0).random((2, 24, 33))
    data[1, 6, 9], data[1, 7, 9] = np.nan, np.inf
    part = Video(data, contrast=(0, 1)).part(1, *PART)[0]
    assert part[1, 1] == part[2, 1] == 0
    assert np.isfinite(part).all()


@pytest.mark.parametrize("kind", MAKERS)
def test_a_part_of_a_frame_that_is_not_there(kind, all_are_large):
    with pytest.raises(MovieError, match="movie has no frame 3: it has the frames 0 to 2"):
        Video(MAKERS[kind](gray_movie()), contrast=(10, 1500)).part(3, *PART)


def test_a_part_that_cannot_be_read(all_are_large):
    class Broken:
        shape, dtype, chunks = (3, 24, 33), np.dtype(np.uint8), (1, 8, 8)

        def __getitem__(self, key):
            raise OSError("unplugged")

    with pytest.raises(MovieError, match=r"frame 1 of movie cannot be read \(OSError: unplugged\)"):
        Video(Broken(), contrast=(0, 1)).part(1, *PART)


def uneven_frames(frames=2, side=900):
    """Noise that is brighter to the right and at the bottom, with a few bright spots."""
    draw, ramp = np.random.default_rng(0), np.linspace(0, 400, side)
    data = 200 + draw.normal(0, 20, (frames, side, side)) + ramp + ramp[:, None] / 2
    spots = draw.integers(5, side - 5, (frames, 400, 2))
    for frame, places in zip(data, spots, strict=True):
        for y, x in places:
            frame[y - 4 : y + 4, x - 4 : x + 4] += 1500
    return data.astype(np.uint16)


def test_row23_the_contrast_of_a_large_frame_comes_from_some_blocks(monkeypatch):
    monkeypatch.setattr(video_module, "BLOCK", 64)
    data = uneven_frames()
    low, high = Video(data).contrast
    reads = []

    def load(block, block_info=None):
        reads.append(block.size)
        return block

    stack = da.from_array(data, chunks=(1, 60, 60)).map_blocks(load, dtype=data.dtype, meta=np.zeros((0,) * 3, "u2"))
    monkeypatch.setattr(video_module, "LARGE", 500 * 500)
    for movie in (data, stack):
        blocks_low, blocks_high = Video(movie).contrast
        assert abs(blocks_low - low) < 0.05 * (high - low)
        assert abs(blocks_high - high) < 0.05 * (high - low)
    assert 0 < sum(reads) < 0.5 * data.size


def test_blocks_reach_the_corners_of_a_frame(monkeypatch):
    """A frame that is dark but for its corners."""
    monkeypatch.setattr(video_module, "BLOCK", 16)
    monkeypatch.setattr(video_module, "LARGE", 1000)
    data = np.zeros((1, 300, 400), np.uint8)
    data[0, 0, 0], data[0, -1, -1] = 100, 200
    seen = Video(data).sampled(0)
    assert seen.shape == (64, 64)
    assert seen[0, 0] == 100 and seen[-1, -1] == 200
    assert Video(data).contrast[1] > 0


@pytest.mark.parametrize("make", [np.asarray, CountingArray])
def test_row23_cells_between_the_blocks_of_a_large_flat_frame_are_seen(monkeypatch, make):
    monkeypatch.setattr(video_module, "BLOCK", 16)
    monkeypatch.setattr(video_module, "LARGE", 1000)
    data = np.zeros((2, 300, 400), np.uint8)
    data[1, 50:60, 60:70] = 90
    assert Video(make(data)).contrast == (0, 90)
    with pytest.raises(MovieError, match="nothing to segment"):
        _ = Video(make(np.zeros_like(data))).contrast


def test_a_large_frame_may_be_narrower_than_a_block(all_are_large):
    data = movie_uint8(frames=2, height=30, width=400)
    low, high = Video(data).contrast
    assert data.min() <= low < high <= data.max()


def test_large_frames_are_sampled_alike_whether_they_are_read_in_parts_or_not(monkeypatch):
    monkeypatch.setattr("napari_sam2.video.LARGE", 100)
    data = np.random.default_rng(0).integers(0, 9999, (2, 1300, 1200), np.uint16)
    in_parts, whole = Video(data), Video(CountingArray(data))
    assert in_parts.reads_parts and not whole.reads_parts
    assert in_parts.sampled(1).shape == (1024, 1024)
    np.testing.assert_array_equal(whole.sampled(1), in_parts.sampled(1))
    assert whole.contrast == in_parts.contrast
