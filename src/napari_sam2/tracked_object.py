"""One object of a session: its prompts in time, what they gave, where it was tracked, and its masks."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from napari_sam2.errors import PromptError
from napari_sam2.frame_record import Answer, FrameRecord
from napari_sam2.masklets import FrameMask, Masklet
from napari_sam2.overlaps import SeenMask
from napari_sam2.prompts import ObjectPrompts
from napari_sam2.propagation import Follower
from napari_sam2.session_log import SessionLogs
from napari_sam2.trail import Trail


class TrackedObject:
    """What a session knows of one object.

    Invariant: whatever is remembered came from prompts that the object has now. Masks that came from others are shown
    until they are replaced, but nothing is made of them.

    Parameters
    ----------
    logs
        Are told what is about to change.
    masklet, trail
        The masks, and where it was tracked, to begin with.

    Attributes
    ----------
    prompts
        By frame.
    masklet
        The masks found so far.
    followed
        The state that the network is given.
    """

    def __init__(self, follower: Follower, logs: SessionLogs, masklet: Masklet, trail: Trail) -> None:
        self.object_id = object_id = masklet.object_id
        self.prompts: dict[int, ObjectPrompts] = {}
        self.masklet = masklet
        self.followed = follower.new_object(object_id)
        self._follower = follower
        self._logs = logs
        self._trail = trail
        self._answers: dict[int, Answer] = {}
        # The frame and direction after which memories and window are just as tracking left them.
        self._left: tuple[int, int] | None = None

    @property
    def starts(self) -> list[int]:
        """Frames from which the object can be followed: those whose prompts say where it is, or have a mask."""
        return [frame for frame, prompts in self.prompts.items() if prompts.says_where or frame in self._answers]

    def set_prompts(self, prompts: Mapping[int, ObjectPrompts]) -> None:
        """Replace all prompts; what came from those that are gone is forgotten, but for masks that were tracked."""
        changed = [t for t in self.prompts.keys() | prompts.keys() if self.prompts.get(t) != prompts.get(t)]
        self._logs.touching(self, changed)
        old, self.prompts = self.prompts, dict(prompts)
        lonely = [frame for frame in old.keys() - self.prompts.keys() if not self._is_tracked_around(frame)]
        for frame in lonely:
            self.masklet.remove(frame)
        for frame, before in old.items():
            now = self.prompts.get(frame)
            if now is None or not (now == before or now.extends(before)):
                self._withdraw(frame)

    def is_answered(self, frame: int) -> bool:
        """Whether the prompts on a frame have been made a mask of."""
        answer = self._answers.get(frame)
        return answer is not None and answer.prompts == self.prompts[frame]

    def segment(self, frame: int, step: int | None = None) -> FrameMask | None:
        """Make a mask of the prompts on a frame, if that is not done, and keep it; None if it is empty.

        It is a correction, in which memories have part, if the object was tracked to the frame from other prompts.

        Parameters
        ----------
        step
            The direction (1 or -1) of the propagation that comes to the frame at this moment.
        """
        self._touch_answer(frame)
        if self.is_answered(frame):
            seen = self._follower.show_prompted(self.followed, frame, self.prompts[frame])
        else:
            seen = self._answer(frame, step)
        self._left = None
        return self.keep(frame, seen)

    def accept(self, mask: FrameMask) -> None:
        """Take a mask found elsewhere for the answer to the prompts on its frame, as if they had given it."""
        self._touch_answer(mask.frame)
        was_tracked = mask.frame in self._trail
        self.followed.bank.forget(mask.frame)
        self._trail.erase(mask.frame)
        self._follower.accept(self.followed, mask)
        self._answers[mask.frame] = Answer(self.prompts[mask.frame], was_tracked=was_tracked)
        self._left = None
        self.masklet.add(mask)

    def remember(self) -> None:
        """Make memories of the prompted frames, those that are none yet."""
        self._follower.remember_prompts(self.followed)

    def arrive(self, frame: int, step: int) -> None:
        """Get ready to be followed on a frame that a propagation comes to in a direction (1 or -1)."""
        self._logs.touching(self, (frame,))
        if self._left != (frame - step, step):
            self._join(frame, step)
        if frame in self.prompts and frame not in self._answers:
            self.segment(frame, step)
            self.remember()
        # Should the frame fail half way, memories and window are made anew next time.
        self._left = None

    def leave(self, frame: int, step: int) -> None:
        """Note that the object was followed on a frame."""
        if frame not in self.followed.prompted:
            self._trail.mark(frame, step, self.followed.bank.prompted)
        self._left = frame, step

    def show_prompted(self, frame: int) -> SeenMask:
        """The mask that the prompts on a frame gave."""
        return self._follower.show_prompted(self.followed, frame, self.prompts[frame])

    def keep(self, frame: int, seen: SeenMask, won: NDArray[np.bool_] | None = None) -> FrameMask | None:
        """Keep the mask seen on a frame, or the part of it `won` against others, or that the object is absent."""
        mask = seen.to_frame_mask(frame, self.object_id, won)
        if mask is not None:
            self.masklet.add(mask)
        elif seen.score <= 0:
            self.masklet.mark_absent(frame)
        else:
            self.masklet.remove(frame)
        return mask

    @property
    def frames(self) -> list[int]:
        """The frames of which anything is known, sorted."""
        return sorted({*self.prompts, *self._answers, *self.masklet, *self.masklet.absent, *self._trail.frames})

    def load(self) -> None:
        """Take into memory whatever is only stored, because it is about to leave the store."""
        self._trail.load()
        self.masklet.load()

    def record(self, frame: int) -> FrameRecord:
        """All that is known of the object on a frame, to be stored or to be put back."""
        followed, mask = self.followed, self.masklet.get(frame)
        return FrameRecord(
            prompts=self.prompts.get(frame),
            answer=self._answers.get(frame),
            prompted=followed.prompted.get(frame),
            diameter=followed.diameter if followed.diameter_from == frame else None,
            mask=mask,
            is_absent=mask is None and self.masklet.is_absent(frame),
            origin=self._trail.origin(frame),
            is_doubtful=frame in followed.distrusted,
        )

    def restore(self, frame: int, record: FrameRecord) -> None:
        """Put back what was known of the object on a frame; memories of it are made anew when they are needed."""
        self._logs.touching(self, (frame,))
        self.restore_prompts(frame, record)
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

    def restore_prompts(self, frame: int, record: FrameRecord) -> None:
        """Put back the prompts on a frame, and what was made of them, and nothing else; nobody is told of it."""
        followed = self.followed
        followed.bank.forget(frame)
        self._left = None
        if record.prompts is None:
            self.prompts.pop(frame, None)
        else:
            self.prompts[frame] = record.prompts
        if record.answer is None or record.prompted is None:
            self._answers.pop(frame, None)
            followed.prompted.pop(frame, None)
        else:
            self._answers[frame], followed.prompted[frame] = record.answer, record.prompted
        if record.diameter is not None:
            followed.diameter, followed.diameter_from = record.diameter, frame
        elif followed.diameter_from == frame:
            followed.diameter, followed.diameter_from = self._follower.diameter, None

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
        if before is None and step is None and not prompts.says_where:
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
        seen = self._follower.segment(
            self.followed,
            frame,
            prompts,
            refines=before is not None,
            memory_direction=step,
            near=near,
        )
        self._answers[frame] = Answer(prompts, step, sources, was_tracked)
        return seen

    def _came(self, frame: int) -> int | None:
        """The direction in which tracking came near a frame from other prompts; None if it has not."""
        reach = self.followed.bank.rules.num_recent + 1
        for step in (1, -1):
            others = any((frame - t) * step > 0 for t in self.followed.prompted)
            if others and any(self._trail.came(frame - step * k, step) for k in range(reach)):
                return step
        return None

    def _join(self, frame: int, step: int) -> None:
        """Put memories and window as they should be where a propagation begins to follow the object."""
        self.remember()
        self.followed.last = None
        prompted = self.followed.prompted
        if frame in prompted and all((t - frame) * step >= 0 for t in prompted):
            # It starts here, from prompts alone; so the same again gives the same.
            self.followed.bank.clear_recent()
            return
        self._recall(frame, step)
        known = [t for t in self.masklet if t in prompted or t in self._trail]
        if known:
            nearest = min(known, key=lambda t: (abs(t - frame + step), t))
            self._follower.look_at(self.followed, self.masklet[nearest].centroid)

    def _recall(self, frame: int, step: int) -> None:
        """Put back what was forgotten of the tracked frames that `frame` looks at, from their masks."""
        self.remember()
        followed = self.followed
        missing = [t for t in followed.bank.missing(frame, step) if t in self._trail and t in self.masklet]
        missing = [t for t in missing if t not in followed.distrusted]
        if missing:
            masks = [self.masklet[t] for t in missing]
            self._follower.rebuild(self.followed, masks, frame=frame, direction=step)

    def _withdraw(self, frame: int) -> None:
        """Forget what came from the prompts on a frame: the memory, what was tracked from it, corrections of that."""
        followed = self.followed
        tracked = self._trail.tracked_from(frame)
        self._logs.touching(self, (frame, *tracked))
        self._left = None
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
