"""What a session knows of one object: prompts, what they gave, where it was tracked, masks, and marks on them."""

from typing import Self

from napari_sam2.frame_record import Answer, FrameRecord
from napari_sam2.marks import Marks
from napari_sam2.masklets import Masklet
from napari_sam2.prompts import ObjectPrompts
from napari_sam2.propagation import Follower
from napari_sam2.session_log import SessionLogs
from napari_sam2.trail import Trail


class ObjectState:
    """What a session knows of one object, frame by frame.

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
    marks
        Which masks are approved, and which may be older than what is known.
    """

    def __init__(self, follower: Follower, logs: SessionLogs, masklet: Masklet, trail: Trail) -> None:
        self.object_id = object_id = masklet.object_id
        self.prompts: dict[int, ObjectPrompts] = {}
        self.masklet = masklet
        self.followed = follower.new_object(object_id)
        self.marks = Marks()
        self._follower = follower
        self._logs = logs
        self._trail = trail
        self._answers: dict[int, Answer] = {}
        # The frame and direction after which memories and window are just as tracking left them.
        self._left: tuple[int, int] | None = None
        # The first frame of the run that went on to there.
        self._began = 0

    @property
    def starts(self) -> list[int]:
        """Frames from which the object can be followed: prompts there say where it is, or have a mask; or approved."""
        prompted = [frame for frame, prompts in self.prompts.items() if prompts.says_where or frame in self._answers]
        return [*prompted, *self.marks.masks.difference(prompted)]

    @property
    def unanswered(self) -> list[int]:
        """Frames whose prompts say where the object is, and have not been made a mask of."""
        waiting = (t for t, prompts in self.prompts.items() if prompts.says_where or t in self._answers)
        return [t for t in waiting if t not in self.marks.approved and not self.is_answered(t)]

    @property
    def stale(self) -> list[int]:
        """Frames, sorted, that show what came from prompts or approvals that are gone."""
        shown = {*self.masklet, *self.masklet.absent}
        return sorted(shown.difference(self._trail.frames, self.prompts, self.marks.approved))

    @property
    def is_new(self) -> bool:
        """Whether the object was not tracked to any frame yet."""
        return not self._trail.frames and not self.stale

    @property
    def tracked(self) -> list[int]:
        """The frames that the object was tracked to, sorted."""
        return self._trail.frames

    def is_given(self, frame: int) -> bool:
        """Whether what a frame shows is what prompts gave, or approved, and so is not tracked."""
        return frame in self.followed.prompted or frame in self.marks.approved

    def is_fixed(self, frame: int) -> bool:
        """Whether a person has painted or approved what a frame shows, so that a mask yields to no other object's."""
        prompts = self.prompts.get(frame)
        return frame in self.marks.approved or (prompts is not None and prompts.is_painted)

    def is_known(self, frame: int) -> bool:
        """Whether a frame shows a mask, or that the object is absent."""
        return frame in self.masklet or self.masklet.is_absent(frame)

    def is_answered(self, frame: int) -> bool:
        """Whether the prompts on a frame have been made a mask of."""
        answer = self._answers.get(frame)
        return answer is not None and answer.prompts == self.prompts[frame]

    def has_answer(self, frame: int) -> bool:
        """Whether some of the prompts on a frame have been made a mask of."""
        return frame in self._answers

    @property
    def frames(self) -> list[int]:
        """The frames of which anything is known, sorted."""
        shown = {*self.masklet, *self.masklet.absent}
        return sorted({*self.prompts, *self._answers, *shown, *self._trail.frames, *self.marks.frames})

    def load(self) -> None:
        """Take into memory whatever is only stored, because it is about to leave the store."""
        self._trail.load()
        self.masklet.load()

    def taken_over(self, follower: Follower, logs: SessionLogs) -> Self:
        """The same object for another model, which has yet to answer the prompts; this one is used no more."""
        known = type(self)(follower, logs, self.masklet, self._trail)
        known.prompts, known.marks = self.prompts, self.marks
        known.followed.distrusted |= self.followed.distrusted
        return known

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
            is_approved=frame in self.marks.approved,
            outdated=self.marks.outdated(frame),
        )

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
