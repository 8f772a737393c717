"""Results on one movie against its truth, by the measures that are asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_sam2.errors import EvaluationError
from napari_sam2.evaluation.ctc import measure_ctc
from napari_sam2.evaluation.davis import measure_davis
from napari_sam2.evaluation.interaction import Round
from napari_sam2.evaluation.matching import match_objects
from napari_sam2.evaluation.overlap import count_switches, measure_overlap
from napari_sam2.io.label_movie import LabelMovie


@dataclass(frozen=True, slots=True, eq=False)
class MovieScores:
    """What was measured on one movie.

    Attributes
    ----------
    name
        Of the movie.
    frames, object_ids
        How many were compared, and which: N of them.
    values
        By the names of the columns of the report.
    by_object : {name: (N,)}
        Of those values that are means over objects.
    iou : (T, N)
        NaN where an object is not there; None if it was not measured.
    rounds
        Of simulated corrections, if there were any.
    """

    name: str
    frames: int
    object_ids: tuple[int, ...]
    values: dict[str, float]
    by_object: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    iou: NDArray[np.float64] | None = None
    rounds: tuple[Round, ...] = ()


@dataclass(frozen=True, slots=True)
class ComparisonRules:
    """What is compared, and how.

    Attributes
    ----------
    measures
        Of `MEASURES`. By default, `ctc` where the truth is in the layout of the Cell Tracking Challenge, whose IDs and
        outlines mean little to other measures, else the others.
    leave_out_ends
        See `measure_davis`.
    match
        Pair objects by their overlap, not by their IDs; see `match_objects`.
    only_found
        Of the true objects, only those that the result has; by default all of them, and those it lacks count as 0.
    draws
        IoU over the frames is wanted for a picture, so `overlap` is measured by default, too.
    """

    measures: tuple[str, ...] | None = None
    leave_out_ends: bool = False
    match: bool = False
    only_found: bool = False
    draws: bool = False

    def __post_init__(self) -> None:
        if strangers := [name for name in self.measures or () if name not in MEASURES]:
            raise EvaluationError(f"there is no measure {strangers[0]!r}: expected some of {', '.join(MEASURES)}")


def compare(
    truth: LabelMovie,
    labels: LabelMovie,
    *,
    name: str,
    rules: ComparisonRules | None = None,
    object_ids: Sequence[int] | None = None,
) -> MovieScores:
    """Measure results on the frames that have truth.

    Parameters
    ----------
    truth, labels
        From `open_labels`.
    name
        Of the movie, for the report.
    rules
        See `ComparisonRules`.
    object_ids
        The objects to compare; by default what the rules say.

    Raises
    ------
    EvaluationError
        If the two do not fit one another, or no object can be compared.
    MissingExtraError
        If a measure needs a library that is not installed.
    """
    rules = rules or ComparisonRules()
    labels = labels.at(truth.numbers)
    if rules.match:
        labels = match_objects(truth, labels)
    default: tuple[str, ...] = ("overlap", "davis", "switches")
    if truth.numbered and truth.lines is not None:
        default = ("overlap", "ctc") if rules.draws else ("ctc",)
    measures = default if rules.measures is None else rules.measures
    scores = MovieScores(name, len(truth), (), {})
    ids = list(object_ids or ()) or _objects(truth, labels, rules, by_id=measures != ("ctc",))
    for measure in measures:
        scores = _add(scores, MEASURES[measure](truth, labels, ids, rules))
    return MovieScores(name, len(truth), tuple(ids), scores.values, scores.by_object, scores.iou)


def _add(one: MovieScores, other: MovieScores) -> MovieScores:
    iou = other.iou if one.iou is None else one.iou
    return MovieScores(
        one.name, one.frames, one.object_ids, one.values | other.values, one.by_object | other.by_object, iou
    )


def _objects(truth: LabelMovie, labels: LabelMovie, rules: ComparisonRules, *, by_id: bool) -> list[int]:
    true_ids, ids = (_all_ids(movie) for movie in (truth, labels))
    if not true_ids:
        raise EvaluationError(f"{truth.name} has no object on any frame: nothing can be compared with it")
    if not by_id:
        return sorted(true_ids)
    if ids and not true_ids & ids:
        raise EvaluationError(
            f"the results have the object IDs {_some(ids)}, the truth {_some(true_ids)}, none in common: "
            "give objects the true IDs, or let them be paired by their overlap (--match)"
        )
    chosen = true_ids & ids if rules.only_found else true_ids
    if not chosen:
        raise EvaluationError("the results have no object at all; without --only-found they count as 0")
    return sorted(chosen)


def _all_ids(movie: LabelMovie) -> set[int]:
    return set().union(*(np.unique(frame).tolist() for frame in movie)) - {0}


def _some(ids: set[int]) -> str:
    listed = ", ".join(str(i) for i in sorted(ids)[:5])
    return listed + (" ..." if len(ids) > 5 else "")


def _overlap(truth: LabelMovie, labels: LabelMovie, ids: Sequence[int], rules: ComparisonRules) -> MovieScores:
    overlap = measure_overlap(truth, labels, list(ids))
    values = {
        "first": overlap.first_frame,
        "movie": overlap.movie,
        "followed": overlap.followed,
        "false": overlap.false_masks,
    }
    by_object = {"movie": np.nanmean(overlap.iou, 0)}
    return MovieScores("", 0, (), values, by_object, overlap.iou)


def _davis(truth: LabelMovie, labels: LabelMovie, ids: Sequence[int], rules: ComparisonRules) -> MovieScores:
    davis = measure_davis(truth, labels, list(ids), leave_out_ends=rules.leave_out_ends)
    by_object = {"J": davis.region.mean(0), "F": davis.contour.mean(0)}
    by_object["J&F"] = (by_object["J"] + by_object["F"]) / 2
    return MovieScores("", 0, (), {"J": davis.j, "F": davis.f, "J&F": davis.j_and_f}, by_object)


def _switches(truth: LabelMovie, labels: LabelMovie, ids: Sequence[int], rules: ComparisonRules) -> MovieScores:
    return MovieScores("", 0, (), {"switches": float(count_switches(truth, labels, list(ids)))})


def _ctc(truth: LabelMovie, labels: LabelMovie, ids: Sequence[int], rules: ComparisonRules) -> MovieScores:
    scores = measure_ctc(truth, labels)
    return MovieScores("", 0, (), {"SEG": scores.seg, "DET": scores.det, "TRA": scores.tra})


_Measure = Callable[[LabelMovie, LabelMovie, Sequence[int], ComparisonRules], MovieScores]
MEASURES: dict[str, _Measure] = {"overlap": _overlap, "davis": _davis, "switches": _switches, "ctc": _ctc}
"""By the names that the command line knows them by."""
