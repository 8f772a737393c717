"""One job at a time for the session of one movie: its start, what becomes of its answers, its end. No Qt here."""

from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from typing import ClassVar, Literal

from napari.layers import Image, Labels
from psygnal import Signal

from napari_sam2.cleaning import Cleaning
from napari_sam2.errors import PropagationError
from napari_sam2.layers import MaskLayers, movie_shape
from napari_sam2.prompts import Prompt
from napari_sam2.widget.answers import (
    FrameAnswer,
    RunRequest,
    SearchAnswer,
    SessionLike,
    StoredFrames,
    frames_ahead,
    percent,
)
from napari_sam2.widget.backlog import Backlog
from napari_sam2.widget.change_log import ChangeLog
from napari_sam2.widget.edits import EditAnswer, WaitingEdits
from napari_sam2.widget.erased_masks import ErasedMasks
from napari_sam2.widget.finder import NOTHING_FOUND, Finder
from napari_sam2.widget.jobs import Job, JobEnd, JobRunner
from napari_sam2.widget.mask_output import MaskOutput
from napari_sam2.widget.object_book import ObjectBook
from napari_sam2.widget.pace import Pace
from napari_sam2.widget.prompt_watch import PromptWatch
from napari_sam2.widget.session_slot import SessionSlot
from napari_sam2.widget.tickets import Tickets
from napari_sam2.widget.waiting_run import WaitingRun

State = Literal["idle", "segmenting", "searching", "propagating", "splitting", "editing", "showing", "stopping"]
Answer = FrameAnswer | SearchAnswer | EditAnswer | StoredFrames
_EDITABLE = ("idle", "segmenting", "editing", "showing")
_SEARCHABLE = ("idle", "segmenting", "showing")
# Jobs that change nothing in the session.
_READING = ("idle", "showing")


