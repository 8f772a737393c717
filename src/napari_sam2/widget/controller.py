"""What a click and a button set in motion, for one movie. Knows napari's layers, but neither Qt nor the viewer."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from napari.layers import Image, Labels, Points, Shapes

from napari_sam2.cleaning import Cleaning
from napari_sam2.errors import SessionError
from napari_sam2.layers import movie_shape, read_frame
from napari_sam2.prompts import MaskPrompt
from napari_sam2.widget.answers import (
    FrameAnswer,
    Resumption,
    RunRequest,
    SearchRequest,
    SessionLike,
    answer_clicks,
    copied_frames,
    opening,
    track_frames,
)
from napari_sam2.widget.edits import Edit
from napari_sam2.widget.job_desk import JobDesk
from napari_sam2.widget.jobs import JobRunner
from napari_sam2.widget.layer_sync import LayerSync
from napari_sam2.widget.prompt_watch import ObjectFrame

_WAIT = "Masks are being made: wait for the end, or cancel."


class Controller(JobDesk):
    """One session: the prompts of a Points layer go in, masks come out in Labels layers.

    Bound to layer objects, whatever they are called and whatever is chosen in the widget. One job at a time touches
    the session: clicks made while masks are propagated are answered afterwards. What others do to the session, in the
    console for instance, is shown, too.

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
    make_shapes
        Makes a layer of shapes whose shapes are prompts, and shows it; None if there is no place for it.
    later
        Calls a function in the GUI thread, as soon as that has done what it is at; may itself be called in any thread.

    Attributes
    ----------
    objects
        What is to be told of each object.
    """

    def __init__(
        self,
        image: Image,
        points: Points,
        *,
        open_session: Callable[[], SessionLike],
        make_labels: Callable[[str], Labels],
        runner: JobRunner,
        shown_frame: Callable[[], int | None],
        make_shapes: Callable[[], Shapes | None] = lambda: None,
        later: Callable[[Callable[[], None]], None] = lambda call: call(),
    ) -> None:
        super().__init__(
            image,
            open_session=open_session,
            make_labels=make_labels,
            runner=runner,
            shown_frame=shown_frame,
            later=later,
        )
        self._sync = LayerSync(self.prompts, make_shapes)
        self._to_split: list[int] = []
        self.num_frames = movie_shape(image)[0]
        self.prompts.note.connect(self._pass_on_note)
        self.prompts.changed.connect(self.on_prompts_changed)
        self.prompts.watch(points)

    def on_prompts_changed(self, changed: Sequence[ObjectFrame]) -> None:
        """Ask for a mask wherever prompts differ from those before."""
        self.objects_changed.emit()
        if self.prompts.is_own:
            return
        for object_id, frame in changed:
            self._masks.clicked(object_id, frame)
            self._finder.changed((object_id, frame))
            self._tickets.take((frame, object_id))
        if self.state == "propagating":
            self.status.emit("The click is answered when the propagation ends, or is canceled.")
        self._advance()

    def propagate(self, request: RunRequest) -> None:
        """Track objects through the frames asked for, after the clicks that are still unanswered."""
        if self.state in ("propagating", "splitting", "stopping"):
            self.note.emit("Masks are being written already: wait for the end, or cancel.")
        elif not (self.prompts.groups or self.can_resume or (self.masks is not None and self.masks.mask_prompts())):
            self.note.emit("There is nothing to propagate yet: click on a cell first.")
        else:
            self._run.ask(request)
            self._advance()

    def segment_everything(self, request: SearchRequest) -> None:
        """Find all objects on a frame but for those that have masks, and make each one that might have been clicked."""
        if self.can_search:
            self._finder.request = request
            self._advance()
        else:
            self.note.emit(_WAIT)

    def use_masks(self, masks: Sequence[MaskPrompt]) -> None:
        """Make objects of masks of one frame, which have IDs that no object has."""
        if self.can_search:
            self._finder.give(masks)
            self._advance()
        else:
            self.note.emit(_WAIT)

    def edit(self, edit: Edit) -> None:
        """Undo, redo or edit objects, after the clicks that are still unanswered; not while masks are made."""
        if not self.can_edit:
            self.note.emit(_WAIT)
        elif self.session is None:
            self.note.emit("There is nothing to edit yet: click on a cell first.")
        else:
            self._edits.add(edit)
            self._advance()

    def set_cleaning(self, cleaning: Cleaning) -> None:
        """Tidy masks up like this from now on; those of clicks are shown anew, others when they are propagated."""
        self._slot.cleaning = cleaning
        if self.session is not None:
            for object_id, frame in self.prompts.groups:
                self._tickets.take((frame, object_id))
            self._advance()

    def pause(self) -> None:
        """Let a propagation wait after the frame being worked on; clicks and edits are answered until it goes on."""
        if self.state == "propagating":
            self._run.pause(has_begun=self._pace.done > 0)
            self._stop_job("Pausing after this frame ...")

    def resume(self) -> None:
        """Go on with a propagation that was paused, or with what was stopped half way."""
        self.propagate(self._run.request or Resumption())

    def cancel(self) -> None:
        """Stop at the next frame; what is done stays."""
        was_paused = self.is_paused
        self._run.drop()
        self._finder.cancel()
        self._edits.clear()
        self._to_split.clear()
        if self.session is None:
            # What is not to be opened is not to be shown.
            self._backlog.wants_all = False
        if self.state == "segmenting":
            self._tickets.clear()
        self._stop_job("Stopping after this frame ...")
        if was_paused:
            self.state_changed.emit(self.state)

    def split(self, object_ids: Sequence[int]) -> None:
        """Show each of the objects in a Labels layer of its own, too."""
        if not self.can_edit:
            self.note.emit(_WAIT)
        else:
            self._to_split += object_ids
            self._advance()

    def _start_split(self) -> None:
        while self._to_split:
            self._masks.add_single(self._to_split.pop(0))
        copied = partial(copied_frames, self.num_frames, partial(read_frame, self._masks.ensure().main.layer))
        self._start("splitting", "One layer per object", copied, total=self.num_frames)

    def reopen_with(self, open_session: Callable[[], SessionLike], *, is_stored: bool = False) -> None:
        """Go on with another model, which answers all prompts anew; or, at once, with a stored session as it was."""
        wants_all, had_masks = is_stored or self._backlog.wants_all, bool(self.session and self.session.masklets)
        self._erased.look(self._masks, None if is_stored else self.session)
        if self._job is not None:
            self.cancel()
        self._slot.change(open_session, keeps_cleaning=is_stored)
        self._backlog.wants_all = wants_all
        if is_stored:
            self._masks.ensure()
        for object_id, frame in {**self.prompts.groups, **dict.fromkeys(self._masks.given)}:
            self._tickets.take((frame, object_id))
        if had_masks and not self._tickets:
            self._backlog.wants_all = True
        self._advance()

    def show_stored(self) -> None:
        """Show all that the session has, and had before any layer showed it."""
        if self.session is not None:
            prompts = self.session.prompts
            self._sync.show(prompts, prompts.keys(), self.masks)
            self._backlog.wants_all = True

    def open_now(self) -> SessionLike:
        """Return the session, opened in this thread if need be.

        Raises
        ------
        SessionError
            If that is under way already, or it cannot be opened.
        """
        if self.session is None and self._job is not None:
            raise SessionError("The session is being opened: ask again when the widget is done")
        session = self._slot.opened()
        if self._slot.take_new():
            self.opened.emit()
            self._catch_up()
        return session

    def labels_removed(self, layer: Labels) -> None:
        """Take note that a Labels layer was removed from the viewer; a run into the main one stops."""
        if not self._masks.forget(layer):
            return
        self._backlog.wants_all = True
        if self.state in ("propagating", "splitting"):
            self._run.drop()
            self._stop_job("Stopping after this frame ...")
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
        self._masks.close()

    def _advance(self) -> None:
        if self._closed or self.give_way() or self._job is not None:
            return
        self._show_changed_prompts()
        if self._has_news():
            self._erased.look(self._masks, self.session)
        if self._tickets:
            self._masks.ensure()
            self._start_clicks()
        elif self._edits and self.session is not None:
            self._start_edit(self.session)
        elif self._to_split:
            self._start_split()
        elif self._finder.has_work:
            self._masks.ensure()
            work = self._finder.next_work(self._slot.opened, lambda: self._usable_prompts()[0])
            self.status.emit("Loading the model ..." if self.session is None else f"{work.name} ...")
            self._start("searching", work.name, work.steps)
        elif self.session is None and (self._run or (self._backlog.wants_all and self.masks is not None)):
            self.status.emit("Loading the model ...")
            self._start("segmenting", "Loading the model", lambda: opening(self._slot.opened))
        elif self._run and self._run.request is not None and self.session is not None:
            self._masks.ensure()
            self._start_propagation(self.session, self._run.request)
        elif self.session is not None:
            self._start_showing(self.session)
        else:
            self._set_state("idle")

    def _start_showing(self, session: SessionLike) -> None:
        """Show what there is to be shown, when there is nothing else to do."""
        work = self._backlog.next_work(session, self._masks.from_here, self._has_news)
        if work is not None and self.masks is not None:
            self._start("showing", *work)
        elif self.objects.is_behind:
            self._start("idle", "Objects", partial(self.objects.catching_up, self._has_news))
        else:
            self._set_state("idle")

    def _has_news(self) -> bool:
        """Whether there is something to be done that somebody waits for."""
        return bool(self._tickets or self._edits or self._to_split or self._run or self._finder.has_work)

    def _start_edit(self, session: SessionLike) -> None:
        self._erased.on_edit()
        prompts, _ = self._usable_prompts()
        name, steps = self._edits.next_work(session, prompts, self._masks.given)
        self.status.emit(f"{name} ...")
        self._start("editing", name, steps)

    def _start_clicks(self) -> None:
        self._run.total = None
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

    def _start_propagation(self, session: SessionLike, request: RunRequest) -> None:
        if self._run.total is None:
            prompts, problems = self._usable_prompts()
            for problem in problems.values():
                self.note.emit(problem)
            self._start("propagating", "Prompts", partial(self._planning, session, request, prompts))
            return
        total = self._run.begin(request)
        self._masks.lock()
        self.progress.emit(0, total)
        self._start("propagating", "Propagating masks", lambda: track_frames(session, request), total=total)

    def _catch_up(self) -> None:
        if self._closed or self.session is None:
            return
        if self._changes.take_settings() and self.session.cleaning != self._slot.cleaning:
            self._slot.cleaning = self.session.cleaning
            self.cleaned.emit(self.session.cleaning)
        self._advance()
        if self._job is None:
            self.objects_changed.emit()

    def _show_changed_prompts(self) -> None:
        """Let the prompt layers follow the session, and note which frames are to be written."""
        session, (changes, repainted) = self.session, self._changes.take()
        if session is None or not changes:
            return
        waiting = {(object_id, frame) for frame, object_id in self._tickets.unanswered()}
        keys = {(object_id, frame) for object_id, frames in changes.items() for frame in frames}
        with self._changes.reading():
            stale = self._sync.show(session.prompts, keys - waiting, self.masks)
        if self.masks is None:
            self._backlog.wants_all = True
            return
        painted = {(object_id, frame) for object_id, frames in repainted.items() for frame in frames}
        for object_id, frame in painted | stale:
            self._backlog.add(frame, object_id)

    def _pass_on_note(self, text: str) -> None:
        self.note.emit(text)
