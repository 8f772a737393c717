"""Which found object is which true one, when IDs do not tell."""

from dataclasses import replace

import numpy as np
from scipy import optimize

from napari_sam2.evaluation.counts import overlaps
from napari_sam2.evaluation.overlap import check_shapes
from napari_sam2.io.label_movie import LabelMovie


def match_objects(truth: LabelMovie, labels: LabelMovie) -> LabelMovie:
    """Give found objects the IDs of true ones, one each, so that the IoU over the movie, summed, is the highest.

    Those that no true object is left for, or that overlap none, get IDs above all of the true ones.

    Raises
    ------
    EvaluationError
        If the shapes differ.
    """
    check_shapes(truth, labels)
    both: dict[tuple[int, int], int] = {}
    true_areas: dict[int, int] = {}
    areas: dict[int, int] = {}
    for true_frame, found_frame in zip(truth, labels, strict=True):
        table = overlaps(true_frame, found_frame)
        for ids, sizes, totals in ((table.true_ids, table.true_areas, true_areas), (table.ids, table.areas, areas)):
            for i, size in zip(ids.tolist(), sizes.tolist(), strict=True):
                totals[i] = totals.get(i, 0) + size
        for row, column in np.argwhere(table.both):
            pair = int(table.true_ids[row]), int(table.ids[column])
            both[pair] = both.get(pair, 0) + int(table.both[row, column])
    names = _pair_up(both, true_areas, areas)
    known = np.array(sorted(names), np.int64)
    new = np.array([names[i] for i in sorted(names)], np.int64)
    read = labels.frame
    return replace(labels, read=lambda k: new[np.searchsorted(known, read(k))], lines=None)


def _pair_up(both: dict[tuple[int, int], int], true_areas: dict[int, int], areas: dict[int, int]) -> dict[int, int]:
    """New IDs of found objects, 0 staying 0."""
    true_ids, ids = sorted(true_areas), sorted(areas)
    iou = np.zeros((len(true_ids), len(ids)))
    for (true, found), common in both.items():
        union = true_areas[true] + areas[found] - common
        iou[true_ids.index(true), ids.index(found)] = common / union
    pairs = zip(*optimize.linear_sum_assignment(iou, maximize=True), strict=True)
    names = {0: 0} | {ids[column]: true_ids[row] for row, column in pairs if iou[row, column] > 0}
    spare = 1 + max(true_ids, default=0)
    for found in ids:
        if found not in names:
            names[found], spare = spare, spare + 1
    return names
