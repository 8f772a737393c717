"""Features of frames looked at before, within a budget of memory."""

from collections import OrderedDict

from sam2_torch.outputs import FrameFeatures
from sam2_torch.windows import Window

DEFAULT_BUDGET = 64 * 2**20
"""Bytes: three whole frames of a SAM 2, or some hundred windows of the bundled model."""


class FeatureCache:
    """Encoded windows by frame; the ones not used for longest are dropped when it holds more than `budget` bytes."""

    def __init__(self, budget: int = DEFAULT_BUDGET) -> None:
        self.budget = budget
        self.nbytes = 0
        self._features: OrderedDict[tuple[int, Window], FrameFeatures] = OrderedDict()

    def get(self, frame: int, window: Window) -> FrameFeatures | None:
        """Features of a window of a frame (B = 1), if they are still there."""
        features = self._features.get((frame, window))
        if features is not None:
            self._features.move_to_end((frame, window))
        return features

    def put(self, frame: int, window: Window, features: FrameFeatures) -> None:
        """Keep the features of a window."""
        self.nbytes += features.nbytes
        old = self._features.pop((frame, window), None)
        self.nbytes -= old.nbytes if old is not None else 0
        self._features[frame, window] = features
        while self.nbytes > self.budget and len(self._features) > 1:
            self.nbytes -= self._features.popitem(last=False)[1].nbytes
