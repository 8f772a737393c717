"""What was seen of an object on a frame it was tracked to."""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from napari_sam2.followed_object import FollowedObject
from napari_sam2.overlaps import SeenMask
from sam2_torch.outputs import MaskPrediction
from sam2_torch.windows import Window, cut_mask

LOST_LOGIT = -10.0
"""At most that is an object remembered on pixels that went to another one (`_apply_non_overlapping_constraints`)."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One object on one frame.

    Attributes
    ----------
    followed
        The object.
    window
        In which it was looked for.
    prediction
        What the network said (N = 1).
    seen
        The mask in source pixels.
    """

    followed: FollowedObject
    window: Window
    prediction: MaskPrediction
    seen: SeenMask

    def is_cut(self, shape_yx: tuple[int, int]) -> bool:
        """Whether the mask comes to an edge of the window beyond which the frame (Y, X) goes on."""
        window, (rows, columns) = self.window, self.seen.place
        spans = (rows, window.y0, window.height, shape_yx[0]), (columns, window.x0, window.width, shape_yx[1])
        return any(
            (first > 0 and at.start <= first) or (first + n < end and at.stop >= first + n)
            for at, first, n, end in spans
        )

    def with_what_it_won(self, won: NDArray[np.bool_]) -> "Sighting":
        """The same without the pixels that went to other objects; `won` is of the shape of the seen logits."""
        seen, window, logits = self.seen, self.window, self.prediction.logits
        lost = (seen.logits > 0) & ~won
        if not lost.any():
            return self
        part = replace(window, y0=window.y0 - seen.offset[0], x0=window.x0 - seen.offset[1])
        shown = cut_mask(torch.from_numpy(lost).to(logits.device), part)
        is_lost = F.interpolate(shown, size=logits.shape[-2:], mode="area") >= 0.5
        clamped = torch.where(is_lost, logits.clamp(max=LOST_LOGIT), logits)
        return replace(self, prediction=replace(self.prediction, logits=clamped))
