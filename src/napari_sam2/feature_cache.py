"""Features of frames looked at before, within a budget of memory."""

from collections import OrderedDict

from sam2_torch.mosaic import cut_from
from sam2_torch.outputs import FrameFeatures
from sam2_torch.windows import Window

WHOLE_FRAMES = 512 * 2**20
"""Bytes for a model that sees whole frames: 30 frames of a SAM 2 in float32, so that going back a little is quick."""

WINDOWS = 128 * 2**20
"""Bytes for a model that sees windows: some hundred of them, or 15 megapixels of frames encoded all over."""


class FeatureCache:
    """Encoded regions by frame; frames not used for longest are dropped when it holds more than `budget` bytes.

    The frame used last is kept whatever it takes.
    """

    def __init__(self, budget: int = WINDOWS) -> None:
        self.budget = budget
        self.nbytes = 0
        self._frames: OrderedDict[int, dict[Window, FrameFeatures]] = OrderedDict()

    def get(self, frame: int, window: Window) -> FrameFeatures | None:
        """Features of a window of a frame (B = 1), if a region that holds it is still there."""
        for region, features in self._frames.get(frame, {}).items():
            found = cut_from(features, region, window)
            if found is not None:
                self._frames.move_to_end(frame)
                return found
        return None

    def put(self, frame: int, region: Window, features: FrameFeatures) -> None:
        """Keep the features of a region."""
        regions = self._frames.setdefault(frame, {})
        self._frames.move_to_end(frame)
        self.nbytes += features.nbytes - (regions[region].nbytes if region in regions else 0)
        regions[region] = features
        while self.nbytes > self.budget and len(self._frames) > 1:
            _, dropped = self._frames.popitem(last=False)
            self.nbytes -= sum(known.nbytes for known in dropped.values())

    def knows(self, frame: int) -> bool:
        """Whether any region of a frame is there."""
        return frame in self._frames

    def clear(self) -> None:
        """Drop everything."""
        self._frames.clear()
        self.nbytes = 0
