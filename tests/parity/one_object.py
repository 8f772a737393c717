"""One object of one movie, followed with the four functions of the video predictor as a caller of them does."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sam2_torch.memory_bank import FORWARD, MemoryBank, MemoryRules
from sam2_torch.network import SAM2
from sam2_torch.outputs import FrameFeatures, FrameMemory, MaskInput, MaskPrediction, PointTokens
from sam2_torch.video_predictor import memorize, segment, track


class OneObject:
    """Keeps the object's bank, stores memories in bfloat16, keeps the prediction of a prompted frame until propagation
    starts, and passes over prompted frames."""

    def __init__(self, model: SAM2, encode: Callable[[int], FrameFeatures], num_frames: int) -> None:
        self.model, self.encode, self.num_frames = model, encode, num_frames
        # The original divides pointer distances by the length of the movie where that is short.
        self.bank = MemoryBank(MemoryRules(max_pointers=min(16, num_frames)))
        self.predictions: dict[int, MaskPrediction] = {}
        self.prompted: dict[int, MaskPrediction] = {}
        self.memories: dict[int, FrameMemory] = {}

    def points(self, frame: int, xy: Sequence[tuple[float, float]], labels: Sequence[int]) -> None:
        """Clicks and box corners, x and y in pixels of the encoded image; a correction where there is a mask."""
        tokens = PointTokens(torch.tensor([xy], dtype=torch.float32), torch.tensor([labels]))
        before = self.predictions.get(frame)
        self.prompted[frame] = self.predictions[frame] = segment(
            self.model,
            self.encode(frame),
            tokens,
            memories=self.bank.select(frame, FORWARD) if before is not None else None,
            previous_logits=None if before is None else before.logits,
        )

    def mask(self, frame: int, mask: Tensor) -> None:
        """A mask (1, 1, H, W), 0 or 1, at the size of the encoded image."""
        self.prompted[frame] = self.predictions[frame] = segment(self.model, self.encode(frame), MaskInput(mask))

    def remember(self, t: int, *, prompted: bool) -> None:
        """Memorize what is known of frame t."""
        memory = memorize(self.model, self.encode(t), self.predictions[t], prompted=prompted).to(torch.bfloat16)
        self.bank.add(t, memory, prompted=prompted)
        self.memories[t] = memory

    def propagate(self, direction: int, *, last: int | None = None) -> None:
        """From the first prompted frame to `last`, by default the movie's end in that direction."""
        for t in self.prompted:
            if t not in self.bank.prompted or self.predictions[t] is not self.prompted[t]:
                self.remember(t, prompted=True)
        end = (self.num_frames - 1 if direction == FORWARD else 0) if last is None else last
        for t in range(min(self.prompted), end + direction, direction):
            if t not in self.prompted:
                self.predictions[t] = track(self.model, self.encode(t), self.bank.select(t, direction))
                self.remember(t, prompted=False)
