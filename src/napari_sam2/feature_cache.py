"""Features of frames looked at before, within a budget of memory."""

from collections import OrderedDict

from sam2_torch.outputs import FrameFeatures
from sam2_torch.windows import Window

WHOLE_FRAMES = 512 * 2**20
"""Bytes for a model that sees whole frames: 30 frames of a SAM 2 in float32, so that going back a little is quick."""

WINDOWS = 64 * 2**20
"""Bytes for a model that sees windows: some hundred of them."""


class FeatureCache:
    """Encoded windows by frame; the ones not used for longest are dropped when it holds more than `budget` bytes."""

    def __init__(self, budget: int = WINDOWS) -> None:
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

    def knows(self, frame: int) -> bool:
        """Whether any window of a frame is there."""
        return any(t == frame for t, _ in self._features)

    def clear(self) -> None:
        """Drop everything."""
        self._features.clear()
        self.nbytes = 0
