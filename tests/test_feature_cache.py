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
