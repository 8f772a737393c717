"""A session without a model: the mask of an object is a disc around its clicks, the same on every frame."""

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from napari_sam2.cleaning import Cleaning
from napari_sam2.errors import PromptError
from napari_sam2.found_objects import Everything
from napari_sam2.masklets import FrameMask, Masklet, compose_labels
from napari_sam2.prompts import ObjectPrompts, PointPrompt, Prompt, check_corrections, check_prompts, group_prompts
from napari_sam2.reviewed_session import Doubt
from napari_sam2.session_log import SessionLogs
from napari_sam2.widget.jobs import Job, JobEnd, guarded
from sam2_torch.mask_generator import Progress


@dataclass(frozen=True)
class FakeResult:
    frame: int
    masks: tuple[FrameMask, ...]
    absent: tuple[int, ...]
    empty: tuple[int, ...]
    doubtful: tuple[int, ...] = ()


@dataclass
class FakeSession:
    """As `TrackingSession`, with hooks: `before_frame` and `before_segment` may sleep or raise.

    Propagation finds none of the objects that are `absent` or `empty` on a frame, given as (object ID, frame).
    """

    shape: tuple[int, int, int]
    radius: int = 6
    before_frame: Callable[[int], None] = lambda frame: None
    before_segment: Callable[[int, int], None] = lambda frame, object_id: None
    absent: set[tuple[int, int]] = field(default_factory=set)
    empty: set[tuple[int, int]] = field(default_factory=set)
    prompts: dict[tuple[int, int], ObjectPrompts] = field(default_factory=dict)
    masklets: dict[int, Masklet] = field(default_factory=dict)
    cells: list[tuple[int, int]] = field(default_factory=list)
    before_ahead: Callable[[int], None] = lambda frame: None
    ahead: list[tuple[int, ...]] = field(default_factory=list)
    before_point: Callable[[int], None] = lambda done: None
    before_accept: Callable[[int], None] = lambda object_id: None
    cleaning: Cleaning = field(default_factory=Cleaning)
    accepted: dict[tuple[int, int], FrameMask] = field(default_factory=dict)
    next_object_id: int = 1
    names: dict[int, str] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    parents: dict[int, int] = field(default_factory=dict)
    logs: SessionLogs = field(default_factory=SessionLogs)
    history: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(is_running=False, undo_name=None, redo_name=None)
    )
    qualities: list[float] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)
    asked: list[tuple[int, int]] = field(default_factory=list)
    closed: int = 0
    reloaded: int = 0
    doubts: set[tuple[int, int]] = field(default_factory=set)
    approvals: set[tuple[int, int]] = field(default_factory=set)
    left: list[int] = field(default_factory=list)
    updated: list[Sequence[int] | None] = field(default_factory=list)

    def close(self) -> None:
        self.closed += 1
        self.logs.close()

    def set_prompts(self, prompts: Iterable[Prompt]) -> set[tuple[int, int]]:
        prompts = list(prompts)
        check_prompts(prompts, num_frames=self.shape[0], shape_yx=self.shape[1:])
        check_corrections(prompts, self.is_correctable)
        groups = group_prompts(prompts)
        changed = {key for key in {**self.prompts, **groups} if self.prompts.get(key) != groups.get(key)}
        with self._touching(*(object_id for object_id, _ in changed)):
            self.prompts = groups
            self.next_object_id = max([self.next_object_id, *(object_id + 1 for object_id, _ in groups)])
            self.accepted = {key: mask for key, mask in self.accepted.items() if key not in changed}
            for object_id, frame in changed - groups.keys():
                if object_id in self.masklets:
                    self.masklets[object_id].remove(frame)
        return {(frame, object_id) for object_id, frame in changed}

    def segment(self, frame: int, object_id: int) -> FrameMask | None:
        self.threads.add(threading.get_ident())
        self.asked.append((frame, object_id))
        self.before_segment(frame, object_id)
        group = self.prompts.get((object_id, frame))
        if group is None:
            raise PromptError(f"object {object_id} has no prompts on frame {frame}")
        if (object_id, frame) in self.accepted:
            return self.accepted[object_id, frame]
        return self._keep(frame, object_id, self._mask(group))

    def segment_all(self, frame: int) -> Iterator[FrameMask]:
        for object_id in [i for i, t in self.prompts if t == frame and frame not in self.masklets.get(i, ())]:
            mask = self.segment(frame, object_id)
            if mask is not None:
                yield mask

    def remove_object(self, object_id: int) -> None:
        frames = [frame for i, frame in self.prompts if i == object_id]
        with self._touching(object_id, frames=[*frames, *self.masklets.get(object_id, ())]):
            self.masklets.pop(object_id, None)
            self.prompts = {key: group for key, group in self.prompts.items() if key[0] != object_id}

    def everything(self, frame: int, *, settings: Any = None) -> Generator[Progress, None, Everything]:
        """Squares around the `cells` (y, x), but for those whose middle has a mask."""
        self.threads.add(threading.get_ident())
        self.qualities.append(settings.quality)
        free = [(y, x) for y, x in self.cells if not self.labels(frame)[y, x]]
        for done in range(1, 5):
            self.before_point(done)
            yield Progress(done, 4)
        crop = np.ones((5, 5), bool)
        masks = tuple(FrameMask(frame, i, (y - 2, x - 2, y + 3, x + 3), crop, 3, 1) for i, (y, x) in enumerate(free, 1))
        clicks = tuple(PointPrompt(frame, i, float(y), float(x)) for i, (y, x) in enumerate(free, 1))
        return Everything(frame, self.shape[1:], masks, clicks)

    def accept(self, mask: FrameMask) -> None:
        self.before_accept(mask.object_id)
        if (mask.object_id, mask.frame) not in self.prompts:
            raise PromptError(f"object {mask.object_id} has no prompt on frame {mask.frame}")
        with self._touching(mask.object_id, frames=[mask.frame]):
            self.accepted[mask.object_id, mask.frame] = mask
            self.masklets.setdefault(mask.object_id, Masklet(mask.object_id)).add(mask)

    def plan(
        self,
        direction: str,
        *,
        object_ids: Sequence[int] | None = None,
        first: int | None = None,
        last: int | None = None,
    ) -> int:
        return len(self._frames(direction, first, last))

    def propagate(
        self,
        direction: str = "forward",
        *,
        object_ids: Sequence[int] | None = None,
        first: int | None = None,
        last: int | None = None,
    ) -> Iterator[FakeResult]:
        yield from self._follow(self._frames(direction, first, last), object_ids)

    @property
    def can_resume(self) -> bool:
        return bool(self.left)

    def remaining(self) -> int:
        return len(self.left)

    def resume(self) -> Iterator[FakeResult]:
        yield from self._follow(self.left, None)

    def _follow(self, frames: list[int], object_ids: Sequence[int] | None) -> Iterator[FakeResult]:
        self.left = frames
        for frame in frames:
            self.threads.add(threading.get_ident())
            self.before_frame(frame)
            masks = []
            everybody = {object_id for object_id, _ in self.prompts}
            for object_id in sorted(everybody if object_ids is None else everybody & {*object_ids}):
                nearest = min((key for key in self.prompts if key[0] == object_id), key=lambda key: abs(key[1] - frame))
                missing = (object_id, frame) in self.absent | self.empty
                mask = np.zeros(self.shape[1:], bool) if missing else self._mask(self.prompts[nearest])
                masks.append(self._keep(frame, object_id, mask))
            absent, empty = (tuple(i for i, t in where if t == frame) for where in (self.absent, self.empty))
            self.left = self.left[1:]
            yield FakeResult(frame, tuple(mask for mask in masks if mask is not None), absent, empty)

    def update(self, object_ids: Sequence[int] | None = None) -> Iterator[FakeResult]:
        self.updated.append(object_ids)
        yield from self.propagate("forward", last=2)

    def confidence(self, object_id: int) -> tuple[np.ndarray, np.ndarray]:
        frames = np.array(self.masklets[object_id].frames, int)
        return frames, np.where(np.isin(frames, [t for i, t in self.doubts if i == object_id]), 0.25, 0.9)

    def find_doubts(self, doubts: set[tuple[int, int]]) -> None:
        with self._touching(*(i for i, _ in doubts)):
            self.doubts = doubts

    def doubtful(self, object_ids: Iterable[int] | None = None) -> tuple[Doubt, ...]:
        ids = [*self.masklets] if object_ids is None else [*object_ids]
        return tuple(Doubt(t, i, 0.25, "moved 2.0 diameters") for i, t in sorted(self.doubts) if i in ids)

    def next_doubtful(self, frame: int, step: int = 1) -> Doubt | None:
        ahead = [doubt for doubt in self.doubtful() if (doubt.frame - frame) * step > 0]
        return min(ahead, key=lambda doubt: abs(doubt.frame - frame), default=None)

    def worst(self, object_id: int) -> Doubt | None:
        frames, values = self.confidence(object_id)
        return min(
            (Doubt(int(t), object_id, float(v), "") for t, v in zip(frames, values, strict=True)),
            default=None,
            key=lambda doubt: doubt.confidence,
        )

    def can_approve(self, object_id: int, frame: int) -> bool:
        masklet = self.masklets.get(object_id)
        return masklet is not None and (frame in masklet or masklet.is_absent(frame))

    def is_correctable(self, object_id: int, frame: int) -> bool:
        group = self.prompts.get((object_id, frame))
        is_theirs = group is not None and group.says_where
        return not is_theirs and object_id in self.masklets and frame in self.masklets[object_id]

    @contextmanager
    def one_step(self, kind: str = "edits") -> Iterator[None]:
        prompts, accepted = dict(self.prompts), dict(self.accepted)
        masks = [mask for masklet in self.masklets.values() for mask in dict(masklet).values()]
        with self.logs.step(kind):
            try:
                yield
            except BaseException:
                self.prompts, self.accepted, self.masklets = prompts, accepted, {}
                for mask in masks:
                    self.masklets.setdefault(mask.object_id, Masklet(mask.object_id)).add(mask)
                raise

    def reload(self) -> None:
        self.reloaded += 1

    def approved(self, object_id: int) -> tuple[int, ...]:
        return tuple(sorted(t for i, t in self.approvals if i == object_id))

    def keeps_pixels(self, object_id: int, frame: int) -> bool:
        return (object_id, frame) in self.approvals

    def approve(self, object_id: int, frames: int | None = None) -> tuple[int, ...]:
        self.threads.add(threading.get_ident())
        chosen = self.masklets[object_id].frames if frames is None else (frames,)
        with self._touching(object_id, frames=chosen):
            self.approvals |= {(object_id, t) for t in chosen}
        return chosen

    def disapprove(self, object_id: int, frames: int | None = None) -> tuple[int, ...]:
        chosen = self.approved(object_id) if frames is None else (frames,)
        with self._touching(object_id, frames=chosen):
            self.approvals -= {(object_id, t) for t in chosen}
        return chosen

    def mark_absent(self, object_id: int, frame: int) -> None:
        with self._touching(object_id, frames=[frame]):
            self.prompts.pop((object_id, frame), None)
            self.masklets[object_id].mark_absent(frame)
            self.approvals |= {(object_id, frame)}

    def look_ahead(self, frame: int, *, first: Sequence[int] = ()) -> Iterator[int]:
        self.threads.add(threading.get_ident())
        for t in (frame, frame + 1, frame - 1):
            if 0 <= t < self.shape[0]:
                self.before_ahead(t)
                self.ahead.append((t, *first))
                yield t

    def diameter_of(self, object_id: int) -> float | None:
        return 2.0 * self.radius

    def labels(self, frame: int) -> np.ndarray:
        masks = [masklet[frame] for masklet in self.masklets.values() if frame in masklet]
        return compose_labels(masks, self.shape[1:])

    @contextmanager
    def _touching(self, *object_ids: int, frames: Iterable[int] = ()) -> Iterator[None]:
        """What happens to objects inside is a step that listeners are told of."""
        with self.logs.step("prompts"):
            for object_id in object_ids:
                self.logs.touching(SimpleNamespace(object_id=object_id), list(frames))
            yield

    def _frames(self, direction: str, first: int | None, last: int | None) -> list[int]:
        first, last = first or 0, self.shape[0] - 1 if last is None else last
        starts = [frame for _, frame in self.prompts]
        low = min(starts) if direction == "forward" else 0
        high = max(starts) if direction == "backward" else self.shape[0] - 1
        frames = list(range(max(first, low), min(last, high) + 1))
        return frames[::-1] if direction == "backward" else frames

    def _mask(self, group: ObjectPrompts) -> np.ndarray:
        yy, xx = np.mgrid[: self.shape[1], : self.shape[2]]
        mask = np.zeros(self.shape[1:], bool) if group.mask is None else group.mask.mask.copy()
        if group.box is not None:
            box = group.box
            mask |= (yy >= box.y0) & (yy <= box.y1) & (xx >= box.x0) & (xx <= box.x1)
        for point in sorted(group.points, key=lambda point: not point.positive):
            disc = (yy - point.y) ** 2 + (xx - point.x) ** 2 <= self.radius**2
            mask = mask | disc if point.positive else mask & ~disc
        return mask

    def _keep(self, frame: int, object_id: int, mask: np.ndarray) -> FrameMask | None:
        found = FrameMask.from_full(mask, frame=frame, object_id=object_id, score=5.0, predicted_iou=0.9)
        with self._touching(object_id, frames=[frame]):
            masklet = self.masklets.setdefault(object_id, Masklet(object_id))
            if found is None:
                masklet.remove(frame)
            else:
                masklet.add(found)
        return found


