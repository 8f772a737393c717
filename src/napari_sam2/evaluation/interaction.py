"""Clicks to quality: a user who knows the truth corrects a session, and masks get better.

The two interactive protocols of Ravi et al., *SAM 2: Segment Anything in Images and Videos*, 2024, section 6.1 and its
appendix, with IoU in place of J&F. Objects are clicked each by itself, and propagated together.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2.errors import EvaluationError
from napari_sam2.evaluation.correction import corrective_click
from napari_sam2.evaluation.davis import region_similarity
from napari_sam2.io.label_movie import LabelMovie
from napari_sam2.prompts import PointPrompt
from napari_sam2.tracking_session import TrackingSession

Start = Callable[[], TrackingSession]
"""Opens a session on the movie, without prompts."""


@dataclass(frozen=True, slots=True)
class ClickRules:
    """What the simulated user does.

    Attributes
    ----------
    clicks_per_frame
        Clicks on a frame that is corrected, and on the first; fewer if nothing is left to correct.
    max_frames
        Frames of an object that are corrected after the first.
    pause_below
        IoU below which the online user stops at a frame, and up to which that user clicks there.
    """

    clicks_per_frame: int = 3
    max_frames: int = 8
    pause_below: float = 0.75

    def __post_init__(self) -> None:
        if self.clicks_per_frame < 1 or self.max_frames < 0 or not 0 < self.pause_below <= 1:
            raise EvaluationError(
                f"{self.clicks_per_frame} clicks a frame, {self.max_frames} frames, a pause below an IoU of "
                f"{self.pause_below}: expected 1 click or more, 0 frames or more, and an IoU above 0, at most 1"
            )


@dataclass(frozen=True, slots=True)
class Round:
    """How good masks are after so many corrections.

    Attributes
    ----------
    corrected_frames
        Frames that each object may have been corrected on, besides its first.
    clicks
        Mean number of clicks that an object has had, those of its first frame included.
    iou
        Mean IoU over all objects and the frames on which they are there.
    """

    corrected_frames: int
    clicks: float
    iou: float


def clicks_needed(rounds: Sequence[Round], iou: float) -> float | None:
    """Mean clicks an object until the mean IoU is reached; None if it never is."""
    return next((r.clicks for r in rounds if r.iou >= iou), None)


def correct_offline(
    start: Start, truth: LabelMovie, clicks: Sequence[PointPrompt], rules: ClickRules | None = None
) -> Iterator[Round]:
    """See the whole movie, correct each object on its worst frame, propagate again; yield after each pass.

    Parameters
    ----------
    start
        Opens a session.
    truth
        True labels; `numbers` are frames of the movie.
    clicks
        The first click on each object, as of `true_clicks`; more are added on that frame.
    rules
        See `ClickRules`.

    Raises
    ------
    EvaluationError, PropagationError
        If there are no clicks, or the truth or a frame fails.
    """
    user = _User(start(), truth, clicks, rules or ClickRules())
    user.begin(until=None)
    for corrected in range(user.rules.max_frames + 1):
        user.propagate()
        iou = user.iou()
        yield user.report(corrected, iou)
        if corrected == user.rules.max_frames or not user.correct_worst(iou):
            return


def correct_online(
    start: Start, truth: LabelMovie, clicks: Sequence[PointPrompt], rules: ClickRules | None = None
) -> Iterator[Round]:
    """Go forward once; where an object is below `pause_below`, stop, click until it is not, go on.

    Yields after each run: one without corrections, one with at most one corrected frame an object, and so on, until
    more would change nothing. Arguments and errors as of `correct_offline`.
    """
    rules = rules or ClickRules()
    for budget in range(rules.max_frames + 1):
        user = _User(start(), truth, clicks, rules)
        user.begin(until=rules.pause_below)
        ran_out = False
        for result in user.session.propagate("forward", last=truth.numbers[-1]):
            ran_out |= user.pause(result.frame, budget)
        yield user.report(budget, user.iou())
        if not ran_out:
            return


class _User:
    """Clicks on the objects of a session, knowing the truth."""

    def __init__(
        self, session: TrackingSession, truth: LabelMovie, clicks: Sequence[PointPrompt], rules: ClickRules
    ) -> None:
        if not clicks:
            raise EvaluationError(
                "there is no object to click on the first frame of the truth; let new ones be clicked"
            )
        self.session, self.truth, self.rules = session, truth, rules
        self.first = {click.object_id: click for click in clicks}
        self.frames: dict[int, set[int]] = {object_id: set() for object_id in self.first}
        self.clicks = 0
        self._stale: set[int] = set(self.first)

    def begin(self, until: float | None) -> None:
        """Click each object on its first frame."""
        self.session.set_prompts(self.first.values())
        self.clicks += len(self.first)
        for object_id, click in self.first.items():
            self.session.segment(click.frame, object_id)
            self._click(self.truth.numbers.index(click.frame), object_id, self.rules.clicks_per_frame - 1, until)

    def propagate(self) -> None:
        """Follow the objects whose prompts have changed, up to the last frame that has truth."""
        for _ in self.session.propagate("both", object_ids=sorted(self._stale), last=self.truth.numbers[-1]):
            pass
        self._stale = set()

    def iou(self) -> NDArray[np.float64]:
        """(T, N), NaN where an object is not there."""
        return np.stack([self._iou_on(k) for k in range(len(self.truth))])

    def report(self, corrected: int, iou: NDArray[np.float64]) -> Round:
        return Round(corrected, self.clicks / len(self.first), float(np.nanmean(iou)))

    def correct_worst(self, iou: NDArray[np.float64]) -> bool:
        """Correct each object on its worst frame that is not corrected yet; returns whether any was."""
        for column, object_id in enumerate(self.first):
            rest = iou[:, column].copy()
            rest[[self.truth.numbers.index(frame) for frame in self.frames[object_id]]] = np.nan
            if not np.isnan(rest).all() and np.nanmin(rest) < 1:
                self._click(int(np.nanargmin(rest)), object_id, self.rules.clicks_per_frame, None)
                self._stale.add(object_id)
        return bool(self._stale)

    def pause(self, frame: int, budget: int) -> bool:
        """Correct what is bad on a frame, as far as the budget goes; returns whether it did not go far enough."""
        if frame not in self.truth.numbers:
            return False
        k, ran_out = self.truth.numbers.index(frame), False
        for object_id, iou in zip(self.first, self._iou_on(k), strict=True):
            # Before its first click an object is not followed yet.
            if iou < self.rules.pause_below and frame > self.first[object_id].frame:
                if len(self.frames[object_id]) < 1 + budget:
                    self._click(k, object_id, self.rules.clicks_per_frame, self.rules.pause_below)
                else:
                    ran_out = True
        return ran_out

    def _click(self, k: int, object_id: int, count: int, until: float | None) -> None:
        frame, true = self.truth.numbers[k], self.truth.frame(k) == object_id
        self.frames[object_id].add(frame)
        for _ in range(count):
            found = self._mask(frame, object_id)
            click = corrective_click(true, found, frame=frame, object_id=object_id)
            if click is None or (until is not None and region_similarity(true, found) >= until):
                return
            self.session.add_prompts(click)
            self.session.segment(frame, object_id)
            self.clicks += 1

    def _iou_on(self, k: int) -> NDArray[np.float64]:
        labels, frame = self.truth.frame(k), self.truth.numbers[k]
        row = np.full(len(self.first), np.nan)
        for column, object_id in enumerate(self.first):
            true = labels == object_id
            if true.any():
                row[column] = region_similarity(true, self._mask(frame, object_id))
        return row

    def _mask(self, frame: int, object_id: int) -> NDArray[np.bool_]:
        painted = np.zeros(self.session.video.shape_yx, np.uint8)
        masklet = self.session.masklets.get(object_id)
        if masklet is not None and frame in masklet:
            masklet[frame].paint(painted, 1)
        return painted.astype(bool)
