"""Everything in one image without a click: a grid of points, and of the masks under them those that are good.

Source: `SAM2AutomaticMaskGenerator`, whose settings have their names and defaults here. Points lie on the centres of
the grid's cells, where the original is half a pixel of the model off, and masks come within their bounding boxes
instead of run-length coded.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sam2_torch.crops import crop_windows, grid_points
from sam2_torch.found_masks import FoundMask, bounded, without_duplicates
from sam2_torch.image_predictor import propose
from sam2_torch.mask_decoder import ambiguous, single
from sam2_torch.network import SAM2
from sam2_torch.outputs import FrameFeatures, PointTokens
from sam2_torch.prompt_encoder import POSITIVE
from sam2_torch.video_predictor import FEEDBACK_LIMIT, encode_frame
from sam2_torch.windows import Window, cut, paste


@dataclass(frozen=True, slots=True)
class MaskFilter:
    """Which masks are good enough.

    Attributes
    ----------
    predicted_iou, stability, quality
        At least; see `FoundMask`.
    stability_offset
        Logits below and above 0 at which a mask is compared with itself for its stability.
    object_score
        Above this; by default whatever it is, as in the original.
    edge_margin
        A mask that ends within so many source pixels of its window's edge is cut off there, and is left out, unless
        the image ends there, too.
    min_area
        Pixels that a mask must have.
    """

    predicted_iou: float = 0.8
    stability: float = 0.95
    quality: float = 0.0
    stability_offset: float = 1.0
    object_score: float = -np.inf
    edge_margin: int = 20
    min_area: int = 1


@dataclass(frozen=True, slots=True)
class GeneratorSettings:
    """How `MaskGenerator` looks for masks, with the defaults of the original.

    Attributes
    ----------
    points_per_side
        Points in a row and in a column of the grid laid over the image.
    points_per_batch
        Points that the decoder sees at once: memory against speed.
    pred_iou_thresh, stability_score_thresh, stability_score_offset
        As in `MaskFilter`.
    box_nms_thresh
        Masks whose boxes have a larger IoU are the same; of those in one crop the highest predicted IoU stays.
    crop_n_layers
        Layers of crops beside the whole image: the first has 2 x 2 of them, the second 4 x 4, and so on.
    crop_nms_thresh
        As `box_nms_thresh`, between crops; there the mask of the smaller crop stays.
    crop_overlap_ratio
        How far the crops of the first layer overlap, as a part of the image's shorter side; those of others less.
    crop_n_points_downscale_factor
        The grid of layer i has so many times fewer points a side, to the power of i.
    min_mask_area
        Pixels that a mask must have.
    refinements
        How often each mask is fed back beside its point, to be refined; `use_m2m` of the original is 1.
    """

    points_per_side: int = 32
    points_per_batch: int = 64
    pred_iou_thresh: float = 0.8
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7
    crop_n_layers: int = 0
    crop_nms_thresh: float = 0.7
    crop_overlap_ratio: float = 512 / 1500
    crop_n_points_downscale_factor: int = 1
    min_mask_area: int = 1
    refinements: int = 0

    def __post_init__(self) -> None:
        for name in ("points_per_side", "points_per_batch", "crop_n_points_downscale_factor", "min_mask_area"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 1 or more")
        if self.crop_n_layers < 0 or self.refinements < 0:
            raise ValueError(f"crop_n_layers is {self.crop_n_layers}, refinements {self.refinements}; none is 0")

    @property
    def filter(self) -> MaskFilter:
        """What a mask must be like."""
        return MaskFilter(
            predicted_iou=self.pred_iou_thresh,
            stability=self.stability_score_thresh,
            stability_offset=self.stability_score_offset,
            min_area=self.min_mask_area,
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a search has come: `done` of `total` points were asked; the total may grow on the way."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class PointAnswers:
    """What was found under some points.

    Attributes
    ----------
    points : (N, 2) float64
        y, x in source pixels.
    object_scores : (N,) float32
        Logits; above 0 the model sees an object there.
    masks
        Those that the filter let pass, at most three a point.
    """

    points: NDArray[np.float64]
    object_scores: NDArray[np.float32]
    masks: list[FoundMask]


class MaskGenerator:
    """Finds all masks in an image (SAM2AutomaticMaskGenerator); keeps nothing between images.

    Parameters
    ----------
    model
        Any SAM 2.
    settings
        By default those of the original.
    clean
        What to do with each mask in the end, (h, w) bool with an empty border -> the same, without its holes or small
        pieces for example; masks that it changes give way to equal ones that it leaves alone.
    """

    def __init__(
        self,
        model: SAM2,
        settings: GeneratorSettings | None = None,
        *,
        clean: Callable[[NDArray[np.bool_]], NDArray[np.bool_]] | None = None,
    ) -> None:
        self.model = model
        self.settings = settings or GeneratorSettings()
        self.clean = clean

    def generate(self, image: NDArray[np.float32]) -> list[FoundMask]:
        """All masks of an image (H, W, 3), 0..1, of any size; they may overlap."""
        search = self.search(image)
        while True:
            try:
                next(search)
            except StopIteration as end:
                return list(end.value)

    def search(self, image: NDArray[np.float32]) -> Generator[Progress, None, list[FoundMask]]:
        """As `generate`, a batch of points at a time, the masks as its return value."""
        frame = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)).permute(2, 0, 1).to(self.model.device)
        s = self.settings
        crops = [
            (crop, grid_points(crop, max(1, int(s.points_per_side / s.crop_n_points_downscale_factor**layer))))
            for layer in range(s.crop_n_layers + 1)
            for crop in crop_windows(image.shape[:2], layer, s.crop_overlap_ratio, self.model.config.image_size)
        ]
        total, done = sum(len(points) for _, points in crops), 0
        found: list[FoundMask] = []
        areas: list[int] = []
        for crop, points in crops:
            here: list[FoundMask] = []
            for answers in masks_under(
                self.model, frame, crop, points, s.filter, batch=s.points_per_batch, refinements=s.refinements
            ):
                here += answers.masks
                done += len(answers.points)
                yield Progress(done, total)
            here = without_duplicates(here, [m.predicted_iou for m in here], limit=s.box_nms_thresh)
            found += here
            areas += [crop.height * crop.width] * len(here)
        if s.crop_n_layers:
            found = without_duplicates(found, -np.array(areas), limit=s.crop_nms_thresh)
        return found if self.clean is None else self._cleaned(found, self.clean)

    def _cleaned(
        self, found: list[FoundMask], clean: Callable[[NDArray[np.bool_]], NDArray[np.bool_]]
    ) -> list[FoundMask]:
        kept: list[FoundMask] = []
        unchanged: list[bool] = []
        for mask in found:
            padded = np.pad(mask.crop, 1)
            cleaned = clean(padded)
            if np.count_nonzero(cleaned) >= self.settings.min_mask_area:
                box, crop = bounded(cleaned, (mask.box[0] - 1, mask.box[1] - 1))
                kept.append(replace(mask, box=box, crop=crop))
                unchanged.append(np.array_equal(cleaned, padded))
        limit = max(self.settings.box_nms_thresh, self.settings.crop_nms_thresh)
        return without_duplicates(kept, unchanged, limit=limit)


def masks_under(
    model: SAM2,
    frame: Tensor,
    window: Window,
    points: NDArray[np.float64],
    wanted: MaskFilter,
    *,
    batch: int = 64,
    refinements: int = 0,
) -> Iterator[PointAnswers]:
    """Ask for the masks under some points of a window, a batch of points at a time.

    Parameters
    ----------
    frame : (3, Y, X) float, 0..1
    points : (N, 2)
        y, x in source pixels, inside the window.
    """
    features, shape_yx = _encode(model, frame, window), (frame.shape[1], frame.shape[2])
    for first in range(0, len(points), batch):
        yield _answers(model, features, window, points[first : first + batch], wanted, refinements, shape_yx)


@torch.inference_mode()
def _encode(model: SAM2, frame: Tensor, window: Window) -> FrameFeatures:
    return encode_frame(model, cut(frame, [window]))


@torch.inference_mode()
def _answers(
    model: SAM2,
    features: FrameFeatures,
    window: Window,
    points: NDArray[np.float64],
    wanted: MaskFilter,
    refinements: int,
    shape_yx: tuple[int, int],
) -> PointAnswers:
    xy = torch.tensor([window.to_model(y, x) for y, x in points], dtype=torch.float32, device=model.device)
    tokens = PointTokens(xy[:, None], torch.full((len(xy), 1), POSITIVE, device=model.device))
    proposals = ambiguous(propose(model, features, tokens))
    logits, ious, scores = proposals.logits, proposals.predicted_iou.float(), proposals.object_score.float()
    for _ in range(refinements):
        logits, ious = _refined(model, features, tokens, logits)
    good = (ious >= wanted.predicted_iou) & (scores > wanted.object_score)[:, None]
    masks = [
        mask
        for i, j in good.nonzero().tolist()
        if (mask := _mask(logits[i, j], window, wanted, shape_yx, float(ious[i, j]), float(scores[i]), points[i]))
    ]
    return PointAnswers(points, scores.cpu().numpy(), masks)


def _refined(model: SAM2, features: FrameFeatures, tokens: PointTokens, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (N, M, 4h, 4w) and predicted IoU (N, M) of masks that are fed back, each with its own point."""
    count = logits.shape[1]
    again = PointTokens(tokens.xy.repeat_interleave(count, 0), tokens.labels.repeat_interleave(count, 0))
    fed_back = logits.flatten(0, 1)[:, None].float().clamp(-FEEDBACK_LIMIT, FEEDBACK_LIMIT)
    refined = single(propose(model, features, again, fed_back), stable=True)
    return refined.logits.view_as(logits), refined.predicted_iou.float().view(-1, count)


