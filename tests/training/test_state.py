"""States in shards that are not all there, and the picture of a log."""

import csv

import pytest
import torch

from napari_sam2.errors import TrainingError
from napari_sam2.training.curves import draw_curves, write_curves
from napari_sam2.training.loop import LOG_FIELDS
from napari_sam2.training.state import Storage

CPU = torch.device("cpu")


def test_an_empty_folder_has_no_state(tmp_path):
    assert Storage(tmp_path).load(CPU) is None


def test_missing_shards_are_named(tmp_path):
    (tmp_path / "state-0000100.1of3").write_bytes(b"")
    (tmp_path / "state-0000100.3of3").write_bytes(b"")
    with pytest.raises(TrainingError, match=r"step 100.*shards \[2\] of 3 are missing.*copy them"):
        Storage(tmp_path).load(CPU)


def test_a_newer_state_that_is_not_complete_does_not_hide_an_older_one(tmp_path):
    torch.save({"step": 50}, tmp_path / "state-0000050.1of1")
    (tmp_path / "state-0000100.1of2").write_bytes(b"half")
    assert Storage(tmp_path).load(CPU) == {"step": 50}


def test_the_log_as_a_picture(tmp_path):
    log, checked = tmp_path / "log.csv", tmp_path / "validation.csv"
    write_curves(tmp_path / "curve.png", log, checked)
    assert not (tmp_path / "curve.png").exists()
    with pytest.raises(TrainingError, match="nothing to draw"):
        draw_curves(log, checked)
    with log.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(LOG_FIELDS)
        writer.writerows([(50 * k, "clips", 2 - 0.1 * k, 0.05 * k, 0.04 * k, 1e-3, 1.0) for k in range(1, 11)])
    plain = draw_curves(log, checked)
    assert plain.size == (840, 240)
    checked.write_text("step,movie,iou,first,followed\n250,a,0.2,0.3,0\n250,b,0.4,0.3,0\n500,a,0.6,0.5,1\n")
    red = (200, 60, 50)
    assert red not in {color for _, color in plain.getcolors(100_000)}
    assert red in {color for _, color in draw_curves(log, checked).getcolors(100_000)}
    write_curves(tmp_path / "curve.png", log, checked)
    assert (tmp_path / "curve.png").stat().st_size > 1000
