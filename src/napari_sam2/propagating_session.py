"""What a session offers to follow objects through the movie."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from napari_sam2.errors import PromptError, explained
from napari_sam2.frame_result import FrameResult
from napari_sam2.history import History
from napari_sam2.propagation import Follower
from napari_sam2.runs import Run
from napari_sam2.session_objects import SessionObjects
from napari_sam2.sweeps import Direction, Sweep, limits, plan_sweeps
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
        first, last = self._limits(direction, object_ids, first, last, count)
        return sum(len(sweep.frames) for sweep in self._sweeps(direction, object_ids, first, last))

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
            At most so many frames each way, from `first` on (backward, from `last`), or from where the objects start.

        Raises
        ------
        PromptError
            If there is nothing to propagate, at the call.
        PropagationError
            If a frame cannot be tracked; the frames before it are kept.
        """
        first, last = self._limits(direction, object_ids, first, last, count)
        run = Run(direction, self._objects.chosen(object_ids), first, last)
        return self._run(self._sweeps(direction, object_ids, first, last), run)

    @property
    def changed_ids(self) -> tuple[int, ...]:
        """IDs of the objects that `update` would follow, sorted."""
        new = self._left_new
        return tuple(sorted(i for i in self._objects if has_changed(self._objects, i, is_new=i in new)))

    def update(self, object_ids: Sequence[int] | None = None) -> Iterator[FrameResult]:
        """Carry corrections on to the frames that they can change, one frame at a time; other objects stay as they are.

        An object is followed from each frame whose mask was corrected, forward and then backward, until three new masks
        in a row agree with the old ones (IoU 0.98 or more), or a frame is met that is prompted or approved or shows
        nothing of it. What came from prompts that are gone is followed anew. An object that was never tracked goes
        both ways through the movie. Where a mask meets a painted or approved one of another object, that one keeps its
        pixels; others keep theirs too, and labels show the smaller ID. If it is stopped, the next call goes on, and
        `resume` does with the objects that were never tracked before.

        Parameters
        ----------
        object_ids
            Which objects; by default all that have changed. Nothing is yielded if nothing has.

        Raises
        ------
        PropagationError
            If a frame cannot be tracked; the frames before it are kept.
        """
        chosen = self.changed_ids if object_ids is None else tuple(sorted(set(object_ids)))
        new = tuple(i for i in chosen if i in self._left_new or self._objects[i].is_new)
        with self.history.propagation():
            if new:
                with self._objects.logs.step("frame"):
                    self.run = Run("both", new, is_update=True)
            yield from update(self._objects, chosen, self._visit, new=new)
            if new and self.run is not None and self.run.is_update:
                with self._objects.logs.step("frame"):
                    self.run = replace(self.run, is_done=True)

    def resume(self) -> Iterator[FrameResult]:
        """Go on with the last propagation where it was stopped, with the objects of it that still have prompts.

        An update counts as one if there were objects in it that were never tracked before; it goes on with those.

        Raises
        ------
        PromptError
            If there is none that was stopped, at the call.
        PropagationError
            As of `propagate`.
        """
        if self._left_new:
            return self.update(self._left_new)
        return self._run(*self._left())

    def remaining(self) -> int:
        """How many frames `resume` would yield, of an update at least. Raises as `resume` does."""
        if self._left_new:
            return num_frames_ahead(self._objects, self._left_new)
        return sum(len(sweep.frames) for sweep in self._left()[0])

    @property
    def _left_new(self) -> tuple[int, ...]:
        """IDs of the objects that were not tracked before an update, if that was stopped."""
        run = self.run
        is_stopped = run is not None and run.is_update and not run.is_done
        return tuple(i for i in run.object_ids if i in self._objects) if run is not None and is_stopped else ()

    def _run(self, sweeps: list[Sweep], run: Run) -> Iterator[FrameResult]:
        with self.history.propagation():
            yield from self._frames(sweeps, run)

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

    def _sweeps(
        self, direction: Direction, object_ids: Sequence[int] | None, first: int | None, last: int | None
    ) -> list[Sweep]:
        starts = self._objects.starts(self._objects.chosen(object_ids))
        last = self._objects.last_frame(starts, last)
        return plan_sweeps(direction, starts, num_frames=self._follower.video.num_frames, first=first, last=last)

    def _limits(
        self,
        direction: Direction,
        object_ids: Sequence[int] | None,
        first: int | None,
        last: int | None,
        count: int | None,
    ) -> tuple[int | None, int | None]:
        """First and last frame if there are to be so many at most."""
        return (first, last) if count is None else limits(self._sweeps(direction, object_ids, first, last), count)

    def _left(self) -> tuple[list[Sweep], Run]:
        """What is left to do of the last propagation."""
        run = self.run
        if run is None or run.is_done:
            raise PromptError("No propagation was stopped half way, so there is none to go on with: begin a new one.")
        ids = [i for i in run.object_ids if i in self._objects.prompted_ids]
        return run.left_of(self._sweeps(run.direction, ids, run.first, run.last)), run