class StepRunner:
    """Runs jobs in this thread: at once, or step by step if `paused`."""

    def __init__(self, *, paused: bool = False) -> None:
        self.paused = paused
        self.jobs: list[tuple[Job, Generator[Any, None, None]]] = []

    def submit(self, job: Job) -> None:
        for other in [waiting for waiting, _ in self.jobs if waiting.gives_way]:
            self.cancel(other)
        self.jobs.append((job, guarded(job.steps)))
        if not self.paused and len(self.jobs) == 1:
            self.finish()

    def step(self) -> bool:
        """Take one step of the first job; False if there is none."""
        if not self.jobs:
            return False
        job, steps = self.jobs[0]
        try:
            value = next(steps)
        except StopIteration:
            self._end(job, JobEnd())
        except Exception as error:
            self._end(job, JobEnd(error))
        else:
            job.on_step(value)
        return True

    def finish(self) -> None:
        while self.step():
            pass

    def cancel(self, job: Job) -> None:
        if any(waiting is job for waiting, _ in self.jobs):
            self._end(job, JobEnd(canceled=True))

    def _end(self, job: Job, end: JobEnd) -> None:
        for steps in [steps for waiting, steps in self.jobs if waiting is job]:
            steps.close()
        self.jobs = [pair for pair in self.jobs if pair[0] is not job]
        job.on_end(end)


def wait(seconds: float) -> Callable[[int], None]:
    """Return a hook that sleeps."""
    return lambda _frame: time.sleep(seconds)
