"""What flows between the steps of the predictors: frozen values, shapes in the docstrings."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class FrameFeatures:
    """One frame, encoded once, whoever asks; B is 1 (shared by all objects) or the number of objects.

    Attributes
    ----------
    stride16 : (B, C, h, w)
    stride8 : (B, C / 4, 2h, 2w)
    stride4 : (B, C / 8, 4h, 4w)
    whole
        Height and width in tokens of the frame whose middle these are, a frame such as the model was trained on; by
        default they are all of it. Positions of tokens and prompts are told in that frame.
    """

    stride16: Tensor
    stride8: Tensor
    stride4: Tensor
    whole: tuple[int, int] | None = None

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of the token grid at stride 16."""
        return self.stride16.shape[2], self.stride16.shape[3]

    @property
    def frame(self) -> tuple[int, int]:
        """Height and width in tokens of the frame in which positions are told."""
        return self.whole or self.grid

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the encoded image in pixels."""
        return 16 * self.stride16.shape[2], 16 * self.stride16.shape[3]

    @property
    def nbytes(self) -> int:
        """Memory that the three maps take."""
        return sum(x.numel() * x.element_size() for x in (self.stride16, self.stride8, self.stride4))

    def select(self, rows: list[int] | Tensor) -> "FrameFeatures":
        """The features of some objects; shared features stay shared."""
        if len(self.stride16) == 1:
            return self
        return replace(self, stride16=self.stride16[rows], stride8=self.stride8[rows], stride4=self.stride4[rows])

    def cut(self, top: int, left: int, grid: tuple[int, int]) -> "FrameFeatures":
        """A part of `grid` tokens that begins at row `top` and column `left`."""

        def part(level: Tensor, k: int) -> Tensor:
            return level[:, :, k * top : k * (top + grid[0]), k * left : k * (left + grid[1])]

        return FrameFeatures(part(self.stride16, 1), part(self.stride8, 2), part(self.stride4, 4))

    def split(self) -> list["FrameFeatures"]:
        """One for each of the B frames."""
        levels = zip(self.stride16.split(1), self.stride8.split(1), self.stride4.split(1), strict=True)
        return [FrameFeatures(*level, self.whole) for level in levels]

    def told_in(self, image_size: int) -> "FrameFeatures":
        """The same as the middle of a frame of `image_size` pixels, if they are less than that."""
        tokens = image_size // 16
        return self if self.grid[0] >= tokens else replace(self, whole=(tokens, tokens))


def stack_features(parts: list[FrameFeatures]) -> FrameFeatures:
    """One batch from features of one size."""
    if len(parts) == 1:
        return parts[0]
    levels = [torch.cat([getattr(p, level) for p in parts]) for level in ("stride16", "stride8", "stride4")]
    return FrameFeatures(levels[0], levels[1], levels[2], parts[0].whole)


@dataclass(frozen=True, slots=True)
class PointTokens:
    """Clicks and boxes as the network takes them.

    Attributes
    ----------
    xy : (N, P, 2) float, pixels of the encoded image, centres on integers
    labels : (N, P) int, 0 negative, 1 positive, 2 and 3 first and last corner of a box, -1 none
    """

    xy: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True)
class MaskInput:
    """A mask given as the answer itself: (N, 1, H, W) float 0 or 1 at the size of the encoded image."""

    mask: Tensor


@dataclass(frozen=True, slots=True)
class MaskPrediction:
    """Masks of N objects on one frame.

    Attributes
    ----------
    logits : (N, 1, 4h, 4w)
        Mask logits at stride 4; -1024 everywhere where the object is absent.
    predicted_iou : (N,)
        The model's own estimate of the mask's IoU, 0..1.
    object_score : (N,)
        Logit; at or below 0, or what was given for that, the object is absent.
    pointer : (N, C)
        Object pointer, what later frames remember of the object itself.
    candidates : (N, M, 4h, 4w)
        All M masks considered, before absence is applied; `logits` is the chosen one.
    candidate_ious : (N, M)
    """

    logits: Tensor
    predicted_iou: Tensor
    object_score: Tensor
    pointer: Tensor
    candidates: Tensor
    candidate_ious: Tensor

    def select(self, rows: list[int]) -> "MaskPrediction":
        """The predictions of some objects."""
        return MaskPrediction(
            self.logits[rows],
            self.predicted_iou[rows],
            self.object_score[rows],
            self.pointer[rows],
            self.candidates[rows],
            self.candidate_ious[rows],
        )

    @property
    def is_finite(self) -> bool:
        """Whether every number that is shown or remembered is one."""
        kept = (self.logits, self.predicted_iou, self.object_score, self.pointer)
        return bool(torch.stack([x.isfinite().all() for x in kept]).all())

    def to(self, device: torch.device) -> "MaskPrediction":
        """The same on a device."""
        return MaskPrediction(
            self.logits.to(device),
            self.predicted_iou.to(device),
            self.object_score.to(device),
            self.pointer.to(device),
            self.candidates.to(device),
            self.candidate_ious.to(device),
        )

    def without_candidates(self) -> "MaskPrediction":
        """The same without the masks that were not chosen, to keep."""
        return replace(self, candidates=self.logits, candidate_ious=self.predicted_iou[:, None])


def stack_predictions(parts: list[MaskPrediction]) -> MaskPrediction:
    """One batch from predictions of windows of one size."""
    names = ("logits", "predicted_iou", "object_score", "pointer", "candidates", "candidate_ious")
    return MaskPrediction(*(torch.cat([getattr(p, name) for p in parts]) for name in names))


@dataclass(frozen=True, slots=True)
class FrameMemory:
    """What one frame leaves behind of N objects.

    Attributes
    ----------
    features : (N, C_m, h, w) or None
        Memory features; None when only the pointer can still be read.
    pointer : (N, C)
    """

    features: Tensor | None
    pointer: Tensor

    @property
    def is_finite(self) -> bool:
        """Whether every number of the features is one."""
        return self.features is None or bool(self.features.isfinite().all())

    def to(self, dtype: torch.dtype) -> "FrameMemory":
        """The features in another type; pointers stay as they are, as in the original."""
        return replace(self, features=None if self.features is None else self.features.to(dtype))

    def pointer_only(self) -> "FrameMemory":
        """Forget the features."""
        return replace(self, features=None)

    def split(self) -> list["FrameMemory"]:
        """One memory for each object."""
        return [
            FrameMemory(None if self.features is None else self.features[i : i + 1].clone(), self.pointer[i : i + 1])
            for i in range(len(self.pointer))
        ]
