"""Tracks in a CSV: `object_id,frame,y,x,area,score,predicted_iou,confidence`, a row for each mask."""

import csv
import os
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, fields
from operator import attrgetter
from pathlib import Path

from napari_sam2.errors import NapariSam2Error
from napari_sam2.io.atomic import replacing
from napari_sam2.masklets import FrameMask


@dataclass(frozen=True, slots=True, order=True)
class TrackRow:
    """Where one object is on one frame: centroid in pixels, area in pixels, scores and confidence.

    The object score is a logit; predicted IoU and confidence are 0 to 1.
    """

    object_id: int
    frame: int
    y: float
    x: float
    area: int
    score: float
    predicted_iou: float
    confidence: float


COLUMNS = tuple(field.name for field in fields(TrackRow))


def write_tracks(
    path: str | os.PathLike[str],
    masks: Iterable[FrameMask],
    confidence: Callable[[FrameMask], float] = attrgetter("confidence"),
) -> None:
    """Write a row for each mask, sorted by object ID and frame; the file appears whole or not at all.

    Positions, scores and confidence are rounded to four decimals.

    Parameters
    ----------
    confidence
        How sure a mask is, 0 to 1; by default by its scores and signs alone.
    """
    rows = sorted(_row(mask, confidence(mask)) for mask in masks)
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(astuple(row) for row in rows)


def read_tracks(path: str | os.PathLike[str]) -> list[TrackRow]:
    """Read what `write_tracks` wrote.

    Raises
    ------
    NapariSam2Error
        If the file cannot be read, its header differs, or a value is no number; the message has the line.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise NapariSam2Error(f"cannot read the tracks {path}: {exc}") from exc
    reader = csv.DictReader(lines)
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise NapariSam2Error(f"{path}, line 1: expected the header {','.join(COLUMNS)}, found {reader.fieldnames}")
    rows = []
    for row in reader:
        try:
            whole = int(row["object_id"]), int(row["frame"]), int(row["area"])
            y, x, score, iou, sure = (float(row[name]) for name in ("y", "x", "score", "predicted_iou", "confidence"))
        except (TypeError, ValueError) as exc:
            raise NapariSam2Error(f"{path}, line {reader.line_num}: {exc}; write the file again") from exc
        rows.append(TrackRow(whole[0], whole[1], y, x, whole[2], score, iou, sure))
    return rows


def _row(mask: FrameMask, confidence: float) -> TrackRow:
    y, x = mask.centroid
    numbers = (round(value, 4) for value in (mask.score, mask.predicted_iou, confidence))
    return TrackRow(mask.object_id, mask.frame, round(y, 4), round(x, 4), mask.area, *numbers)
