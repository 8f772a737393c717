"""All objects of one frame, without a click."""

import os
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam2.cell_search import SAME, CellSearch
from napari_sam2.io.clicks import write_clicks
from napari_sam2.io.stacks import LabelsTiffWriter
from napari_sam2.masklets import FrameMask, compose_labels
from napari_sam2.prompts import PointPrompt
from napari_sam2.settings import EverythingSettings
from sam2_torch.found_masks import FoundMask, without_duplicates
from sam2_torch.mask_generator import MaskGenerator, Progress
from sam2_torch.network import SAM2


@dataclass(frozen=True, slots=True, eq=False)
class Everything:
    """What was found on one frame: masks that do not overlap, the surest first, and a click for each.

    Attributes
    ----------
    frame
        Its number.
    shape_yx
        Its size in pixels.
    masks
        With the object IDs 1, 2, ...
    clicks
        On the deepest pixel of each mask, with the same IDs.
    diameter
        Of a typical object in source pixels, given or estimated; None if it played no part, or could not be.
    """

    frame: int
    shape_yx: tuple[int, int]
    masks: tuple[FrameMask, ...]
    clicks: tuple[PointPrompt, ...]
    diameter: float | None = None

    def labels(self) -> NDArray[np.uint32]:
        """All masks as (Y, X) labels, 0 for none."""
        return compose_labels(self.masks, self.shape_yx)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write `labels.tif`, a stack of one frame, and `clicks.csv` into a folder, which is made if need be."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with LabelsTiffWriter(folder / "labels.tif", 1, self.shape_yx) as writer:
            writer.write(0, self.labels())
        write_clicks(folder / "clicks.csv", self.clicks)

    def numbered_from(self, first_id: int) -> "Everything":
        """The same with the object IDs `first_id`, `first_id` + 1, ..."""
        masks = tuple(replace(mask, object_id=i) for i, mask in enumerate(self.masks, first_id))
        clicks = tuple(replace(click, object_id=i) for i, click in enumerate(self.clicks, first_id))
        return replace(self, masks=masks, clicks=clicks)


def find_everything(
    model: SAM2,
    image: NDArray[np.float32],
    *,
    frame: int = 0,
    diameter: float | None = None,
    taken: NDArray[np.bool_] | None = None,
    settings: EverythingSettings | None = None,
) -> Generator[Progress, None, Everything]:
    """Find all objects on a frame, some points at a time; what was found is the generator's return value.

    Parameters
    ----------
    image : (Y, X, 3) float32, 0..1
    frame
        Its number, for the masks.
    diameter
        Typical diameter of an object in source pixels, for models that look at objects at one size; by default it is
        estimated.
    taken : (Y, X) bool, optional
        Pixels that belong to objects already; a mask that is mostly there is left out.
    """
    settings = settings or EverythingSettings()
    if model.config.object_diameter is None:
        found = yield from MaskGenerator(model, settings.generator).search(image)
        found = [mask for mask in found if mask.quality >= settings.quality]
        found = without_duplicates(found, [mask.quality for mask in found], limit=SAME, by="part")
        diameter = None
    else:
        pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)  # (Y, X, 3) -> (3, Y, X)
        search = CellSearch(model, pixels.to(model.device), min_area=settings.min_area)
        if diameter is None:
            diameter = yield from search.estimate_diameter()
        found = [] if diameter is None else (yield from search.search(diameter, settings.quality))
    owned = np.zeros(image.shape[:2], bool) if taken is None else taken.copy()
    masks = _apart(found, owned, frame, settings)
    clicks = (PointPrompt.inside(m.crop, frame=frame, object_id=m.object_id, offset=m.box[:2]) for m in masks)
    return Everything(frame, (image.shape[0], image.shape[1]), tuple(masks), tuple(clicks), diameter)


def _apart(
    found: list[FoundMask], owned: NDArray[np.bool_], frame: int, settings: EverythingSettings
) -> list[FrameMask]:
    """Masks, cleaned, that keep off each other's pixels and off those `owned` before; the first ones choose first."""
    masks: list[FrameMask] = []
    for one in found:
        y0, x0, y1, x1 = one.box
        free = one.crop & ~owned[y0:y1, x0:x1]
        if np.count_nonzero(free) < SAME * one.area:
            continue
        # Holes may be somebody else's.
        cleaned = settings.cleaning.apply(free) & ~owned[y0:y1, x0:x1]
        mask = FrameMask.from_full(
            cleaned,
            frame=frame,
            object_id=len(masks) + 1,
            score=one.object_score,
            predicted_iou=one.predicted_iou,
            offset=(y0, x0),
        )
        if mask is not None and mask.area >= settings.min_area:
            owned[y0:y1, x0:x1] |= cleaned
            masks.append(mask)
    return masks
