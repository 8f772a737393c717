"""Tracks in a CSV: `object_id,frame,y,x,area,score,predicted_iou,confidence`, a row for each mask."""

import csv
import os
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from napari_sam2.errors import NapariSam2Error
from napari_sam2.io.atomic import replacing
from napari_sam2.masklets import FrameMask


@dataclass(frozen=True, slots=True)
class TrackRow:
    """Where one object is on one frame: centroid in pixels, area in pixels, scores and confidence.

    The object score is a logit; predicted IoU and confidence are 0 to 1. Numbers are rounded to four decimals.
    """

    object_id: int
    frame: int
    y: float
    x: float
    area: int
    score: float
    predicted_iou: float
    confidence: float

    @classmethod
    def of(cls, mask: FrameMask, confidence: float | None = None) -> "TrackRow":
        """That of a mask; by default it is as sure as its scores and signs alone say."""
        y, x = mask.centroid
        sure = mask.confidence if confidence is None else confidence
        numbers = (round(value, 4) for value in (mask.score, mask.predicted_iou, sure))
        return cls(mask.object_id, mask.frame, round(y, 4), round(x, 4), mask.area, *numbers)


COLUMNS = tuple(field.name for field in fields(TrackRow))


def write_tracks(path: str | os.PathLike[str], rows: Iterable[TrackRow]) -> None:
    """Write rows as they come, one a mask; the file appears whole or not at all.

    Raises
    ------
    NapariSam2Error
        If they are not sorted by object ID and frame.
    """
    before = (0, -1)
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            place = row.object_id, row.frame
            if place <= before:
                raise NapariSam2Error(
                    f"object {place[0]} on frame {place[1]} comes after object {before[0]} on frame {before[1]}: write "
                    "tracks in rising order, first of objects and then of frames"
                )
            writer.writerow(astuple(row))
            before = place


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
