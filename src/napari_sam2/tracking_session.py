"""The tracking session: a movie, objects with prompts at any frame, and the masklets that come out."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sam2.errors import PromptError, PropagationError
from napari_sam2.masklets import FrameMask, Masklet, compose_labels
from napari_sam2.overlaps import SeenMask, resolve_overlaps
from napari_sam2.prompts import ObjectPrompts, Prompt, check_prompts, group_prompts
from napari_sam2.propagation import FollowedObject, Follower
from napari_sam2.sweeps import Direction, Sweep, plan_sweeps
from napari_sam2.video import Video

if TYPE_CHECKING:
    from sam2_torch.network import SAM2


@dataclass(frozen=True, slots=True)
class FrameResult:
    """One frame of a propagation: the masks of the objects present on it, and the IDs of those that are absent."""

    frame: int
    masks: tuple[FrameMask, ...]
    absent: tuple[int, ...]


class TrackingSession:
    """Objects followed through one movie, without napari or a display.

    Masks of objects propagated together do not overlap: a painted mask keeps its pixels, a clicked one yields to no
    tracked one, and among equals the higher mask logit wins. Where a mask meets one that was stored earlier, labels
    show the smaller ID. A prompted frame keeps the mask that its prompts gave, whatever is propagated over it.
    A session is for one thread at a time.

    Parameters
    ----------
    video
        The movie; only the frame worked on is in memory.
    model
        From `load_model`.
    diameter
        Typical diameter of an object in source pixels, for models that look at objects at one scale; by default
        estimated for each object from its prompts.

    Attributes
    ----------
    prompts
        By (object_id, frame).
    masklets
        By object ID; the masks found so far.
    """

    def __init__(self, video: Video, model: "SAM2", *, diameter: float | None = None) -> None:
        if diameter is not None and not 1 <= diameter <= 10_000:
            raise PromptError(f"diameter is {diameter}, expected 1 to 10000 pixels; leave it out to have it estimated")
        self.video = video
        self.prompts: dict[tuple[int, int], ObjectPrompts] = {}
        self.masklets: dict[int, Masklet] = {}
        self._follower = Follower(video, model, diameter=diameter)
        self._followed: dict[int, FollowedObject] = {}
        self._segmented: dict[tuple[int, int], ObjectPrompts] = {}
        # By object ID a byte a frame: 1 where it was tracked from the prompts it has now.
        self._tracked: dict[int, bytearray] = {}

    @property
    def object_ids(self) -> tuple[int, ...]:
        """IDs of the objects that have prompts, sorted."""
        return tuple(sorted({object_id for object_id, _ in self.prompts}))

    def add_prompts(self, *prompts: Prompt) -> set[tuple[int, int]]:
        """Add prompts to those there are; returns the (frame, object_id) that changed.

        Raises
        ------
        PromptError
            If a prompt makes no sense on this movie; then none is added.
        """
        return self.set_prompts([*self._all_prompts(), *prompts])

    def set_prompts(self, prompts: Iterable[Prompt]) -> set[tuple[int, int]]:
        """Replace all prompts; returns the (frame, object_id) that changed, removed ones included.

        An object that has lost its last prompt is forgotten, but for masks that were propagated.

        Raises
        ------
        PromptError
            If a prompt makes no sense on this movie; then nothing changes.
        """
        prompts = list(prompts)
        check_prompts(prompts, num_frames=self.video.num_frames, shape_yx=self.video.shape_yx)
        old, new = self.prompts, group_prompts(prompts)
        changed = {key for key in new.keys() | old.keys() if new.get(key) != old.get(key)}
        anchors = {i: min(t for j, t in old if j == i) for i in {i for i, _ in old}}
        self.prompts = new
        for object_id, frame in changed:
            if (object_id, frame) not in new:
                self._forget_prompt(object_id, frame)
            before, now = old.get((object_id, frame)), new.get((object_id, frame))
            if frame == anchors.get(object_id) and before is not None and (now is None or not _extends(now, before)):
                self._start_anew(object_id)
        return {(frame, object_id) for object_id, frame in changed}

    def remove_object(self, object_id: int) -> None:
        """Forget an object altogether: prompts, memories, masks."""
        self.prompts = {key: p for key, p in self.prompts.items() if key[0] != object_id}
        self._segmented = {key: p for key, p in self._segmented.items() if key[0] != object_id}
        for state in (self._followed, self.masklets, self._tracked):
            state.pop(object_id, None)

    def segment(self, frame: int, object_id: int) -> FrameMask | None:
        """The mask of an object on a frame it is prompted on, from the prompts there; None if it is empty.

        The mask is kept. Memories of other frames do not change until propagation.

        Raises
        ------
        PromptError
            If the object has no prompts on that frame, or only negative ones where there is no mask to correct.
        PropagationError
            If the network fails.
        """
        frame, object_id = index(frame), index(object_id)
        key = (object_id, frame)
        if key not in self.prompts:
            raise PromptError(f"object {object_id} has no prompt on frame {frame}: click it there first")
        with _explained(frame):
            seen = self._segment(key)
        return self._keep(frame, object_id, seen.to_frame_mask(frame, object_id))

    def plan(
        self,
        direction: Direction = "forward",
        *,
        object_ids: Sequence[int] | None = None,
        first: int | None = None,
        last: int | None = None,
    ) -> int:
        """How many frames `propagate` would yield, for a progress bar. Raises as `propagate` does."""
        return sum(len(sweep.frames) for sweep in self._sweeps(direction, object_ids, first, last))

    def propagate(
        self,
        direction: Direction = "forward",
        *,
        object_ids: Sequence[int] | None = None,
        first: int | None = None,
        last: int | None = None,
    ) -> Iterator[FrameResult]:
        """Follow objects through the movie, one frame at a time; stop it whenever you like, what is done stays.

        Each object starts at its own prompt: forward at its first, backward at its last, both ways at its first.

        Parameters
        ----------
        direction
            "both" goes forward, then backward.
        object_ids
            Which objects; by default all that have prompts.
        first, last
            Lowest and highest frame to visit; an object that begins outside joins at the border.

        Raises
        ------
        PromptError
            If there is nothing to propagate, at the call.
        PropagationError
            If a frame cannot be tracked; the frames before it are kept.
        """
        return self._run(self._sweeps(direction, object_ids, first, last))

    def labels(self, frame: int) -> NDArray[np.uint32]:
        """All masks of a frame as (Y, X) labels, 0 for none; where stored masks overlap the smaller ID shows."""
        masks = [masklet[frame] for masklet in self.masklets.values() if frame in masklet]
        return compose_labels(masks, self.video.shape_yx)

    def _segment(self, key: tuple[int, int]) -> SeenMask:
        """Mask of prompts; a correction if the object was tracked around that frame from other prompts."""
        object_id, frame = key
        prompts, before = self.prompts[key], self._segmented.get(key)
        followed = self._followed.setdefault(object_id, self._follower.new_object(object_id))
        direction = self._direction_of_correction(followed, frame)
        masklet = self.masklets.get(object_id)
        mask = None if masklet is None else masklet.get(frame)
        if direction is None and prompts.box is None and prompts.mask is None:
            self._need_a_positive(prompts, frame, object_id)
        if direction is not None:
            self._rebuild(followed, frame, direction)
        followed.bank.forget(frame)
        seen = self._follower.segment(
            followed,
            frame,
            prompts,
            refines=before is not None and _extends(prompts, before),
            memory_direction=direction,
            near=None if mask is None or direction is None else mask.centroid,
        )
        self._segmented[key] = prompts
        return seen

    def _direction_of_correction(self, followed: FollowedObject, frame: int) -> int | None:
        """How tracking comes to a frame from the other prompts; None if it has not come near it."""
        others = [t for t in followed.prompted if t != frame]
        tracked = self._tracked.get(followed.object_id)
        if not others or tracked is None:
            return None
        step = 1 if frame >= min(others) else -1
        reach = followed.bank.rules.num_memories
        near = (frame - step * k for k in range(reach))
        return step if any(0 <= t < len(tracked) and tracked[t] for t in near) else None

    @staticmethod
    def _need_a_positive(prompts: ObjectPrompts, frame: int, object_id: int) -> None:
        if not any(point.positive for point in prompts.points):
            raise PromptError(
                f"object {object_id} has only negative points on frame {frame}, where there is no mask to correct: "
                "add a positive point, or propagate to that frame first"
            )

    def _run(self, sweeps: list[Sweep]) -> Iterator[FrameResult]:
        for sweep in sweeps:
            with _explained(sweep.frames[0]):
                self._segment_prompts(sweep.joins)
                objects = {i: self._followed[i] for i in sweep.joins}
                for followed in objects.values():
                    self._follower.remember_prompts(followed)
            for frame in sweep.frames:
                with _explained(frame):
                    for object_id in sweep.joining(frame):
                        self._join(objects[object_id], frame, sweep.step)
                    result = self._visit(frame, [objects[i] for i in sweep.active(frame)], sweep.step)
                yield result

    def _visit(self, frame: int, active: Sequence[FollowedObject], step: int) -> FrameResult:
        seen = self._follower.step(frame, [f for f in active if frame not in f.prompted], step)
        for followed in active:
            if frame in followed.prompted:
                prompts = self.prompts[followed.object_id, frame]
                seen[followed.object_id] = self._follower.show_prompted(followed, frame, prompts)
            else:
                self._tracked.setdefault(followed.object_id, bytearray(self.video.num_frames))[frame] = 1
        masks = []
        for object_id, won in sorted(resolve_overlaps(seen, self.video.shape_yx).items()):
            mask = self._keep(frame, object_id, seen[object_id].to_frame_mask(frame, object_id, won))
            masks += [mask] if mask is not None else []
        present = {m.object_id for m in masks}
        return FrameResult(frame, tuple(masks), tuple(i for i in sorted(seen) if i not in present))

    def _join(self, followed: FollowedObject, frame: int, step: int) -> None:
        """Start to follow an object at a frame: memories of the frames before it, and the window where it was there."""
        self._rebuild(followed, frame, step)
        masklet = self.masklets.get(followed.object_id)
        known = [t for t in masklet or () if t in followed.prompted or self._is_tracked(followed, t)]
        if masklet is not None and known:
            nearest = min(known, key=lambda t: (abs(t - frame + step), t))
            self._follower.look_at(followed, masklet[nearest].centroid)

    def _sweeps(
        self, direction: Direction, object_ids: Sequence[int] | None, first: int | None, last: int | None
    ) -> list[Sweep]:
        chosen = self.object_ids if object_ids is None else tuple(sorted(set(object_ids)))
        strangers = [i for i in chosen if i not in self.object_ids]
        if strangers or not chosen:
            raise PromptError(
                f"Nothing to follow: {f'object {strangers[0]} has' if strangers else 'there are'} no prompts. "
                "Click a cell first."
            )
        prompted = {i: [frame for j, frame in self.prompts if j == i] for i in chosen}
        return plan_sweeps(direction, prompted, num_frames=self.video.num_frames, first=first, last=last)

    def _segment_prompts(self, object_ids: Iterable[int]) -> None:
        for object_id, frame in sorted(self.prompts, key=lambda key: (key[1], key[0])):
            if object_id in object_ids and self._segmented.get((object_id, frame)) != self.prompts[object_id, frame]:
                self.segment(frame, object_id)

    def _is_tracked(self, followed: FollowedObject, frame: int) -> bool:
        tracked = self._tracked.get(followed.object_id)
        return tracked is not None and bool(tracked[frame])

    def _rebuild(self, followed: FollowedObject, frame: int, step: int) -> None:
        """Put back what the bank has forgotten of the frames that `frame` looks at, from their stored masks."""
        masklet = self.masklets.get(followed.object_id)
        self._follower.remember_prompts(followed)
        if masklet is not None:
            missing = [t for t in followed.bank.missing(frame, step) if t in masklet and self._is_tracked(followed, t)]
            if missing:
                self._follower.rebuild(followed, [masklet[t] for t in missing], frame=frame, direction=step)

    def _keep(self, frame: int, object_id: int, mask: FrameMask | None) -> FrameMask | None:
        masklet = self.masklets.setdefault(object_id, Masklet(object_id))
        if mask is None:
            masklet.remove(frame)
        else:
            masklet.add(mask)
        return mask

    def _forget_prompt(self, object_id: int, frame: int) -> None:
        self._segmented.pop((object_id, frame), None)
        followed = self._followed.get(object_id)
        if followed is not None:
            followed.prompted.pop(frame, None)
            followed.bank.forget(frame)
            if not followed.prompted:
                followed.diameter = self._follower.diameter
        tracked = self._tracked.get(object_id)
        around = range(max(0, frame - 1), min(self.video.num_frames, frame + 2))
        if object_id in self.masklets and not (tracked is not None and any(tracked[t] for t in around)):
            self.masklets[object_id].remove(frame)
        if object_id not in self.object_ids:
            self._followed.pop(object_id, None)
            if not self.masklets.get(object_id):
                self.masklets.pop(object_id, None)

    def _start_anew(self, object_id: int) -> None:
        """What was tracked from a first prompt that is gone is shown until it is tracked again, but not remembered."""
        self._tracked.pop(object_id, None)
        if object_id in self._followed:
            self._followed[object_id].bank.clear_recent()

    def _all_prompts(self) -> Iterator[Prompt]:
        for group in self.prompts.values():
            yield from group.points
            yield from (p for p in (group.box, group.mask) if p is not None)


def _extends(now: ObjectPrompts, before: ObjectPrompts) -> bool:
    """Whether points were added to the same prompts, so that the mask before is one to refine."""
    same = now.box == before.box and now.mask is None and before.mask is None
    return same and len(now.points) > len(before.points) and now.points[: len(before.points)] == before.points


@contextmanager
def _explained(frame: int) -> Iterator[None]:
    """Say of a failure of the network, nearly always a RuntimeError, where it was and what can be done."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise PropagationError(
            f"The model failed on frame {frame} ({text}). The masks found so far are kept. If memory ran out, follow "
            "fewer objects at a time, use a smaller model or another device, and go on from there."
        ) from error
