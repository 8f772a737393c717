"""The budget of the feature cache."""

import torch

from napari_sam2.feature_cache import FeatureCache
from sam2_torch.outputs import FrameFeatures
from sam2_torch.windows import Window

WINDOW = Window(0, 0, 64, 64, (64, 64))


def features(kilobytes: int) -> FrameFeatures:
    return FrameFeatures(torch.zeros(1, kilobytes, 16, 16), torch.zeros(1, 0, 1, 1), torch.zeros(1, 0, 1, 1))


def test_the_least_recently_used_go_first():
    cache = FeatureCache(budget=3 * 1024 * 1024)
    for frame in range(3):
        cache.put(frame, WINDOW, features(1024))
    assert cache.get(0, WINDOW) is not None
    cache.put(3, WINDOW, features(1024))
    assert cache.get(1, WINDOW) is None
    assert cache.get(0, WINDOW) is not None
    assert cache.nbytes == 3 * 1024 * 1024


def test_putting_the_same_again_does_not_count_twice():
    cache = FeatureCache()
    for _ in range(5):
        cache.put(0, WINDOW, features(10))
    assert cache.nbytes == 10 * 1024


def test_one_that_is_larger_than_the_budget_is_kept_alone():
    cache = FeatureCache(budget=1024)
    cache.put(0, WINDOW, features(8))
    cache.put(1, WINDOW, features(8))
    assert cache.get(0, WINDOW) is None
    assert cache.get(1, WINDOW) is not None
    assert cache.get(1, Window(1, 0, 64, 64, (64, 64))) is None


def region_of(tokens: int, *, top: int = 0, left: int = 0) -> tuple[Window, FrameFeatures]:
    """A region of so many tokens a side, at 16 source pixels a token; its features tell their row."""
    window = Window(16 * top, 16 * left, 16 * tokens, 16 * tokens, (16 * tokens, 16 * tokens))
    levels = [
        (torch.arange(k * tokens) + k * top).float()[None, None, :, None].expand(1, 1, -1, k * tokens)
        for k in (1, 2, 4)
    ]
    return window, FrameFeatures(*levels)


def test_a_window_is_cut_from_a_region_that_holds_it():
    cache = FeatureCache()
    cache.put(7, *region_of(20, top=4, left=2))
    window = Window(16 * 9, 16 * 3, 64, 64, (64, 64))
    found = cache.get(7, window)
    assert found is not None and found.grid == (4, 4)
    assert found.stride16[0, 0, :, 0].tolist() == [9, 10, 11, 12]
    assert found.stride4[0, 0, [0, -1], 0].tolist() == [36, 51]
    assert cache.get(8, window) is None, "another frame"
    for beyond in (Window(16 * 3, 16 * 3, 64, 64, (64, 64)), Window(16 * 9, 16 * 20, 64, 64, (64, 64))):
        assert cache.get(7, beyond) is None
    assert cache.get(7, Window(16 * 9, 16 * 3, 128, 128, (64, 64))) is None, "another scale"


def test_what_was_used_of_the_last_frame_is_kept_whatever_it_takes():
    cache = FeatureCache(budget=100)
    cache.put(0, *region_of(4))
    regions = [region_of(4, left=4 * i) for i in range(4)]
    for region, found in regions[:3]:
        cache.put(1, region, found)
    assert not cache.knows(0)
    assert all(cache.get(1, region) is not None for region, _ in regions[:3])
    assert cache.nbytes == 3 * regions[0][1].nbytes
    cache.renew()
    assert cache.get(1, regions[2][0]) is not None
    cache.put(1, *regions[3])
    assert [cache.get(1, region) is not None for region, _ in regions] == [False, False, True, True]
    cache.put(2, WINDOW, features(1))
    assert not cache.knows(1) and cache.knows(2)
    assert cache.nbytes == 1024


def test_looking_at_a_frame_keeps_it_longer():
    cache = FeatureCache(budget=2 * 1024)
    for frame in (0, 1):
        cache.put(frame, WINDOW, features(1))
    cache.get(0, WINDOW)
    cache.put(2, WINDOW, features(1))
    assert [cache.knows(frame) for frame in (0, 1, 2)] == [True, False, True]
    cache.clear()
    assert cache.nbytes == 0 and not cache.knows(2)
