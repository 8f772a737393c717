"""What the network makes of masks that it is given as the answer, many of one frame at once."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sam2.frame_encoder import FrameEncoder
from napari_sam2.network_runs import NetworkRuns, checked
from napari_sam2.prompts import MaskPrompt
from napari_sam2.window_choice import WindowChoice
from sam2_torch.outputs import FrameFeatures, MaskInput, MaskPrediction
from sam2_torch.windows import Window, by_size, cut_mask


class PaintedMasks:
    """Answers to mask prompts; those made ahead are kept until they are asked for, or others are made.

    Parameters
    ----------
    segment
        The network's answer to masks, from the features of their windows.
    """

    def __init__(
        self,
        encoder: FrameEncoder,
        windows: WindowChoice,
        runs: NetworkRuns,
        segment: Callable[[FrameFeatures, MaskInput], MaskPrediction],
    ) -> None:
        self._encoder = encoder
        self._windows = windows
        self._runs = runs
        self._segment = segment
        self._ahead: dict[tuple[Window, MaskPrompt], MaskPrediction] = {}

    def answer_ahead(self, frame: int, masks: Iterable[MaskPrompt]) -> None:
        """Look at all masks of a frame at once, each where an object is looked at of which nothing else is known."""
        looks = [(self._windows.of_painted(mask), mask) for mask in masks]
        self._ahead.clear()
        if len(looks) < 2:
            return
        self._encoder.prepare(frame, [window for window, _ in looks])
        for group in by_size(looks, lambda look: look[0]):
            answers = self._runs.in_batches(group, partial(self._answer, frame))
            self._ahead |= dict(zip(group, answers, strict=True))

    def answer(self, frame: int, mask: MaskPrompt, window: Window) -> MaskPrediction:
        """The answer to a mask in a window (N = 1)."""
        known = self._ahead.pop((window, mask), None)
        return self._answer(frame, [(window, mask)])[0] if known is None else known

    def given(self, frame: int, crop: NDArray[np.bool_], offset: tuple[int, int], window: Window) -> MaskPrediction:
        """The same of any mask, which is `crop` (h, w) from the pixel `offset` (y, x) on."""
        features = self._encoder.encode(frame, [window])
        return checked(self._segment(features, MaskInput(self._shown(crop, offset, window))))

    def _answer(self, frame: int, looks: Sequence[tuple[Window, MaskPrompt]]) -> list[MaskPrediction]:
        features = self._encoder.encode(frame, [window for window, _ in looks])
        masks = torch.cat([self._shown(mask.crop, mask.offset, window) for window, mask in looks])
        prediction = checked(self._segment(features, MaskInput(masks))).without_candidates()
        return [prediction.select([i]) for i in range(len(looks))]

    def _shown(self, crop: NDArray[np.bool_], offset: tuple[int, int], window: Window) -> Tensor:
        there = replace(window, y0=window.y0 - offset[0], x0=window.x0 - offset[1])
        return cut_mask(torch.from_numpy(crop.copy()).to(self._encoder.model.device), there)
