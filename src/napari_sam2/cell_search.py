"""Looking for cells all over a frame, through windows at a scale that suits them."""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from sam2_torch.crops import Tile, tiles
from sam2_torch.found_masks import FoundMask, without_duplicates
from sam2_torch.mask_generator import MaskFilter, PointAnswers, Progress, masks_under
from sam2_torch.network import SAM2

SCALES = (1.5, 0.7)
"""Windows are laid for cells so many times the diameter: first coarse ones all over, then fine ones where cells are."""
SPACING = 1 / 16
"""Distance of grid points as a part of a window's side."""
HALO = 3 / 16
"""How far a window sees beyond the part it is answerable for, as a part of its side."""
LIKELY = -2.0
"""Object score (a logit) of a point above which it is worth while to look again around it."""
SAME = 0.5
"""Of two masks with more than this share of the smaller in common, one goes."""
TRIED_DIAMETERS = (12.0, 24.0, 48.0, 96.0)
TRIED_SPACING = 3 / 32
TRIED_TILES = 6
TRIED_QUALITY = 0.2


@dataclass(frozen=True, slots=True)
class _View:
    """A window and the points (N, 2) to be asked in it, y, x in source pixels."""

    tile: Tile
    points: NDArray[np.float64]


class CellSearch:
    """A search for cells on one frame with a model that likes to see them at one size; it keeps nothing.

    Parameters
    ----------
    model
        With a `config.object_diameter`.
    frame : (3, Y, X) float, 0..1
        On the model's device.
    min_area
        Pixels that a mask must have.
    """

    def __init__(self, model: SAM2, frame: Tensor, *, min_area: int = 1) -> None:
        if model.config.object_diameter is None:
            raise ValueError(f"{model.config.name} has no preferred object size: use MaskGenerator")
        self.model = model
        self.frame = frame
        self._min_area = min_area
        self._model_sides = model.config.image_size / model.config.object_diameter

    def search(self, diameter: float, quality: float) -> Generator[Progress, None, list[FoundMask]]:
        """Masks of the cells, the best first; of those that share much, the best.

        A cell is seen through several windows, at two scales and from several points. Masks that a window's edge cuts
        are left out: its neighbour sees them whole.

        Parameters
        ----------
        diameter
            Of a typical cell, source pixels.
        quality
            At least; see `FoundMask`.
        """
        answers: list[PointAnswers] = []
        likely: NDArray[np.float64] | None = None
        reach = 0.0
        for scale in SCALES:
            side = self._side(diameter * scale)
            views = self._views(side, SPACING)
            if likely is not None:
                views = _near(views, likely, reach)
            new = yield from self._ask(views, quality, asked=sum(len(a.points) for a in answers))
            likely = np.concatenate([np.empty((0, 2)), *(a.points[a.object_scores > LIKELY] for a in new)])
            reach = SPACING * side
            answers += new
        return _best(answers)

    def estimate_diameter(self) -> Generator[Progress, None, float | None]:
        """Typical diameter of the cells in source pixels; None if there seem to be none.

        A few windows with much structure are looked at as if cells were of one size, then another. The size at which
        the masks found are best, by area, tells; and of those masks the mean diameter, by quality and area.
        """
        asked, best, found = 0, 0.0, None
        for tried in TRIED_DIAMETERS:
            views = self._views(self._side(tried), TRIED_SPACING)
            chosen = sorted(views, key=self._structure, reverse=True)[:TRIED_TILES]
            answers = yield from self._ask(chosen, TRIED_QUALITY, asked=asked)
            asked += sum(len(a.points) for a in answers)
            masks = _best(answers)
            areas, qualities = np.array([m.area for m in masks]), np.array([m.quality for m in masks])
            if masks and (mean := float(np.average(qualities, weights=areas))) > best:
                best = mean
                found = float(np.exp(np.average(np.log(2 * np.sqrt(areas / np.pi)), weights=areas * qualities)))
        return found

    def _ask(
        self, views: Sequence[_View], quality: float, *, asked: int
    ) -> Generator[Progress, None, list[PointAnswers]]:
        wanted = MaskFilter(
            predicted_iou=quality,
            stability=quality,
            quality=quality,
            object_score=0.0,
            edge_margin=0,
            min_area=self._min_area,
        )
        total = asked + sum(len(view.points) for view in views)
        answers: list[PointAnswers] = []
        for view in views:
            for answer in masks_under(self.model, self.frame, view.tile.window, view.points, wanted):
                answers.append(answer)
                asked += len(answer.points)
                yield Progress(asked, total)
        return answers

    def _side(self, diameter: float) -> int:
        """Side in source pixels of a window in which cells of a diameter have the size that the model likes."""
        return max(16, round(self._model_sides * diameter))

    def _views(self, side: int, spacing: float) -> list[_View]:
        shape = self.frame.shape[1], self.frame.shape[2]
        laid = tiles(shape, side, round(HALO * side), self.model.config.image_size)
        return [_View(tile, tile.points(spacing * side)) for tile in laid]

    def _structure(self, view: _View) -> float:
        """How much neighbouring pixels differ in the part that a window is answerable for."""
        y0, x0, y1, x1 = (round(side) for side in view.tile.core)
        gray = self.frame[:, y0 : y1 + 1, x0 : x1 + 1].mean(0)
        steps = [gray.diff(dim=axis).abs() for axis in (0, 1)]
        return sum(float(step.mean()) for step in steps if step.numel())


def _near(views: Iterable[_View], places: NDArray[np.float64], reach: float) -> list[_View]:
    """Views with only the points that have a place within reach, in y and in x; those without points go."""
    if not len(places):
        return []
    tree = cKDTree(places)
    kept = []
    for view in views:
        distances, _ = tree.query(view.points, p=np.inf, distance_upper_bound=reach)
        if np.isfinite(distances).any():
            kept.append(_View(view.tile, view.points[np.isfinite(distances)]))
    return kept


def _best(answers: Iterable[PointAnswers]) -> list[FoundMask]:
    masks = [mask for answer in answers for mask in answer.masks]
    return without_duplicates(masks, [mask.quality for mask in masks], limit=SAME, by="part")