def _mask(
    logits: Tensor,
    window: Window,
    wanted: MaskFilter,
    shape_yx: tuple[int, int],
    predicted_iou: float,
    object_score: float,
    point: NDArray[np.float64],
) -> FoundMask | None:
    """The mask of some logits (4h, 4w) at source resolution, if it is good enough."""
    full, offset = paste(logits, window, shape_yx, above=-wanted.stability_offset)
    outer = int((full > -wanted.stability_offset).sum())
    stability = int((full > wanted.stability_offset).sum()) / outer if outer else 0.0
    inside = (full > 0).cpu().numpy()
    if (
        np.count_nonzero(inside) < wanted.min_area
        or stability < wanted.stability
        or predicted_iou * stability < wanted.quality
    ):
        return None
    box, crop = bounded(inside, offset)
    if _is_cut(box, window, shape_yx, wanted.edge_margin):
        return None
    return FoundMask(box, crop, predicted_iou, stability, object_score, (float(point[0]), float(point[1])))


def _is_cut(box: tuple[int, int, int, int], window: Window, shape_yx: tuple[int, int], margin: int) -> bool:
    """Whether a mask ends where its window does, and the image goes on."""
    edges = (window.y0, window.x0, window.y0 + window.height, window.x0 + window.width)
    ends = (0, 0, *shape_yx)
    return any(abs(side - edge) <= margin < abs(side - end) for side, edge, end in zip(box, edges, ends, strict=True))
