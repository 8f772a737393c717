"""What a click and a button set in motion, for one movie. Knows napari's layers, but neither Qt nor the viewer."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import ClassVar, Literal

from napari.layers import Image, Labels, Points
from psygnal import Signal

from napari_sam2.cleaning import Cleaning
from napari_sam2.errors import PropagationError
from napari_sam2.layers import MaskLayers, movie_shape, read_frame
from napari_sam2.prompts import MaskPrompt, Prompt
from napari_sam2.widget.answers import (
    FrameAnswer,
    PropagationRequest,
    SearchAnswer,
    SearchRequest,
    SessionLike,
    answer_clicks,
    copied_frames,
    forget_objects,
    opening,
    percent,
    stored_frames,
    track_frames,
)
from napari_sam2.widget.finder import NOTHING_FOUND, Finder
from napari_sam2.widget.jobs import EXPECTED_ERRORS, Job, JobEnd, JobRunner
from napari_sam2.widget.pace import Pace
from napari_sam2.widget.prompt_watch import ObjectFrame, PromptWatch
from napari_sam2.widget.session_slot import SessionSlot
from napari_sam2.widget.tickets import Tickets

State = Literal["idle", "segmenting", "searching", "propagating", "splitting", "removing", "stopping"]


class Controller:
    """One session: the prompts of a Points layer go in, masks come out in Labels layers.

    Bound to layer objects, whatever they are called and whatever is chosen in the widget. One job at a time touches
    the session: clicks made while masks are propagated are answered afterwards.

    Parameters
    ----------
    image, points
        The movie, and the layer whose points are prompts.
    open_session
        Makes the session; called in the worker thread, since it loads the model.
    make_labels
        Makes an empty Labels layer of the name given and shows it.
    runner
        Runs jobs in another thread.
    shown_frame
        The frame on screen, None if several are.
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

    def __init__(
        self,
        image: Image,
        points: Points,
        *,
        open_session: Callable[[], SessionLike],
        make_labels: Callable[[str], Labels],
        runner: JobRunner,
        shown_frame: Callable[[], int | None],
    ) -> None:
        self.image = image
        self._slot = SessionSlot(open_session)
        self.masks: MaskLayers | None = None
        self.state: State = "idle"
        self.prompts = PromptWatch(image)
        self._finder = Finder(self.prompts)
        self._num_frames = movie_shape(image)[0]
        self._make_labels = make_labels
        self._runner = runner
        self._shown_frame = shown_frame
        self._tickets = Tickets()
        self._tracked: tuple[int, ...] = ()
        self._request: PropagationRequest | None = None
        self._refill = self._is_refilling = False
        self._job: Job | None = None
        self._closed = False
        self._pace = Pace(0)
        self._ensure_masks()
        self.prompts.note.connect(self._pass_on_note)
        self.prompts.changed.connect(self.on_prompts_changed)
        self.prompts.watch(points)

    @property
    def session(self) -> SessionLike | None:
        """The session; None before it is opened."""
        return self._slot.session

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The objects that have prompts or masks, sorted."""
        return tuple(sorted({object_id for object_id, _ in self.prompts.groups} | {*self._tracked}))

    @property
    def next_object_id(self) -> int:
        """An ID that no object of this session ever had."""
        known = 1 if self.session is None else self.session.next_object_id
        return max((known, self.prompts.highest_id + 1, *(object_id + 1 for object_id in self.object_ids)))

    def on_prompts_changed(self, changed: Sequence[ObjectFrame]) -> None:
        """Ask for a mask wherever prompts differ from those before."""
        for object_id, frame in changed:
            if self.masks is not None:
                self.masks.clicked(object_id, frame)
            if not self._finder.is_own_change((object_id, frame)):
                self.request_mask(frame, object_id)
        self.objects_changed.emit()
        if self.state == "propagating":
            self.status.emit("The click is answered when the propagation ends, or is canceled.")
        self._advance()

    def request_mask(self, frame: int, object_id: int) -> None:
        """Take a ticket for a mask; an answer to an older ticket of the same frame and object is thrown away."""
        self._tickets.take((frame, object_id))

    def propagate(self, request: PropagationRequest) -> None:
        """Track all objects through the frames asked for, after the clicks that are still unanswered."""
        if self.state in ("propagating", "splitting", "stopping"):
            self.note.emit("Masks are being written already: wait for the end, or cancel.")
        elif not self.prompts.groups and not (self.masks is not None and self.masks.mask_prompts()):
            self.note.emit("There is nothing to propagate yet: click on a cell first.")
        else:
            self._request = request
            self._advance()

    def segment_everything(self, request: SearchRequest) -> None:
        """Find all objects on a frame but for those that have masks, and make each one that might have been clicked."""
        if self.state in ("idle", "segmenting"):
            self._finder.request = request
            self._advance()
        else:
            self.note.emit("Masks are being made already: wait for the end, or cancel.")

    def use_masks(self, masks: Sequence[MaskPrompt]) -> None:
        """Make objects of masks of one frame, which have IDs that no object has."""
        if self.state in ("idle", "segmenting"):
            self._finder.give(masks)
            self._advance()
        else:
            self.note.emit("Masks are being made already: wait for the end, or cancel.")

    def remove(self, object_ids: Sequence[int]) -> None:
        """Remove objects, their points and their masks on all frames; what was painted by hand stays."""
        if self._job is not None:
            self.note.emit("Masks are being made: wait for the end, or cancel, before you remove objects.")
            return
        self._finder.remove(object_ids)
        session = self.session
        if session is not None:
            prompts, _ = self._usable_prompts()
            self._start("removing", "Removing objects", lambda: forget_objects(session, prompts, object_ids))

    def set_cleaning(self, cleaning: Cleaning) -> None:
        """Tidy masks up like this from now on; those of clicks are shown anew, others when they are propagated."""
        self._slot.cleaning = cleaning
        if self.session is not None:
            for object_id, frame in self.prompts.groups:
                self.request_mask(frame, object_id)
            self._advance()

    def cancel(self) -> None:
        """Stop at the next frame; what is done stays."""
        self._request = self._finder.request = None
        if self.state == "segmenting":
            self._tickets.clear()
        if self._job is not None:
            self._set_state("stopping")
            self.status.emit("Stopping after this frame ...")
            self._runner.cancel(self._job)

    def split(self, object_ids: Sequence[int]) -> None:
        """Show each of the objects in a Labels layer of its own, too."""
        if self._job is not None:
            self.note.emit("Masks are being written: wait for the end, or cancel, before you make layers of objects.")
            return
        masks = self._ensure_masks()
        for object_id in object_ids:
            if object_id not in masks.single:
                masks.add_single(object_id, self._make_labels(f"object {object_id}"))
        main = masks.main.layer

        copied = partial(copied_frames, self._num_frames, partial(read_frame, main))
        self._start("splitting", "One layer per object", copied, total=self._num_frames)

    def reopen_with(self, open_session: Callable[[], SessionLike], *, is_stored: bool = False) -> None:
        """Go on with another model, which answers the clicks anew; or, at once, with a stored session as it was."""
        shows_all = is_stored or self._is_refilling
        if self._job is not None:
            self.cancel()
        self._slot.change(open_session, keeps_cleaning=is_stored)
        self._refill |= shows_all
        for object_id, frame in self.prompts.groups:
            self.request_mask(frame, object_id)
        self._advance()

    def show_stored(self, prompts: Sequence[Prompt]) -> None:
        """Show prompts that the session has, and answered, before any layer showed them."""
        self._finder.show(prompts)
        self._refill = True

    def labels_removed(self, layer: Labels) -> None:
        """Take note that a Labels layer was removed from the viewer; a run into the main one stops."""
        if self.masks is None:
            return
        self.masks.forget(layer)
        if self.masks.main.layer != layer:
            return
        self.masks.disconnect()
        self.masks = None
        self._refill = True
        if self._job is not None:
            self.cancel()
        self.note.emit(
            f"The layer '{layer.name}' was removed. Its masks are still in the session: they come back in a new layer "
            "at the next click or propagation."
        )

    def close(self) -> None:
        """End the session; its layers stay as ordinary layers."""
        self.cancel()
        self._closed = True
        self._slot.close()
        self.prompts.unwatch()
        if self.masks is not None:
            self.masks.disconnect()
            self.masks = None

    def _advance(self) -> None:
        if self._closed or self._job is not None:
            return
        if self._tickets:
            self._ensure_masks()
            self._start_clicks()
        elif self._finder.has_work:
            self._ensure_masks()
            work = self._finder.next_work(self._slot.opened, self._usable_prompts()[0])
            self.status.emit("Loading the model ..." if self.session is None else f"{work.name} ...")
            self._start("searching", work.name, work.steps)
        elif self.session is None and (self._request is not None or (self._refill and self.masks is not None)):
            self.status.emit("Loading the model ...")
            self._start("segmenting", "Loading the model", lambda: opening(self._slot.opened))
        elif self._request is not None and self.session is not None:
            self._ensure_masks()
            self._start_propagation(self.session, self._request)
        elif self._refill and self.masks is not None and self.session is not None:
            self._refill, self._is_refilling = False, True
            session = self.session
            self._start("segmenting", "Masks of the session", lambda: stored_frames(session))
        else:
            self._set_state("idle")

    def _start_clicks(self) -> None:
        tickets, count = self._tickets.unanswered(), self._tickets.count
        prompts, problems = self._usable_prompts()
        for object_id in {object_id for _, object_id in tickets}:
            if object_id in problems:
                self.note.emit(problems[object_id])

        def answers() -> Iterator[FrameAnswer]:
            session = self._slot.opened()
            yield from answer_clicks(session, prompts, tickets, overtaken=lambda: self._tickets.count != count)

        self.status.emit("Loading the model ..." if self.session is None else "Finding the mask ...")
        self._start("segmenting", "Masks of clicks", answers)

    def _start_propagation(self, session: SessionLike, request: PropagationRequest) -> None:
        self._request = None
        prompts, problems = self._usable_prompts()
        for problem in problems.values():
            self.note.emit(problem)
        try:
            session.set_prompts(prompts)
            total = session.plan(request.direction, first=request.first, last=request.last)
        except (*EXPECTED_ERRORS, RuntimeError) as error:
            self.failed.emit(error)
            self._set_state("idle")
            return
        if self.masks is not None:
            self.masks.lock()
        self.progress.emit(0, total)
        self._start("propagating", "Propagating masks", lambda: track_frames(session, request), total=total)

    def _usable_prompts(self) -> tuple[list[Prompt], dict[int, str]]:
        return self.prompts.usable(self.masks.mask_prompts() if self.masks is not None else ())

    def _start(
        self, state: State, name: str, steps: Callable[[], Iterator[FrameAnswer | SearchAnswer]], total: int = 0
    ) -> None:
        def on_step(answer: FrameAnswer | SearchAnswer) -> None:
            if self._closed:
                return
            if isinstance(answer, SearchAnswer):
                self._on_search(answer)
            else:
                self._on_answer(answer, state, total)

        def on_end(end: JobEnd) -> None:
            if not self._closed:
                self._on_end(end, state)

        length, position = (100, percent) if state == "searching" else (total, None)
        self._job = job = Job(name, self._slot.working(steps), on_step, on_end, length, position)
        self._pace = Pace(total)
        self._set_state(state)
        self._runner.submit(job)

    def _on_answer(self, answer: FrameAnswer, state: State, total: int) -> None:
        if answer.key is not None and not self._tickets.answer(answer.key, answer.ticket):
            return
        self._pace.done += 1
        self._write(answer, copy=state == "splitting")
        if answer.key is not None:
            self.measured.emit(answer.diameter)
        if answer.problem:
            self.note.emit(answer.problem)
        if total:
            self.progress.emit(self._pace.done, total)
            if self.state != "stopping":
                self.status.emit(self._pace.after(answer))

    def _on_search(self, answer: SearchAnswer) -> None:
        self.progress.emit(answer.done, answer.total)
        if self.state != "stopping":
            self.status.emit(f"Looking for cells: {percent(answer)} %")
        if answer.found is not None and answer.found.masks:
            self._finder.add(answer.found.numbered_from(self.next_object_id))
        elif answer.found is not None:
            self.note.emit(NOTHING_FOUND)

    def _write(self, answer: FrameAnswer, *, copy: bool) -> None:
        if self.masks is None:
            return
        shown = self._shown_frame() in (None, answer.frame)
        try:
            if copy:
                self.masks.write_singles(answer.frame, answer.labels, shown=shown)
            else:
                self.masks.write(answer.frame, answer.labels, answer.replaced, shown=shown)
        except OSError as error:
            self.cancel()
            self.failed.emit(
                PropagationError(f"Frame {answer.frame} could not be written ({error}): make room on disk.")
            )
            return
        self.frame_written.emit(answer.frame)

    def _on_end(self, end: JobEnd, state: State) -> None:
        self._job, self._is_refilling = None, False
        if self.masks is not None:
            self.masks.unlock()
        if self.session is not None:
            self._tracked = tuple(object_id for object_id, masklet in self.session.masklets.items() if masklet)
            if self._slot.take_new():
                self.opened.emit()
        elif end.error is not None or end.canceled:
            # What could not be opened would be opened again for ever.
            self._refill = False
        if end.error is not None:
            self._request = None
            if state == "segmenting":
                # A click that cannot be answered would be asked again for ever.
                self._tickets.clear()
        self.status.emit(self._pace.at_end(end))
        if end.error is not None:
            self.failed.emit(end.error)
        found = self._finder.on_end(end)
        self.objects_changed.emit()
        if found:
            self.found.emit(found)
            self.status.emit(f"{len(found)} cells found. They are selected in the list; 'Remove' takes them away.")
        self._advance()

    def _ensure_masks(self) -> MaskLayers:
        if self.masks is None:
            self.masks = MaskLayers(self._make_labels("masks"))
        return self.masks

    def _set_state(self, state: State) -> None:
        if state != self.state:
            self.state = state
            self.state_changed.emit(state)

    def _pass_on_note(self, text: str) -> None:
        self.note.emit(text)
