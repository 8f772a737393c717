"""Clicks in a CSV: `object_id,frame,y,x,positive`."""

import csv
import math
import os
from collections.abc import Iterable
from pathlib import Path

from napari_sam2.errors import PromptError
from napari_sam2.io.atomic import replacing
from napari_sam2.prompts import PointPrompt

COLUMNS = ("object_id", "frame", "y", "x", "positive")
_BOOLS = {"1": True, "true": True, "0": False, "false": False}


def read_clicks(path: str | os.PathLike[str]) -> list[PointPrompt]:
    """Read clicks.

    Parameters
    ----------
    path
        CSV with the columns object_id, frame, y, x, positive in any order (others are ignored): y and x in pixels,
        frames from 0, positive 1 or 0.

    Raises
    ------
    PromptError
        If the file cannot be read, a column is missing, or a value is wrong; the message has the line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise PromptError(f"cannot read the clicks {path}: {exc}") from exc
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    columns = [name.strip() for name in reader.fieldnames or []]
    if missing := [name for name in COLUMNS if name not in columns]:
        raise PromptError(
            f"{path}, line 1: no column {', '.join(missing)}; expected the header {','.join(COLUMNS)}, "
            f"found {','.join(columns) or 'an empty file'}"
        )
    reader.fieldnames = columns
    return [_read_click(row, f"{path}, line {reader.line_num}") for row in reader]


def write_clicks(path: str | os.PathLike[str], prompts: Iterable[PointPrompt]) -> None:
    """Write clicks as `read_clicks` reads them; the file appears whole or not at all."""
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for prompt in prompts:
            position = repr(float(prompt.y)), repr(float(prompt.x))
            writer.writerow((prompt.object_id, prompt.frame, *position, int(prompt.positive)))


def _read_click(row: dict[str, str | None], where: str) -> PointPrompt:
    object_id = _whole_number(row["object_id"], "object_id", 1, where)
    frame = _whole_number(row["frame"], "frame", 0, where)
    y, x = _number(row["y"], "y", where), _number(row["x"], "x", where)
    positive = _BOOLS.get((row["positive"] or "").strip().lower())
    if positive is None:
        raise PromptError(f"{where}: positive is {row['positive']!r}, expected 1 or 0")
    return PointPrompt(frame, object_id, y, x, positive)


def _number(text: str | None, name: str, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise PromptError(f"{where}: {name} is {text!r}, expected a number")
    return value


def _whole_number(text: str | None, name: str, least: int, where: str) -> int:
    value = _number(text, name, where)
    if value != int(value) or value < least:
        raise PromptError(f"{where}: {name} is {text!r}, expected a whole number from {least} on")
    return int(value)
