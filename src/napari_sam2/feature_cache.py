"""Features of frames looked at before, within a budget of memory."""

from collections import OrderedDict
from collections.abc import Collection

from sam2_torch.mosaic import cut_from
from sam2_torch.outputs import FrameFeatures
from sam2_torch.windows import Window

WHOLE_FRAMES = 512 * 2**20
"""Bytes for a model that sees whole frames: 30 frames of a SAM 2 in float32, so that going back a little is quick."""

WINDOWS = 64 * 2**20
"""Bytes for a model that sees windows: some hundred of them, or 8 megapixels of frames encoded all over."""


class FeatureCache:
    """Encoded regions by frame; those not used for longest are dropped when it holds more than `budget` bytes.

    What was used of the last frame since `renew` is kept, whatever it takes. Regions encoded ahead, for clicks that may
    never come, take half of the budget at most, and are found only by whoever would encode that very region: no number
    depends on whether they are there.
    """

    def __init__(self, budget: int = WINDOWS) -> None:
        self.budget = budget
        self.nbytes = 0
        self._frames: dict[int, dict[Window, FrameFeatures]] = {}
        # In the order of use, with how often `renew` had been called.
        self._used: OrderedDict[tuple[int, Window], int] = OrderedDict()
        self._turn = 0
        self._ahead: set[tuple[int, Window]] = set()

    def renew(self) -> None:
        """From now on what was used before may be dropped."""
        self._turn += 1

    def get(self, frame: int, window: Window) -> FrameFeatures | None:
        """Features of a window of a frame (B = 1), if a region that holds it is still there."""
        for region, features in self._frames.get(frame, {}).items():
            found = None if (frame, region) in self._ahead else cut_from(features, region, window)
            if found is not None:
                self._use(frame, region)
                return found
        return None

    def put(self, frame: int, region: Window, features: FrameFeatures) -> None:
        """Keep the features of a region."""
        self._drop(frame, region)
        self._frames.setdefault(frame, {})[region] = features
        self.nbytes += features.nbytes
        self._use(frame, region)
        while self.nbytes > self.budget:
            (oldest, window), turn = next(iter(self._used.items()))
            if oldest == frame and turn == self._turn:
                break
            self._drop(oldest, window)

    def put_ahead(self, frame: int, region: Window, features: FrameFeatures) -> bool:
        """Keep the features of a region for a click that may come; returns whether there was room for them."""
        taken = sum(self._frames[t][ahead].nbytes for t, ahead in self._ahead)
        if taken + features.nbytes > self.budget / 2:
            return False
        self.put(frame, region, features)
        self._ahead.add((frame, region))
        return True

    def has_ahead(self, frame: int, region: Window) -> bool:
        """Whether a region was encoded ahead."""
        return (frame, region) in self._ahead

    def take_ahead(self, frame: int, region: Window) -> bool:
        """Let a region be as any other from now on, if it was encoded ahead; returns whether it was."""
        if not self.has_ahead(frame, region):
            return False
        self._ahead.discard((frame, region))
        self._use(frame, region)
        return True

    def leave_ahead(self, but: Collection[int]) -> None:
        """Drop what was encoded ahead, but for some frames."""
        for frame, region in [key for key in self._ahead if key[0] not in but]:
            self._drop(frame, region)

    def knows(self, frame: int) -> bool:
        """Whether any region of a frame is there that was not encoded ahead."""
        return any((frame, region) not in self._ahead for region in self._frames.get(frame, {}))

    def clear(self) -> None:
        """Drop everything."""
        self._frames.clear()
        self._used.clear()
        self._ahead.clear()
        self.nbytes = 0

    def _use(self, frame: int, region: Window) -> None:
        self._used[frame, region] = self._turn
        self._used.move_to_end((frame, region))

    def _drop(self, frame: int, region: Window) -> None:
        regions = self._frames.get(frame, {})
        if region in regions:
            self.nbytes -= regions.pop(region).nbytes
            del self._used[frame, region]
            self._ahead.discard((frame, region))
            if not regions:
                del self._frames[frame]
