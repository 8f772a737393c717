"""Track the movies of a data set from one click an object, and measure what comes out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from napari_sam2.errors import EvaluationError
from napari_sam2.evaluation.comparison import ComparisonRules, MovieScores, compare
from napari_sam2.evaluation.interaction import ClickRules, Round, Start, clicks_needed, correct_offline, correct_online
from napari_sam2.evaluation.overlap import true_clicks
from napari_sam2.evaluation.report import CLICKS
from napari_sam2.io.data_sets import DATA_SETS, Entry
from napari_sam2.io.label_files import frame_number, open_labels
from napari_sam2.io.label_movie import LabelMovie
from napari_sam2.io.movies import FrameFolder, LazyArray, open_movie_file
from napari_sam2.prompts import PointPrompt
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.video import Video

Corrections = Callable[[Start, LabelMovie, Sequence[PointPrompt], ClickRules], Iterator[Round]]
CORRECTIONS: dict[str, Corrections] = {"offline": correct_offline, "online": correct_online}
GOALS = (0.8, 0.9)
"""Mean IoU that clicks are counted to."""


@dataclass(frozen=True, slots=True)
class TrackingRules:
    """How a movie is tracked to be measured.

    Attributes
    ----------
    max_objects, max_frames
        At most so many objects, picked evenly, and so many of the first frames; None for all.
    min_area
        Pixels that an object must have where it is clicked.
    new_objects
        Whether objects that appear later are clicked, on their first frame; else only those of the first frame are.
    corrections
        A value of `CORRECTIONS`: simulate a user who corrects; by default nobody does.
    clicks
        What that user does.
    comparison
        What is measured of tracking without corrections. Only the objects that are clicked are compared, but for
        `ctc`, which counts all.
    """

    max_objects: int | None = 40
    max_frames: int | None = 30
    min_area: int = 12
    new_objects: bool = False
    corrections: Corrections | None = None
    clicks: ClickRules = field(default_factory=ClickRules)
    comparison: ComparisonRules = field(default_factory=ComparisonRules)


def track_and_measure(
    entry: Entry,
    model: Any,
    rules: TrackingRules | None = None,
    *,
    diameter: float | None = None,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> MovieScores:
    """Click each object once at the deepest pixel of its true mask, track forward, measure.

    Parameters
    ----------
    entry
        From `find_entries`.
    model
        From `load_model`.
    rules
        See `TrackingRules`.
    diameter
        As for `TrackingSession`.
    progress
        Called with how many frames are tracked, and how many there are.

    Raises
    ------
    EvaluationError, MovieError, PropagationError
        If there is no movie, it or its truth cannot be read, they do not fit, or there is nothing to click.
    """
    rules = rules or TrackingRules()
    truth, video = _open(entry, rules.max_frames)

    def start() -> TrackingSession:
        return TrackingSession(video, model, diameter=diameter, history_bytes=0)

    clicks = starting_clicks(truth, rules)
    tracked = _track(start(), clicks, progress)
    ids = [click.object_id for click in clicks]
    scores = compare(truth, tracked, name=entry.name, rules=rules.comparison, object_ids=ids)
    if rules.corrections is None:
        return scores
    rounds = tuple(rules.corrections(start, truth, clicks, rules.clicks))
    needed = {f"{CLICKS}{goal}": _or_nan(clicks_needed(rounds, goal)) for goal in GOALS}
    return replace(scores, rounds=rounds, values=scores.values | {"corrected": rounds[-1].iou} | needed)


def starting_clicks(truth: LabelMovie, rules: TrackingRules) -> list[PointPrompt]:
    """The first click on each object, see `true_clicks`.

    Raises
    ------
    EvaluationError
        If there is none.
    """
    clicks: dict[int, PointPrompt] = {}
    for k in range(len(truth) if rules.new_objects else 1):
        frame = truth.frame(k)
        frame[np.isin(frame, list(clicks))] = 0
        found = true_clicks(frame, frame=truth.numbers[k], min_area=rules.min_area, max_objects=None)
        clicks |= {click.object_id: click for click in found}
    if not clicks:
        raise EvaluationError(
            f"{truth.name} has no object of {rules.min_area} pixels to click on"
            + ("" if rules.new_objects else " on its first frame; let objects that appear later be clicked (--new)")
        )
    chosen = list(clicks.values())
    if rules.max_objects is not None and len(chosen) > rules.max_objects:
        chosen = [chosen[k] for k in np.linspace(0, len(chosen) - 1, rules.max_objects).astype(int)]
    return chosen


def _open(entry: Entry, max_frames: int | None) -> tuple[LabelMovie, Video]:
    """Truth and movie, numbered alike: the numbers of the truth become places in the movie."""
    if entry.movie is None:
        raise EvaluationError(
            f"the movie {entry.name} is not there, only its truth {entry.truth}: expected {DATA_SETS}"
        )
    frames = open_movie_file(entry.movie)
    truth = open_labels(entry.truth).first(max_frames)
    if truth.numbered and isinstance(frames, FrameFolder):
        places = {number: t for t, number in enumerate(map(frame_number, frames.paths))}
        if missing := [number for number in truth.numbers if number not in places]:
            raise EvaluationError(f"{entry.movie} has no frame {missing[0]}, which its truth {entry.truth} has")
        truth = replace(truth, numbers=tuple(places[number] for number in truth.numbers))
    video = Video(_FirstFrames(frames, truth.numbers[-1] + 1), name=entry.name)
    if truth.shape_yx != video.shape_yx or truth.numbers[-1] >= video.num_frames:
        raise EvaluationError(
            f"the truth of {entry.name} has frames of {truth.shape_yx} up to frame {truth.numbers[-1]}, the movie "
            f"{video.num_frames} frames of {video.shape_yx}; they must be of the same movie"
        )
    return truth, video


class _FirstFrames:
    """The frames of a movie up to the last one that has truth; later ones need not be tracked."""

    def __init__(self, frames: LazyArray, count: int) -> None:
        self._frames = frames
        self.dtype: Any = frames.dtype
        self.shape: tuple[int, ...] = (min(count, frames.shape[0]), *frames.shape[1:])

    def __getitem__(self, t: int) -> Any:
        return self._frames[t]


def _track(
    session: TrackingSession, clicks: Sequence[PointPrompt], progress: Callable[[int, int], object]
) -> LabelMovie:
    session.set_prompts(clicks)
    total = session.plan("forward")
    for done, _ in enumerate(session.propagate("forward"), start=1):
        progress(done, total)
    video = session.video
    numbers = tuple(range(video.num_frames))
    return LabelMovie("what was tracked", numbers, video.shape_yx, session.labels, numbered=True)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
