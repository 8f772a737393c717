"""Cells found, missed, split and merged."""

import numpy as np
import pytest

from napari_sam2.evaluation.counts import Counts, count_cells


def row(text):
    return np.array([[int(c) for c in text]])


@pytest.mark.parametrize(
    ("truth", "labels", "expected"),
    [
        ("1111022220", "3333044440", {"found": 2}),
        ("1111022220", "0000000000", {"missed": 2}),
        ("1111022220", "1111000005", {"found": 1, "missed": 1, "false": 1}),
        ("1111022220", "1122033440", {"split": 2}),
        ("1111022220", "1111112223", {"found": 2, "false": 1}),
        ("1111022220", "1111111110", {"merged": 2}),
        ("1111011120", "5555555550", {"found": 1, "missed": 0, "merged": 1}),
        ("1111110000", "1111230000", {"found": 1, "false": 2}),
        ("1111111100", "1122333344", {"split": 1, "false": 1}),
        ("0000000000", "1100000000", {"false": 1}),
    ],
)
def test_what_becomes_of_cells(truth, labels, expected):
    truth, labels = row(truth), row(labels)
    counts = count_cells(truth, labels)
    names = ("found", "split", "merged", "missed", "false")
    assert {name: getattr(counts, name) for name in names if getattr(counts, name)} == {
        k: v for k, v in expected.items() if v
    }
    assert (
        counts.cells == len(np.unique(truth[truth > 0])) == counts.found + counts.split + counts.merged + counts.missed
    )


def test_mean_iou_is_of_the_found():
    counts = count_cells(row("1111022220"), row("1110000003"))
    assert counts == Counts(cells=2, found=1, split=0, merged=0, missed=1, false=1, iou=0.75)
    assert np.isnan(count_cells(row("110"), row("000")).iou)


def test_large_ids_and_other_shapes():
    assert count_cells(row("1100") * 10**9, row("1100") * (2**31 - 1)).found == 1
    with pytest.raises(ValueError, match="must be of the same frame"):
        count_cells(row("11"), row("111"))
