"""Lineage as the Cell Tracking Challenge writes it: a line `label begin end parent` for each track."""

import os
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

from napari_sam2.errors import EvaluationError
from napari_sam2.io.atomic import replacing


@dataclass(frozen=True, slots=True)
class TrackLine:
    """One track: its label, its first and last frame, both included, and the label of its parent, 0 for none."""

    label: int
    begin: int
    end: int
    parent: int


def read_track_lines(path: str | os.PathLike[str]) -> tuple[TrackLine, ...]:
    """Read a `man_track.txt` or `res_track.txt`.

    Raises
    ------
    EvaluationError
        If the file cannot be read or a line is wrong; the message has the line.
    """
    try:
        rows = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise EvaluationError(f"cannot read the tracks {path}: {exc}") from exc
    return tuple(_track_line(row, f"{path}, line {n}") for n, row in enumerate(rows, start=1) if row.strip())


def write_track_lines(path: str | os.PathLike[str], lines: Iterable[TrackLine]) -> None:
    """Write a `man_track.txt` or `res_track.txt`, which appears whole or not at all."""
    with replacing(path) as part:
        part.write_text("".join(f"{' '.join(map(str, astuple(line)))}\n" for line in lines), encoding="utf-8")


def _track_line(row: str, where: str) -> TrackLine:
    try:
        label, begin, end, parent = (int(word) for word in row.split())
    except ValueError as exc:
        raise EvaluationError(
            f"{where}: {row.strip()!r}, expected four whole numbers, label, first frame, last frame, parent"
        ) from exc
    if label < 1 or parent < 0 or not 0 <= begin <= end:
        raise EvaluationError(
            f"{where}: {row.strip()!r}, expected a label from 1 on, a parent from 0 on, and a track that begins before "
            "it ends"
        )
    return TrackLine(label, begin, end, parent)
