"""Row 22: dask arrays in which it takes long to find a frame."""

import warnings

import dask
import dask.array as da
import numpy as np
import pytest

from napari_sam2.errors import NapariSam2Warning
from napari_sam2.input_choice import InputChoice
from napari_sam2.io import dask_movie
from napari_sam2.video import Video

FRAMES = np.random.default_rng(0).integers(0, 200, (6, 8, 9)).astype(np.uint8)


def stack():
    read = dask.delayed(lambda t: FRAMES[t])
    return da.stack([da.from_delayed(read(t), (8, 9), np.uint8) for t in range(6)])


@pytest.fixture
def lookups(monkeypatch):
    """Let the clock stand still but for the time that each lookup takes; those left over stay in the list."""

    def take(*seconds):
        ticks = [tick for s in seconds for tick in (0.0, s)]
        monkeypatch.setattr(dask_movie, "thread_time", lambda: ticks.pop(0))
        return ticks

    return take


@pytest.mark.parametrize("open_video", [Video, Video.open])
def test_row22_a_graph_that_takes_long_is_warned_of_once(lookups, open_video):
    lookups(1.5, 1.25)
    with pytest.warns(NapariSam2Warning, match=r"takes 1.2 s, .* with dask\.array\.map_blocks .* as zarr") as told:
        video = open_video(stack(), contrast=(0, 255))
        frames = [video.frame(t)[..., 0] for t in range(6)]
    assert len(told) == 1
    np.testing.assert_allclose(frames, FRAMES / 255, atol=1e-6)


def test_row22_planes_and_channels_of_one_array_are_one_graph(lookups):
    lookups(1.5, 1.25)
    deep = stack()[:, None, None].repeat(2, axis=1)
    with pytest.warns(NapariSam2Warning, match="takes 1.2 s") as told:
        video = Video.open(deep, InputChoice("TCZYX", channels=(0, 1), contrasts=((0, 255), (0, 255))))
        for t in range(3):
            video.frame(t)
    assert len(told) == 1


@pytest.mark.parametrize("seconds", [(3.0, 0.1), (0.1, 3.0), (0.1, 0.1)])
def test_row22_one_quick_lookup_is_enough(lookups, seconds):
    """The first lookup of all imports what dask needs."""
    ticks = lookups(*seconds)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        video = Video.open(stack(), contrast=(0, 255))
        for t in range(6):
            video.frame(t)
    assert not ticks


def test_row22_parts_of_large_frames_are_looked_up_alike(lookups):
    lookups(1.5, 1.25)
    large = da.zeros((3, 2100, 2100), chunks=(1, 700, 700), dtype=np.uint8)
    video = Video(large, contrast=(0, 255))
    assert video.reads_parts
    with pytest.warns(NapariSam2Warning, match="takes 1.2 s"):
        for t in range(2):
            assert video.part(t, slice(0, 9), slice(4, 9)).shape == (1, 9, 5)
