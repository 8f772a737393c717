"""What was measured, as a table, JSON and CSV."""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_sam2.errors import EvaluationError
from napari_sam2.evaluation.comparison import MovieScores
from napari_sam2.io.atomic import replacing

CLICKS = "clicks to "
"""How the names of those values begin that count clicks; they are NaN where a goal was not reached."""


@dataclass(frozen=True, slots=True)
class Report:
    """Scores of some movies; at least one."""

    movies: tuple[MovieScores, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the values, in the order in which movies have them."""
        return tuple(dict.fromkeys(name for movie in self.movies for name in movie.values))

    @property
    def mean(self) -> dict[str, float]:
        """Mean over the movies that have a value; NaN if none has, and of clicks if not all have reached the goal."""
        means = {name: _mean([m.values[name] for m in self.movies if name in m.values]) for name in self.columns}
        goals = [name for name in self.columns if name.startswith(CLICKS)]
        missed = [name for name in goals if any(math.isnan(m.values.get(name, 0)) for m in self.movies)]
        return means | dict.fromkeys(missed, math.nan)

    @property
    def mean_of_objects(self) -> dict[str, float]:
        """Mean over all objects of all movies, as DAVIS reports it, of the values that objects have one by one."""
        names = dict.fromkeys(name for movie in self.movies for name in movie.by_object)
        return {
            name: _mean([v for m in self.movies for v in m.by_object.get(name, np.empty(0)).tolist()]) for name in names
        }

    def table(self) -> str:
        """Lines for a terminal; - for what there is not."""
        head = ["movie", "objects", "frames", *self.columns]
        rows = [[m.name, str(len(m.object_ids)), str(m.frames), *self._cells(m.values)] for m in self.movies]
        if len(self.movies) > 1:
            rows.append(["mean of movies", "", "", *self._cells(self.mean)])
            rows.append(["mean of objects", "", "", *self._cells(self.mean_of_objects)])
        widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
        lines = [_line(row, widths) for row in [head, *rows]]
        for movie in self.movies:
            lines += ["", f"{movie.name}: frames corrected, clicks an object, mean IoU"] if movie.rounds else []
            lines += [f"{r.corrected_frames:3d}  {r.clicks:6.2f}  {r.iou:.3f}" for r in movie.rounds]
        return "\n".join(lines)

    def save(self, path: Path) -> None:
        """Write it as `.json`, with what there is of each object and of corrections, or as `.csv`, a row a movie.

        Raises
        ------
        EvaluationError
            For another suffix.
        """
        check_report_name(path)
        text = self._json() if path.suffix.lower() == ".json" else self._csv()
        with replacing(path) as part:
            part.write_text(text, encoding="utf-8")

    def _cells(self, values: dict[str, float]) -> list[str]:
        return [_number(name, values.get(name, math.nan)) for name in self.columns]

    def _json(self) -> str:
        movies = [
            {
                "name": movie.name,
                "frames": movie.frames,
                "object_ids": movie.object_ids,
                "values": movie.values,
                "by_object": {name: values.tolist() for name, values in movie.by_object.items()},
                "rounds": [asdict(r) for r in movie.rounds],
            }
            for movie in self.movies
        ]
        content = {"movies": movies, "mean": self.mean, "mean_of_objects": self.mean_of_objects}
        return json.dumps(_without_nan(content), indent=1, allow_nan=False) + "\n"

    def _csv(self) -> str:
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["movie", "objects", "frames", *self.columns])
        for m in self.movies:
            values = [m.values.get(name, math.nan) for name in self.columns]
            written = ["" if math.isnan(v) else repr(round(v, 6)) for v in values]
            writer.writerow([m.name, len(m.object_ids), m.frames, *written])
        return file.getvalue()


def check_report_name(path: Path) -> None:
    """Refuse a name that no report can be written under. Raises EvaluationError if it is neither .json nor .csv."""
    if path.suffix.lower() not in (".json", ".csv"):
        raise EvaluationError(f"cannot write the report {path}: expected a name that ends with .json or .csv")


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _number(name: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.2f}" if name.startswith(CLICKS) else f"{value:g}" if name == "switches" else f"{value:.3f}"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = zip(row, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in rest)]).rstrip()


def _without_nan(content: Any) -> Any:
    """JSON knows no NaN: null stands for what there is not."""
    if isinstance(content, dict):
        return {key: _without_nan(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and math.isnan(content) else content