class JobDesk:
    """The session of one movie, and the job that works with it; what is next to be done is said in `_advance`.

    Parameters
    ----------
    image
        The movie.
    open_session, make_labels, runner, shown_frame, later
        As of `Controller`.

    Attributes
    ----------
    state
        What the job is about.
    prompts
        Follows the layers of prompts.
    objects
        What is to be told of each object.
    """

    state_changed: ClassVar[Signal] = Signal(str)
    status: ClassVar[Signal] = Signal(str)
    """What goes on, for a line of text."""
    note: ClassVar[Signal] = Signal(str)
    """What the user must see."""
    failed: ClassVar[Signal] = Signal(object)
    """An error that ended a job."""
    progress: ClassVar[Signal] = Signal(int, int)
    frame_written: ClassVar[Signal] = Signal(int)
    objects_changed: ClassVar[Signal] = Signal()
    measured: ClassVar[Signal] = Signal(object)
    """At which diameter, in pixels, the object clicked is looked at; None if that plays no part."""
    opened: ClassVar[Signal] = Signal()
    """There is a session now, or another one."""
    found: ClassVar[Signal] = Signal(object)
    """The IDs of the objects that a search has found."""
    cleaned: ClassVar[Signal] = Signal(object)
    """How masks are tidied up, after somebody else has changed that."""

    def __init__(
        self,
        image: Image,
        *,
        open_session: Callable[[], SessionLike],
        make_labels: Callable[[str], Labels],
        runner: JobRunner,
        shown_frame: Callable[[], int | None],
        later: Callable[[Callable[[], None]], None],
    ) -> None:
        self.image = image
        self.state: State = "idle"
        self.prompts = PromptWatch(image)
        self.objects = ObjectBook(movie_shape(image)[0])
        self._changes = ChangeLog(lambda: later(self._catch_up))
        self._slot = SessionSlot(open_session, self._changes, self.objects)
        self.prompts.is_correctable = self._slot.is_correctable
        self._masks = MaskOutput(make_labels, shown_frame)
        self._runner = runner
        self._finder = Finder(self.prompts)
        self._tickets = Tickets()
        self._run = WaitingRun()
        self._edits = WaitingEdits()
        self._backlog = Backlog()
        self._erased = ErasedMasks(self._edits)
        self._job: Job | None = None
        self._closed = False
        self._pace = Pace(0)
        self._said = ""

    @property
    def session(self) -> SessionLike | None:
        """The session; None before it is opened."""
        return self._slot.session

    @property
    def can_exchange(self) -> bool:
        """Whether another session may be opened in place of this one, since none is, nor is about to be."""
        return self.session is None and self.state == "idle"

    @property
    def is_paused(self) -> bool:
        """Whether a propagation that was begun or asked for waits until it is told to go on."""
        return self._run.is_paused

    @property
    def can_edit(self) -> bool:
        """Whether an edit, or layers of single objects, may be asked for now; it waits for its turn."""
        return self.state in _EDITABLE

    @property
    def can_search(self) -> bool:
        """Whether new objects may be asked for now; an edit that waits might use their IDs."""
        return self.state in _SEARCHABLE

    @property
    def can_resume(self) -> bool:
        """Whether there is a propagation or an update that was stopped half way."""
        return self.session is not None and self.session.can_resume

    @property
    def cleaning(self) -> Cleaning:
        """How masks are tidied up."""
        return self._slot.cleaning

    @property
    def masks(self) -> MaskLayers | None:
        """Where the masks are shown."""
        return self._masks.layers

    @property
    def steps(self) -> tuple[str | None, str | None]:
        """What would be undone, and what would be done again, in words; None for nothing."""
        return self._slot.steps

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The objects that have prompts or masks, sorted."""
        tracked = {object_id for object_id, row in self.objects.rows.items() if row.num_frames}
        return tuple(sorted(tracked.union(object_id for object_id, _ in self.prompts.groups)))

    def has_object(self, object_id: int) -> bool:
        """Whether an object has prompts or masks, be they painted and not told to the session yet."""
        return object_id in self._ids_in_use

    @property
    def _ids_in_use(self) -> set[int]:
        painted = [] if self.masks is None else self.masks.mask_prompts()
        return {*self.object_ids, *(prompt.object_id for prompt in painted)}

    @property
    def next_object_id(self) -> int:
        """An ID that no object of this session ever had."""
        known = 1 if self.session is None else self.session.next_object_id
        return max((known, self.prompts.highest_id + 1, *(object_id + 1 for object_id in self._ids_in_use)))

    def cancel(self) -> None:
        """Stop at the next frame; what is done stays."""
        raise NotImplementedError

    def _advance(self) -> None:
        """Begin whatever is next to be done, unless there is a job."""
        raise NotImplementedError

    def _catch_up(self) -> None:
        """Show what somebody else has done to the session."""
        raise NotImplementedError

    def _usable_prompts(self) -> tuple[list[Prompt], dict[int, str]]:
        # Where a click is left, it is the prompt again.
        erased = self._erased.untold - self.prompts.groups.keys()
        prompts, problems = self.prompts.usable(self._masks.give_prompts(erased))
        return self._finder.told(prompts), problems

    def give_way(self) -> bool:
        """Stop a job that nobody waits for, at its next step; returns whether there is another one, which goes on."""
        if self._job is not None and self._job.gives_way:
            self._runner.cancel(self._job)
            return False
        return self._job is not None

    def _stop_job(self, text: str) -> None:
        """Stop the job at its next step, and say so, unless it is one that nobody waits for."""
        if self.give_way() and self._job is not None:
            self._set_state("stopping")
            self.status.emit(text)
            self._runner.cancel(self._job)

    def look_ahead(self, frame: int, object_id: int) -> None:
        """Get ready for clicks on a frame and its neighbours, on this object first, if there is nothing else to do."""
        session = self.session
        if session is not None and not self._closed and self._job is None:
            ahead = partial(frames_ahead, session, frame, object_id)
            self._start("idle", "Frames around", ahead, gives_way=True)

    def _start(
        self,
        state: State,
        name: str,
        steps: Callable[[], Iterator[Answer | None]],
        total: int = 0,
        *,
        gives_way: bool = False,
    ) -> None:
        def on_step(answer: Answer | None) -> None:
            if self._closed:
                return
            if isinstance(answer, SearchAnswer):
                self._on_search(answer)
            elif isinstance(answer, EditAnswer):
                self._said = answer.text
            elif isinstance(answer, StoredFrames):
                self._backlog.add_all(answer.frames)
            elif answer is not None:
                self._on_answer(answer, state, total)

        def on_end(end: JobEnd) -> None:
            if not self._closed:
                self._on_end(end, state)

        def written() -> Generator[Answer | None, None, None]:
            return self._masks.writing(steps(), copy=state == "splitting", is_wanted=self._is_wanted)

        length, position = (100, percent) if state == "searching" else (total, None)
        body = (
            self._slot.reading(written)
            if state in _READING
            else self._slot.working(written, gathers=state == "editing")
        )
        self._job = job = Job(name, body, on_step, on_end, length, position, gives_way)
        self._pace, self._said = Pace(total), ""
        self._set_state(state)
        self._runner.submit(job)

    def _planning(
        self, session: SessionLike, request: RunRequest, prompts: Sequence[Prompt]
    ) -> Iterator[Answer | None]:
        """Tell the session of all prompts, and find out how long a run takes; with many objects both take a while."""
        session.set_prompts(prompts)
        self._run.total = request.plan(session)
        yield from ()

    def _on_answer(self, answer: FrameAnswer, state: State, total: int) -> None:
        if answer.key is not None and not self._tickets.answer(answer.key, answer.ticket):
            return
        self._pace.done += 1
        if not self._write(answer, state):
            return
        if state == "showing":
            self._backlog.shown(answer.frame)
        if answer.key is not None:
            self.measured.emit(answer.diameter)
        if answer.problem:
            self.note.emit(answer.problem)
        if total:
            self.progress.emit(self._pace.done, total)
        if (total or state == "propagating") and self.state != "stopping":
            self.status.emit(self._pace.after(answer))

    def _on_search(self, answer: SearchAnswer) -> None:
        self.progress.emit(answer.done, answer.total)
        if self.state != "stopping":
            self.status.emit(f"Looking for cells: {percent(answer)} %")
        if answer.found is not None and answer.found.masks:
            self._finder.add(answer.found.numbered_from(self.next_object_id))
        elif answer.found is not None:
            self.note.emit(NOTHING_FOUND)

    def _is_wanted(self, answer: FrameAnswer) -> bool:
        return answer.key is None or self._tickets.is_newest(answer.key, answer.ticket)

    def _write(self, answer: FrameAnswer, state: State) -> bool:
        try:
            if answer.is_written:
                is_there = self._masks.show(answer.frame, at_once=state != "propagating")
            else:
                is_there = self._masks.write(answer, copy=state == "splitting")
        except PropagationError as error:
            self.cancel()
            self.failed.emit(error)
            return False
        if is_there:
            self.frame_written.emit(answer.frame)
        return True

    def _on_end(self, end: JobEnd, state: State) -> None:
        self._job = None
        self._masks.unlock()
        self._masks.finish()
        if self.session is not None:
            if self._slot.take_new():
                self.opened.emit()
        elif end.error is not None:
            # What could not be opened would be opened again for ever.
            self._backlog.wants_all = False
        self._erased.on_end(self._backlog, end)
        if end.error is not None:
            self._edits.clear()
            if state == "showing":
                # What cannot be shown would be shown again for ever.
                self._backlog.clear()
            if state == "segmenting":
                # A click that cannot be answered would be asked again for ever.
                self._tickets.clear()
        if state == "propagating":
            for frame, object_id in self._tickets.take_dropped():
                self._backlog.add(frame, object_id)
        self._run.on_end(end, can_resume=self.can_resume)
        if state not in _READING or end.error is not None:
            self.status.emit(self._said or self._pace.at_end(end, is_paused=self.is_paused))
        if end.error is not None:
            self.failed.emit(end.error)
        found = self._finder.on_end(self.session)
        if end.canceled or end.error is not None:
            # What was taken over before is in the session, whether or not it was shown.
            for object_id, frame in found:
                self._backlog.add(frame, object_id)
        self.objects_changed.emit()
        if found:
            self.found.emit(tuple(object_id for object_id, _ in found))
            self.status.emit(self._finder.news)
        self._advance()

    def _set_state(self, state: State) -> None:
        if state != self.state:
            self.state = state
            self.state_changed.emit(state)
