"""What the network is shown of each object of a batch: the whole frame, or a window that follows it."""

from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor

from napari_sam2.training.settings import TrainSettings
from sam2_torch.config import SAM2Config
from sam2_torch.mosaic import cut_from
from sam2_torch.outputs import FrameFeatures, MaskPrediction, PointTokens, stack_features
from sam2_torch.windows import STRIDE, Window, around, cut_mask

USUAL_SHARE = 0.75
"""Of the batches, how many see windows of the usual size; the others see them as large as the model was trained on."""


class View(ABC):
    """N objects on T frames, each looked at in some part of its frame."""

    _shown: tuple[int, FrameFeatures] | None = None

    def features(self, t: int) -> FrameFeatures:
        """What each object is shown of frame `t`: B is N."""
        if self._shown is None or self._shown[0] != t:
            self._shown = t, self._show(t)
        return self._shown[1]

    @abstractmethod
    def _show(self, t: int) -> FrameFeatures: ...

    @abstractmethod
    def cut(self, masks: Tensor) -> Tensor:
        """The parts (N, h, w) of masks (N, H, W) bool that are shown."""

    @abstractmethod
    def told(self, tokens: PointTokens) -> PointTokens:
        """Clicks and boxes on the frame as they lie on what is shown."""

    @abstractmethod
    def look_at(self, xy: Tensor) -> None:
        """Show the surroundings of (x, y), (N, 2), pixels of the frame."""

    @abstractmethod
    def follow(self, prediction: MaskPrediction) -> None:
        """Show next what lies around the mask found, where there is one."""


class WholeFrames(View):
    """Each object is shown the whole frame."""

    def __init__(self, encoded: FrameFeatures, rows: Tensor) -> None:
        """`rows` (N,): the place of each object's first frame among those encoded."""
        self._encoded, self._rows = encoded, rows

    def _show(self, t: int) -> FrameFeatures:
        return self._encoded.select(self._rows + t)

    def cut(self, masks: Tensor) -> Tensor:
        """See `View`."""
        return masks

    def told(self, tokens: PointTokens) -> PointTokens:
        """See `View`."""
        return tokens

    def look_at(self, xy: Tensor) -> None:
        """See `View`."""

    def follow(self, prediction: MaskPrediction) -> None:
        """See `View`."""


class Windows(View):
    """Each object is shown a window cut from features of the whole frame, centred where it was last seen.

    As `TrackingSession` does: on the grid of tokens, within the frame, with positions told in a frame such as the
    model was trained on. An object that was not found is looked for in the same place again.
    """

    def __init__(
        self, encoded: FrameFeatures, rows: list[int], config: SAM2Config, *, tokens: int, image_size: int
    ) -> None:
        if config.object_diameter is None:
            raise ValueError(f"{config.name} has no preferred object size: it sees whole frames")
        self._frames, self._rows, self._tokens = encoded.split(), rows, tokens
        self._config, self._diameter, self._size = config, config.object_diameter, (image_size, image_size)
        self._region = Window(0, 0, *self._size, self._size)
        self.windows = [self._around(image_size / 2, image_size / 2) for _ in rows]

    def _show(self, t: int) -> FrameFeatures:
        parts = []
        for row, window in zip(self._rows, self.windows, strict=True):
            part = cut_from(self._frames[row + t], self._region, window)
            if part is None:
                raise RuntimeError(f"{window} does not lie within the frame")
            parts.append(part.told_in(self._config.image_size))
        return stack_features(parts)

    def cut(self, masks: Tensor) -> Tensor:
        """See `View`."""
        shown = [cut_mask(mask, window) for mask, window in zip(masks, self.windows, strict=True)]
        return torch.cat(shown)[:, 0] > 0.5

    def told(self, tokens: PointTokens) -> PointTokens:
        """See `View`."""
        return PointTokens(tokens.xy - self._corners(tokens.xy.device)[:, None], tokens.labels)

    def look_at(self, xy: Tensor) -> None:
        """See `View`."""
        self._move([self._around(y, x) for x, y in xy.tolist()])

    def follow(self, prediction: MaskPrediction) -> None:
        """See `View`."""
        found = prediction.logits.detach()[:, 0] > 0
        middle = 4 * _middle(found) + 1.5 + self._corners(found.device)
        is_there = found.flatten(1).any(1) & (prediction.object_score > 0)
        moved = zip(middle.tolist(), is_there.tolist(), self.windows, strict=True)
        self._move([self._around(y, x) if seen else window for (x, y), seen, window in moved])

    def _move(self, windows: list[Window]) -> None:
        self.windows, self._shown = windows, None

    def _around(self, y: float, x: float) -> Window:
        return around(y, x, self._diameter, self._config, shape_yx=self._size, tokens=self._tokens)

    def _corners(self, device: torch.device) -> Tensor:
        return torch.tensor([[w.x0, w.y0] for w in self.windows], dtype=torch.float32, device=device)


def middle_of(masks: Tensor) -> Tensor:
    """Centroids (x, y) of masks (N, H, W) bool, of empty ones the middle of the frame: (N, 2)."""
    empty = ~masks.flatten(1).any(1)
    return _middle(masks | empty[:, None, None])


def view_of(encoded: FrameFeatures, rows: Tensor, config: SAM2Config, settings: TrainSettings, rng: Generator) -> View:
    """The view of a batch, by the settings.

    Parameters
    ----------
    encoded
        All frames of all clips.
    rows : (N,)
        The place of each object's first frame among them.
    """
    if not settings.surroundings:
        return WholeFrames(encoded, rows)
    usual = float(torch.rand(1, generator=rng, device=rng.device)) < USUAL_SHARE
    tokens = config.window_tokens if usual else config.image_size // STRIDE
    return Windows(encoded, rows.tolist(), config, tokens=tokens, image_size=settings.frame_size)


def _middle(masks: Tensor) -> Tensor:
    """Centroids (x, y) of masks (N, H, W), 0 for empty ones."""
    shown = masks.float()
    count = shown.sum((1, 2)).clamp(min=1)
    rows, columns = (torch.arange(n, device=masks.device, dtype=torch.float32) for n in masks.shape[1:])
    return torch.stack([shown.sum(1) @ columns / count, shown.sum(2) @ rows / count], 1)
