"""One object of a session: what prompts, propagations and people do to it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_sam2.confidence import signs_of
from napari_sam2.errors import PromptError
from napari_sam2.frame_record import Answer, FrameRecord
from napari_sam2.masklets import FrameMask
from napari_sam2.object_state import ObjectState
from napari_sam2.overlaps import SeenMask
from napari_sam2.prompts import ObjectPrompts

APPROVED_MEMORIES = 4
"""So many approved frames, the nearest ones, are looked at as prompted ones are."""


class TrackedObject(ObjectState):
    """An object that prompts are given of, and that is followed from frame to frame.

    Invariant: whatever is remembered came from prompts that the object has now, or from masks approved. Masks that came
    from others are shown until they are replaced, but nothing is made of them.
    """

    def set_prompts(self, prompts: Mapping[int, ObjectPrompts]) -> None:
        """Replace all prompts; what came from those that are gone is forgotten, but for masks that were tracked."""
        changed = [t for t in self.prompts.keys() | prompts.keys() if self.prompts.get(t) != prompts.get(t)]
        self._logs.touching(self, changed)
        old, self.prompts = self.prompts, dict(prompts)
        self._take_back(t for t in changed if t in self.prompts and t in self.marks.approved)
        gone = old.keys() - self.prompts.keys() - self.marks.approved
        lonely = [frame for frame in gone if not self._is_tracked_around(frame)]
        for frame in lonely:
            self.masklet.remove(frame)
        for frame, before in old.items():
            now = self.prompts.get(frame)
            if now is None or not (now == before or now.extends(before)):
                self._withdraw(frame)

    def segment(self, frame: int, step: int | None = None) -> FrameMask | None:
        """Make a mask of the prompts on a frame, if that is not done, and keep it; None if it is empty.

        It is a correction, in which memories have part, if the object was tracked to the frame from other prompts.

        Parameters
        ----------
        step
            The direction (1 or -1) of the propagation that comes to the frame at this moment.
        """
        self._touch_answer(frame)
        if frame in self.marks.approved:
            return self.masklet.get(frame)
        before, was_known, was_answered = self.masklet.get(frame), self.is_known(frame), self.is_answered(frame)
        if was_answered:
            seen = self._follower.show_prompted(self.followed, frame, self.prompts[frame])
        else:
            seen = self._answer(frame, step)
        self._left = None
        mask = self.keep(frame, seen)
        if not was_answered and not (was_known and _is_same(before, mask)):
            self.marks.correct(frame)
        return mask

    def accept(self, mask: FrameMask) -> None:
        """Take a mask found elsewhere for the answer to the prompts on its frame, as if they had given it."""
        self._touch_answer(mask.frame)
        was_tracked = mask.frame in self._trail
        self.followed.bank.forget(mask.frame)
        self._trail.erase(mask.frame)
        self._follower.accept(self.followed, mask)
        self._answers[mask.frame] = Answer(self.prompts[mask.frame], was_tracked=was_tracked)
        self._left = None
        self._take_back([mask.frame] if mask.frame in self.marks.approved else [])
        if not _is_same(self.masklet.get(mask.frame), mask):
            self.marks.correct(mask.frame)
        self.masklet.add(mask)

    def approve(self, frames: Collection[int]) -> None:
        """Let what some frames show stand as it is; masks are remembered as those of prompts are.

        A frame that shows nothing shows from then on that the object is absent.
        """
        self._logs.touching(self, frames)
        shown = set(self.masklet.frames)
        for frame in frames:
            self.marks.approve(frame, has_mask=frame in shown)
            if frame not in shown:
                self.masklet.mark_absent(frame)
        self._left = None

    def disapprove(self, frames: Collection[int]) -> None:
        """Let approved frames be as any others; what was tracked from their masks is shown, and not remembered."""
        self._logs.touching(self, frames)
        self._take_back(frames)

    def remember(self) -> None:
        """Make memories of the prompted frames, those that are none yet."""
        self._follower.remember_prompts([self.followed])

    def arrive(self, frame: int, step: int) -> None:
        """Get ready to be followed on a frame that a propagation comes to in a direction (1 or -1)."""
        self._logs.touching(self, (frame,))
        if self._left != (frame - step, step):
            self._join(frame, step)
        else:
            self._remember_approved(frame)
        if frame in self.prompts and frame not in self._answers and frame not in self.marks.approved:
            self.segment(frame, step)
            self.remember()
        # Should the frame fail half way, memories and window are made anew next time.
        self._left = None

    def leave(self, frame: int, step: int) -> None:
        """Note that the object was followed on a frame."""
        if not self.is_given(frame):
            self._trail.mark(frame, step, self.followed.bank.prompted)
        self._left = frame, step
        self._pass_on(frame - step, frame, step)
        # All frames since the run began know of the prompts ahead, so that only those before it may be older.
        self._pass_on(frame + step, self._began, -step)

    def show_given(self, frame: int) -> SeenMask:
        """What is approved on a frame, or what prompts gave there."""
        if frame in self.marks.absences:
            return self._show_absent(frame)
        if frame in self.marks.approved:
            mask = self.masklet[frame]
            self._follower.look_at(self.followed, mask.centroid)
            return SeenMask.of(mask)
        return self._follower.show_prompted(self.followed, frame, self.prompts[frame])

    def _show_absent(self, frame: int) -> SeenMask:
        """That the object is not on a frame; next it is looked for in a wider window where it was last."""
        followed = self.followed
        followed.bank.skip(frame)
        if followed.place is not None:
            followed.window = self._follower.windows.on(followed, followed.place, wide=True)
        return SeenMask.absent()

    def keep(
        self,
        frame: int,
        seen: SeenMask,
        won: NDArray[np.bool_] | None = None,
        *,
        step: int | None = None,
        lost: tuple[float, int | None] = (0, None),
    ) -> FrameMask | None:
        """Keep the mask seen on a frame, or the part of it `won` against others, or that the object is absent.

        Parameters
        ----------
        step
            The direction (1 or -1) in which the object was tracked to the frame, if it was.
        lost
            The share of the mask that others have, 0 to 1, and the ID of the one that has most of that.
        """
        mask = seen.to_frame_mask(frame, self.object_id, won)
        if mask is not None:
            before = None if step is None else self.masklet.get(frame - step)
            signs = signs_of(mask, before, self._follower.video.shape_yx, lost=lost[0], lost_to=lost[1])
            mask = replace(mask, signs=signs)
            self.masklet.add(mask)
        elif seen.is_absent:
            self.masklet.mark_absent(frame)
        else:
            self.masklet.remove(frame)
        return mask

    def restore(self, frame: int, record: FrameRecord) -> None:
        """Put back what was known of the object on a frame; memories of it are made anew when they are needed."""
        self._logs.touching(self, (frame,))
        self.restore_prompts(frame, record)
        has_mask = record.mask is not None
        self.marks.put(frame, is_approved=record.is_approved, has_mask=has_mask, outdated=record.outdated)
        self._trail.erase(frame)
        if record.origin is not None:
            self._trail.mark(frame, *record.origin)
        if record.mask is not None:
            self.masklet.add(record.mask)
        elif record.is_absent:
            self.masklet.mark_absent(frame)
        else:
            self.masklet.remove(frame)
        (self.followed.distrusted.add if record.is_doubtful else self.followed.distrusted.discard)(frame)

    def _touch_answer(self, frame: int) -> None:
        """Tell that an answer may change; it may also tell the diameter in place of the frame that told it before."""
        told = self.followed.diameter_from
        self._logs.touching(self, (frame,) if told is None else (frame, told))

    def _answer(self, frame: int, step: int | None) -> SeenMask:
        prompts, before, bank = self.prompts[frame], self._answers.get(frame), self.followed.bank
        sources = frozenset() if before is None else before.sources
        near = None if step is None else self.followed.place
        if step is None:
            step = self._came(frame) if before is None or before.step is None else before.step
        corrects = before is None and step is None and not prompts.says_where
        shown = self.masklet.get(frame) if corrects else None
        if corrects and shown is None:
            raise PromptError(
                f"object {self.object_id} has only negative points on frame {frame}, where there is no mask to "
                "correct: add a positive point, or propagate to that frame first"
            )
        if step is not None:
            self._recall(frame, step)
            sources |= bank.prompted.keys() - {frame}
        bank.forget(frame)
        was_tracked = frame in self._trail or (before is not None and before.was_tracked)
        # What is shown here from now on was not tracked, and must not be remembered as if it were.
        self._trail.erase(frame)
        if near is None and step is not None and frame in self.masklet:
            near = self.masklet[frame].centroid
        if shown is not None:
            # Nothing is remembered that led to the mask, so that it is itself what the points correct.
            self._follower.accept(self.followed, shown)
        seen = self._follower.segment(
            self.followed,
            frame,
            prompts,
            refines=before is not None or shown is not None,
            memory_direction=step,
            near=near,
        )
        self._answers[frame] = Answer(prompts, step, sources, was_tracked)
        return seen

    def _came(self, frame: int) -> int | None:
        """The direction in which tracking came near a frame from other prompts; None if it has not."""
        reach = self.followed.bank.rules.num_recent + 1
        for step in (1, -1):
            others = any((frame - t) * step > 0 for t in (*self.followed.prompted, *self.marks.masks))
            if others and any(self._trail.came(frame - step * k, step) for k in range(reach)):
                return step
        return None

    def _pass_on(self, front: int, to: int, step: int) -> None:
        """Move a front (see `Marks`), if there is one, to a frame up to which everything is new."""
        fronts = self.marks.fronts
        if (front, step) in fronts:
            self._logs.touching(self, (front, to))
            fronts.remove((front, step))
            if self.is_known(to + step) and not (self.is_given(to) or self.is_given(to + step)):
                fronts.add((to, step))

    def _join(self, frame: int, step: int) -> None:
        """Put memories and window as they should be where a propagation begins to follow the object."""
        self._began = frame
        self.remember()
        self.followed.last = None
        given = {*self.followed.prompted, *self.marks.masks}
        if frame in given and all((t - frame) * step >= 0 for t in given):
            # It starts here, from prompts alone; so the same again gives the same.
            self.followed.bank.clear_recent()
            self._remember_approved(frame)
            return
        self._recall(frame, step)
        known = [t for t in self.masklet if t in given or t in self._trail]
        if known:
            nearest = min(known, key=lambda t: (abs(t - frame + step), t))
            self._follower.look_at(self.followed, self.masklet[nearest].centroid)

    def _recall(self, frame: int, step: int) -> None:
        """Put back what was forgotten of the tracked frames that `frame` looks at, from their masks."""
        self.remember()
        self._remember_approved(frame)
        followed = self.followed
        missing = [t for t in followed.bank.missing(frame, step) if t in self._trail and t in self.masklet]
        missing = [t for t in missing if t not in followed.distrusted and t not in self.marks.approved]
        if missing:
            masks = [self.masklet[t] for t in missing]
            self._follower.rebuild(self.followed, masks, frame=frame, direction=step)

    def _remember_approved(self, frame: int) -> None:
        """Let the approved frames nearest to a frame be in the bank beside those with prompts, and no others."""
        followed, bank = self.followed, self.followed.bank
        nearest = self.marks.nearest_approved(frame, APPROVED_MEMORIES, but=followed.prompted)
        bank.forget(*(t for t in [*bank.prompted] if t not in followed.prompted and t not in nearest))
        self._follower.remember_approved(followed, [self.masklet[t] for t in nearest if t not in bank.prompted])

    def _take_back(self, frames: Iterable[int]) -> None:
        """Let approvals count no more, unless prompts gave the masks, and what was tracked from them neither."""
        for frame in list(frames):
            self.marks.disapprove(frame)
            if frame not in self.followed.prompted:
                self._withdraw(frame)

    def _withdraw(self, frame: int) -> None:
        """Forget what came from the prompts on a frame: the memory, what was tracked from it, corrections of that."""
        followed = self.followed
        tracked = self._trail.tracked_from(frame)
        self._logs.touching(self, (frame, *tracked))
        self._left = None
        self.marks.drop_fronts(frame)
        self._answers.pop(frame, None)
        followed.prompted.pop(frame, None)
        followed.bank.forget(frame, *self._trail.withdraw(frame))
        outdated = [t for t, answer in self._answers.items() if frame in answer.sources]
        if followed.diameter_from == frame or not followed.prompted:
            # The windows of all the others are of that scale.
            followed.diameter, followed.diameter_from = self._follower.diameter, None
            outdated = list(self._answers)
        for t in outdated:
            if t in self._answers:
                self._withdraw(t)

    def _is_tracked_around(self, frame: int) -> bool:
        """Whether masks that were tracked are shown around a prompted frame, so that its own would leave a hole."""
        answer = self._answers.get(frame)
        was_tracked = answer is not None and answer.was_tracked
        return was_tracked or any(t in self._trail for t in (frame - 1, frame, frame + 1))


def _is_same(one: FrameMask | None, other: FrameMask | None) -> bool:
    """Whether two masks of a frame have the same pixels, or there is none."""
    if one is None or other is None:
        return one is other
    return one.box == other.box and np.array_equal(one.crop, other.crop)
