"""What a session offers to follow objects through the movie."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from operator import index

from napari_sam2.errors import PromptError, explained
from napari_sam2.frame_result import FrameResult
from napari_sam2.history import History
from napari_sam2.propagation import Follower
from napari_sam2.runs import Run
from napari_sam2.session_objects import SessionObjects
from napari_sam2.sweeps import Direction, Sweep, plan_sweeps
from napari_sam2.tracked_object import TrackedObject
from napari_sam2.updates import has_changed, num_frames_ahead, update
from napari_sam2.visits import visit


class PropagatingSession:
    """The part of `TrackingSession` that propagates.

    Attributes
    ----------
    run
        The last propagation, and how far it has come; None before the first.
    """

    history: History
    run: Run | None
    _follower: Follower
    _objects: SessionObjects

    def plan(
        self,
        direction: Direction = "forward",
        *,
        object_ids: Sequence[int] | None = None,
        first: int | None = None,
        last: int | None = None,
        count: int | None = None,
    ) -> int:
        """How many frames `propagate` would yield, for a progress bar. Raises as `propagate` does."""
        return sum(len(sweep.frames) for sweep in self._sweeps(self._asked(direction, object_ids, first, last, count)))

    def propagate(
        self,
        direction: Direction = "forward",
        *,
        object_ids: Sequence[int] | None = None,
        first: int | None = None,
        last: int | None = None,
        count: int | None = None,
    ) -> Iterator[FrameResult]:
        """Follow objects through the movie, one frame at a time; stop it whenever you like, what is done stays.

        Each object starts at its own prompt: forward at its first, backward at its last, both ways at its first. Going
        on from the frame after the one stopped at gives the masks that running through would have given. Objects that
        get their first prompt on the way are left to the next propagation; those removed are left out from then on.

        Parameters
        ----------
        direction
            "both" goes forward, then backward.
        object_ids
            Which objects; by default all that have prompts.
        first, last
            Lowest and highest frame to visit, both included. Prompts outside are answered all the same, and their
            objects join at the border, with the memories of the frames before it if they were tracked there.
        count
            At most so many frames each way, from `first` on (backward, from `last`), or from where the first object
            starts in that direction; objects that would join later are not followed.

        Raises
        ------
        PromptError
            If there is nothing to propagate, at the call.
        PropagationError
            If a frame cannot be tracked; the frames before it are kept.
        """
        run = self._asked(direction, object_ids, first, last, count)
        return self._run(self._sweeps(run), run)

    @property
    def changed_ids(self) -> tuple[int, ...]:
        """IDs of the objects that `update` would follow, sorted."""
        new = self._objects.facts.updating
        return tuple(sorted(i for i in self._objects if has_changed(self._objects, i, is_new=new.get(i, False))))

    def update(self, object_ids: Sequence[int] | None = None) -> Iterator[FrameResult]:
        """Carry corrections on to the frames that they can change, one frame at a time; other objects stay as they are.

        An object is followed from each frame whose mask was corrected, forward and then backward, until three new masks
        in a row agree with the old ones (IoU 0.98 or more), or a frame is met that is prompted or approved or shows
        nothing of it. What came from prompts that are gone is followed anew. An object that was never tracked goes
        both ways through the movie. Where a mask meets a painted or approved one of another object, that one keeps its
        pixels; others keep theirs too, and labels show the smaller ID. If it is stopped, `resume` goes on, and so does
        the next call.

        Parameters
        ----------
        object_ids
            Which objects; by default all that have changed. Nothing is yielded if nothing has.

        Raises
        ------
        PropagationError
            If a frame cannot be tracked; the frames before it are kept.
        """
        objects = self._objects
        asked = [i for i in (objects if object_ids is None else dict.fromkeys(map(index, object_ids))) if i in objects]
        with self.history.propagation():
            chosen = {i: objects[i].is_new or objects.facts.updating.get(i, False) for i in sorted(asked)}
            chosen = {i: is_new for i, is_new in chosen.items() if has_changed(objects, i, is_new=is_new)}
            if chosen:
                with objects.logs.step("frame"):
                    objects.say(updating={**objects.facts.updating, **chosen})
                yield from update(objects, chosen, self._visit, new={i for i, is_new in chosen.items() if is_new})
            self._end_update(asked)

    @property
    def can_resume(self) -> bool:
        """Whether a propagation or an update was stopped half way, so that `resume` can go on with it."""
        return bool(self._objects.facts.updating) or any(self._left_ids)

    def resume(self) -> Iterator[FrameResult]:
        """Go on with what was stopped half way: the update if there is one, and then the propagation.

        They go on with those of their objects that are still there. A stopped update lasts until another update, or a
        propagation, follows its objects; a stopped propagation until another one is begun.

        Raises
        ------
        PromptError
            If nothing was stopped, at the call.
        PropagationError
            As of `propagate`.
        """
        if not self.can_resume:
            raise PromptError("No propagation was stopped half way, so there is none to go on with: begin a new one.")
        return self._go_on(tuple(self._objects.facts.updating), self._left(), self.run)

    def remaining(self) -> int:
        """How many frames `resume` would yield; 0 if that is not known, as with corrections that are carried on."""
        updating = self._objects.facts.updating
        if not all(updating.values()):
            return 0
        return num_frames_ahead(self._objects, updating) + sum(len(sweep.frames) for sweep in self._left())

    def _go_on(self, updating: Sequence[int], sweeps: list[Sweep], run: Run | None) -> Iterator[FrameResult]:
        with self.history.propagation():
            if updating:
                yield from self.update(updating)
            if run is not None and not run.is_done:
                yield from self._run(sweeps, run)

    def _end_update(self, object_ids: Collection[int]) -> None:
        """Note that no update of these objects is under way."""
        ended = set(object_ids)
        updating = {i: is_new for i, is_new in self._objects.facts.updating.items() if i not in ended}
        if updating != self._objects.facts.updating:
            with self._objects.logs.step("frame"):
                self._objects.say(updating=updating)

    def _run(self, sweeps: list[Sweep], run: Run) -> Iterator[FrameResult]:
        with self.history.propagation():
            self._end_update(run.object_ids)
            yield from self._frames(sweeps, run)
            last = self.run if self.run is not None and self.run.asks_for_the_same(run) else run
            if not last.is_done:
                # Edits have left fewer frames to do than there were.
                with self._objects.logs.step("frame"):
                    self.run = replace(last, is_done=True)

    def _frames(self, sweeps: list[Sweep], run: Run) -> Iterator[FrameResult]:
        followed = {i for sweep in sweeps for i in sweep.joins}
        for i, sweep in enumerate(sweeps):
            edits = -1
            for frame in sweep.frames:
                with self._objects.logs.step("frame", frame):
                    if edits != self._objects.edits:
                        edits, starts = self._objects.edits, self._objects.starts(followed)
                        sweep = sweep.replan(starts)
                        self._objects.prepare(starts)
                        turns = sweeps[i + 1].replan(starts).joins if i + 1 < len(sweeps) else {}
                        for object_id in starts:
                            self._objects[object_id].followed.bank.turn = turns.get(object_id)
                    if not starts:
                        return
                    with explained(frame):
                        result = self._visit(frame, self._objects.are_there(sweep.active(frame), frame), sweep.step)
                    self.run = run.after(sweep, frame, sweeps)
                yield result

    def _visit(self, frame: int, active: Sequence[TrackedObject], step: int) -> FrameResult:
        standing = self._objects.standing(frame, {known.object_id for known in active})
        return visit(self._follower, frame, active, step, standing)

    def _asked(
        self,
        direction: Direction,
        object_ids: Sequence[int] | None,
        first: int | None,
        last: int | None,
        count: int | None,
    ) -> Run:
        """The run that is asked for, in whole numbers that can be stored, whatever kind of integers they were."""
        chosen = self._objects.chosen(object_ids)
        first, last, count = (None if number is None else index(number) for number in (first, last, count))
        return Run(direction, chosen, first, last, count)

    def _sweeps(self, run: Run) -> list[Sweep]:
        starts = self._objects.starts(run.object_ids)
        first, last = self._objects.limits(starts, run.first, run.last)
        num_frames = self._objects.num_frames
        return plan_sweeps(run.direction, starts, num_frames=num_frames, first=first, last=last, count=run.count)

    @property
    def _left_ids(self) -> Iterator[int]:
        """The objects of a propagation that was stopped, those that can still be followed."""
        if self.run is not None and not self.run.is_done:
            yield from (i for i in self.run.object_ids if i in self._objects and self._objects[i].starts)

    def _left(self) -> list[Sweep]:
        """What is left to do of the last propagation."""
        run, ids = self.run, tuple(self._left_ids)
        if run is None or not ids:
            return []
        try:
            return run.left_of(self._sweeps(replace(run, object_ids=ids)))
        except PromptError:
            # Its objects end before, or have other prompts now.
            return []
