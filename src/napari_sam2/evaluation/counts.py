"""Cells found, missed, split and merged on one frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the true cells of a frame; each is found, split, merged or missed.

    Attributes
    ----------
    cells
        True cells.
    found
        Those that a mask has an IoU above 0.5 with.
    split
        Of the others, those in which two masks or more lie with more than half of their area.
    merged
        Of the others, those that share a mask with another cell: it covers more than half of both.
    missed
        The rest.
    false
        Masks that have found nothing, are no part of a split cell and cover no merged ones.
    iou
        Mean IoU of the found cells; NaN if there are none.
    """

    cells: int
    found: int
    split: int
    merged: int
    missed: int
    false: int
    iou: float


def count_cells(truth: NDArray[np.integer], labels: NDArray[np.integer]) -> Counts:
    """Compare the labels (Y, X) of a frame with the true ones, 0 for none; IDs need not agree.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if truth.shape != labels.shape:
        raise ValueError(f"truth has the shape {truth.shape}, labels {labels.shape}; they must be of the same frame")
    table = overlaps(truth, labels)
    both, true_areas, areas = table.both, table.true_areas, table.areas
    iou = both / (true_areas[:, None] + areas[None] - both)
    of_cell, of_mask = both > true_areas[:, None] / 2, both > areas / 2
    matches = iou > 0.5
    found = np.asarray(matches.any(1))
    split = ~found & (of_mask.sum(1) >= 2)
    mergers = of_cell.sum(0) >= 2
    merged = ~found & ~split & (of_cell & mergers).any(1)
    used = matches.any(0) | (of_mask & split[:, None]).any(0) | (of_cell & merged[:, None]).any(0)
    return Counts(
        cells=len(found),
        found=int(found.sum()),
        split=int(split.sum()),
        merged=int(merged.sum()),
        missed=int((~found & ~split & ~merged).sum()),
        false=int((~used).sum()),
        iou=float(iou[matches].mean()) if found.any() else float("nan"),
    )


@dataclass(frozen=True, slots=True)
class FrameOverlaps:
    """What N true cells and M masks of a frame have in common.

    Attributes
    ----------
    both : (N, M)
        Pixels.
    true_ids, true_areas : (N,)
    ids, areas : (M,)
        Background is left out.
    """

    both: NDArray[np.int64]
    true_ids: NDArray[np.integer]
    ids: NDArray[np.integer]
    true_areas: NDArray[np.int64]
    areas: NDArray[np.int64]


def overlaps(truth: NDArray[np.integer], labels: NDArray[np.integer]) -> FrameOverlaps:
    """Count the pixels that true cells and masks of a frame (Y, X) have in common."""
    true_ids, cells = np.unique(truth, return_inverse=True)
    ids, masks = np.unique(labels, return_inverse=True)
    ones = np.ones(truth.size, np.int64)
    table = sparse.coo_array((ones, (cells.ravel(), masks.ravel())), shape=(len(true_ids), len(ids))).toarray()
    rows, columns = true_ids > 0, ids > 0
    return FrameOverlaps(
        table[rows][:, columns], true_ids[rows], ids[columns], table.sum(1)[rows], table.sum(0)[columns]
    )
