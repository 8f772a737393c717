"""The commands `napari-sam2 evaluate` and `napari-sam2 benchmark`."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam2.cli_errors import errors_in_one_line
from napari_sam2.cli_options import DeviceOption, ModelOption, progress_bar

if TYPE_CHECKING:
    from napari_sam2.evaluation.comparison import MovieScores


class CorrectionOption(StrEnum):
    """Who corrects what was tracked."""

    none = "none"
    offline = "offline"
    online = "online"


MeasuresOption = Annotated[
    str | None,
    typer.Option(
        help="Some of overlap, davis, switches and ctc, with commas between; by default what suits the truth."
    ),
]
EndsOption = Annotated[
    bool, typer.Option("--davis-ends", help="J and F without the first and the last frame, as DAVIS has it.")
]
OutOption = Annotated[Path | None, typer.Option(help="Write a report as .json or .csv.")]
PictureOption = Annotated[Path | None, typer.Option(help="Write a picture of IoU over the frames, a PNG.")]


def evaluate(
    result: Annotated[Path, typer.Argument(help="What was found: a results folder, a labels TIFF, 01_RES, PNGs.")],
    truth: Annotated[Path, typer.Argument(help="The truth, in any of these forms; or a data set of several movies.")],
    measures: MeasuresOption = None,
    davis_ends: EndsOption = False,
    match: Annotated[bool, typer.Option("--match", help="Pair objects by their overlap, not by their IDs.")] = False,
    only_found: Annotated[
        bool, typer.Option("--only-found", help="Only the true objects that the result has; else others count as 0.")
    ] = False,
    out: OutOption = None,
    picture: PictureOption = None,
) -> None:
    """Compare results with the truth; see docs/evaluation.md."""
    with errors_in_one_line():
        from napari_sam2.evaluation.comparison import ComparisonRules, compare
        from napari_sam2.io.data_sets import find_entries, result_of
        from napari_sam2.io.label_files import open_labels

        _check(measures, out, picture)
        rules = ComparisonRules(
            _names(measures), leave_out_ends=davis_ends, match=match, only_found=only_found, draws=picture is not None
        )
        entries = find_entries(truth)
        scores = []
        for entry in entries:
            found = open_labels(result_of(result, entry, alone=len(entries) == 1))
            scores.append(compare(open_labels(entry.truth), found, name=entry.name, rules=rules))
        _tell(scores, out, picture)


def benchmark(
    data: Annotated[Path, typer.Argument(help="A data set: folders with img.tif and gt.tif, or others, see the docs.")],
    names: Annotated[
        list[str] | None, typer.Argument(help="Movies of it; by default all.", metavar="[NAME...]")
    ] = None,
    corrections: Annotated[
        CorrectionOption, typer.Option(help="Simulate a user who corrects, and count clicks.")
    ] = CorrectionOption.none,
    max_corrections: Annotated[int, typer.Option(help="Frames of an object that are corrected.")] = 8,
    clicks_per_frame: Annotated[int, typer.Option(help="Clicks on a frame that is corrected, and on the first.")] = 3,
    max_objects: Annotated[int, typer.Option(help="Objects of a movie at most, picked evenly; 0 for all.")] = 40,
    max_frames: Annotated[int, typer.Option(help="Of the first frames at most so many; 0 for all.")] = 30,
    new: Annotated[bool, typer.Option("--new", help="Click objects that appear later, on their first frame.")] = False,
    measures: MeasuresOption = None,
    davis_ends: EndsOption = False,
    model: ModelOption = "cell",
    diameter: Annotated[float | None, typer.Option(help="Typical diameter of a cell in pixels.")] = None,
    device: DeviceOption = "auto",
    out: OutOption = None,
    picture: PictureOption = None,
) -> None:
    """Track movies that have truth from one click an object, and measure how well; see docs/evaluation.md."""
    with errors_in_one_line():
        from napari_sam2.evaluation.comparison import ComparisonRules
        from napari_sam2.evaluation.interaction import ClickRules
        from napari_sam2.evaluation.tracking import CORRECTIONS, TrackingRules, track_and_measure
        from napari_sam2.io.data_sets import find_entries
        from napari_sam2.models import load_model

        _check(measures, out, picture)
        rules = TrackingRules(
            max_objects=max_objects or None,
            max_frames=max_frames or None,
            new_objects=new,
            corrections=CORRECTIONS.get(corrections.value),
            clicks=ClickRules(clicks_per_frame, max_corrections),
            comparison=ComparisonRules(_names(measures), leave_out_ends=davis_ends, draws=picture is not None),
        )
        entries = find_entries(data, names or ())
        network, scores = load_model(model, device=device), []
        try:
            for entry in entries:
                typer.echo(f"Tracking {entry.name}", err=True)
                with progress_bar() as show:
                    scores.append(track_and_measure(entry, network, rules, diameter=diameter, progress=show))
        finally:
            # Whatever stopped it, the movies that are done are reported.
            _tell(scores, out, picture)


def _check(measures: str | None, out: Path | None, picture: Path | None) -> None:
    """Refuse a report that could not be written, before hours of work are done for it."""
    from napari_sam2.errors import EvaluationError
    from napari_sam2.evaluation.report import check_report_name

    if out is not None:
        check_report_name(out)
    for path in (out, picture):
        if path is not None and not path.resolve().parent.is_dir():
            raise EvaluationError(f"cannot write {path}: there is no folder {path.parent}; make it first")
    if picture is not None and measures is not None and "overlap" not in (_names(measures) or ()):
        raise EvaluationError("--picture draws IoU over frames: add overlap to --measures")


def _tell(scores: "list[MovieScores]", out: Path | None, picture: Path | None) -> None:
    from napari_sam2.evaluation.picture import write_picture
    from napari_sam2.evaluation.report import Report

    if not scores:
        return
    report = Report(tuple(scores))
    typer.echo(report.table())
    if out is not None:
        report.save(out)
        typer.echo(f"Wrote {out}")
    if picture is not None:
        write_picture(picture, scores)
        typer.echo(f"Wrote {picture}")


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name.strip() for name in text.split(","))
