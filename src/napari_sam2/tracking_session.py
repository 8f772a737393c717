"""The tracking session: a movie, objects with prompts at any frame, and the masklets that come out."""

from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from dataclasses import replace
from operator import index
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sam2.cleaning import Cleaning
from napari_sam2.editable_session import EditableSession
from napari_sam2.errors import SessionError, explained
from napari_sam2.found_objects import Everything, find_everything
from napari_sam2.frame_result import FrameResult as FrameResult
from napari_sam2.history import HISTORY_BYTES, History
from napari_sam2.looking_ahead import look_ahead
from napari_sam2.masklets import FrameMask, Masklet, compose_labels
from napari_sam2.memory_policy import MemoryPolicy, find_policy
from napari_sam2.prompts import ObjectPrompts, Prompt, check_corrections, check_prompts
from napari_sam2.propagating_session import PropagatingSession
from napari_sam2.propagation import Follower
from napari_sam2.reviewed_session import ReviewedSession
from napari_sam2.runs import Run
from napari_sam2.session_log import SessionLogs
from napari_sam2.session_objects import SessionObjects
from napari_sam2.session_settings import SessionSettings
from napari_sam2.settings import EverythingSettings
from napari_sam2.tuning import AS_TRAINED, Tuning
from napari_sam2.video import Video
from sam2_torch.mask_generator import Progress
from sam2_torch.windows import STRIDE

if TYPE_CHECKING:
    from sam2_torch.network import SAM2


class TrackingSession(EditableSession, PropagatingSession, ReviewedSession):
    """Objects followed through one movie, without napari or a display.

    Masks of objects propagated together do not overlap: a painted mask keeps its pixels, a clicked one yields to no
    tracked one, and among equals the higher mask logit wins. Where a mask meets one that was stored earlier, labels
    show the smaller ID, but painted and approved masks keep their pixels. A prompted frame keeps the mask that its
    prompts gave, and an approved one its mask, whatever is propagated over it.
    A session is for one thread at a time.

    Prompts and objects may be added, changed and removed at any time, also while a propagation is under way: it goes on
    with what there is when it comes to its next frame. What came from a prompt that was moved or removed is shown until
    it is propagated again, and is not remembered.

    Parameters
    ----------
    video
        The movie; only the frame worked on is in memory.
    model
        From `load_model`.
    diameter
        Typical diameter of an object in source pixels, for models that look at objects at one scale; by default
        estimated for each object from its prompts.

    max_prompted
        How many prompted frames an object looks at from any other frame, the closest ones; by default all of them, as
        in SAM 2. Each makes a frame slower by as much as a frame memory does.
    restart_at_prompts
        Whether what was tracked up to a prompted frame counts for nothing after it, for objects that were lost to
        another one before a correction; by default it does count, as in SAM 2.
    memory_policy
        Which tracked frames are remembered: "original", "cells", or a `MemoryPolicy`; by default that of the model, the
        original one for a model that sees whole frames.
    max_recent
        At most so many recent frames are looked at, in place of what the memory policy says.
    cleaning
        How masks are tidied up before they are shown and stored; by default they are only kept apart.
    tuning
        Thresholds, and sizes of windows and of what is kept.
    history_bytes
        About how many bytes the steps that `undo` can take back may take; 0 for none at all.
    """

    def __init__(
        self,
        video: Video,
        model: "SAM2",
        *,
        diameter: float | None = None,
        max_prompted: int | None = None,
        restart_at_prompts: bool = False,
        memory_policy: str | MemoryPolicy | None = None,
        max_recent: int | None = None,
        cleaning: Cleaning | None = None,
        tuning: Tuning = AS_TRAINED,
        history_bytes: int = HISTORY_BYTES,
    ) -> None:
        default = "original" if model.config.object_diameter is None else "cells"
        policy = find_policy(default if memory_policy is None else memory_policy, max_recent=max_recent)
        cleaning = cleaning or Cleaning()
        self._settings = SessionSettings(diameter, max_prompted, restart_at_prompts, policy, cleaning, tuning)
        tuning.check_window(model.config.image_size // STRIDE)
        self.video = video
        self._follower = Follower(
            video,
            model,
            diameter=diameter,
            rules=self._settings.rules(model.config),
            policy=policy,
            cleaning=cleaning,
            tuning=tuning,
        )
        self._objects = SessionObjects(self._follower)
        self.run: Run | None = None
        self._read_again: Callable[[TrackingSession], None] | None = None
        self.history = History(self, history_bytes)

    @property
    def logs(self) -> SessionLogs:
        """Who listens to what happens here."""
        return self._objects.logs

    @property
    def objects(self) -> SessionObjects:
        """The objects themselves, for those who store them or put them back."""
        return self._objects

    @property
    def prompts(self) -> dict[tuple[int, int], ObjectPrompts]:
        """By (object_id, frame)."""
        return self._objects.prompts

    @property
    def masklets(self) -> dict[int, Masklet]:
        """By object ID; the masks found so far."""
        return {i: known.masklet for i, known in self._objects.items()}

    @property
    def object_ids(self) -> tuple[int, ...]:
        """IDs of the objects that have prompts or approved masks, sorted."""
        return self._objects.prompted_ids

    @property
    def cleaning(self) -> Cleaning:
        """How masks are tidied up; masks that are there already change when they are made or shown again."""
        return self._follower.cleaning

    @cleaning.setter
    def cleaning(self, cleaning: Cleaning) -> None:
        with self.logs.step("settings"):
            self._follower.cleaning = cleaning

    @property
    def settings(self) -> SessionSettings:
        """What the session was told about how to follow objects."""
        return replace(self._settings, cleaning=self.cleaning)

    @property
    def model(self) -> "SAM2":
        """The model that follows them."""
        return self._follower.model

    def add_prompts(self, *prompts: Prompt) -> set[tuple[int, int]]:
        """Add prompts to those there are; returns the (frame, object_id) that changed.

        On the same frame of the same object, a box replaces the one before, and a mask all that was there before.

        Raises
        ------
        PromptError
            If a prompt makes no sense on this movie; then none is added.
        """
        return self.set_prompts([*self._objects.all_prompts(), *prompts])

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
        check_corrections(prompts, self.is_correctable)
        return self._objects.set_prompts(prompts)

    def is_correctable(self, object_id: int, frame: int) -> bool:
        """Whether points on a frame, negative ones by themselves too, may correct a mask of an object there."""
        return self._objects.is_correctable(index(object_id), index(frame))

    def remove_object(self, object_id: int) -> None:
        """Forget an object altogether: prompts, memories, masks. Those of other objects stay as they are."""
        self._objects.remove(object_id)

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
        known = self._objects.prompted_on(frame, object_id)
        with self.logs.step("segment", frame), explained(frame):
            self._objects.edits += 1
            return known.segment(frame)

    def segment_all(self, frame: int) -> Iterator[FrameMask]:
        """The masks of all objects whose prompts on a frame have none yet, one by one; empty ones are left out.

        For many mask prompts on a frame this is faster than `segment`: they run as batches.

        Raises
        ------
        PropagationError
            If the network fails.
        """
        frame = index(frame)
        waiting = self._objects.unanswered(frame)
        with explained(frame):
            self._objects.answer_painted(frame, waiting)
        for object_id in [known.object_id for known in waiting]:
            if (mask := self.segment(frame, object_id)) is not None:
                yield mask

    def look_ahead(self, frame: int, *, first: Collection[int] = ()) -> Iterator[int]:
        """Encode what clicks on a frame would need, then on its neighbours, so that they are answered sooner.

        To be asked for while nothing else is to be done, and stopped whenever something is. No mask changes, nor
        will others come of clicks or propagation. It takes half of the memory for kept features at most (`Tuning`).
        For a model that looks at windows, those of objects with masks there are encoded; for a click elsewhere the
        frame is read.

        Parameters
        ----------
        frame
            Where somebody is looking.
        first
            IDs of the objects whose turn comes first.

        Yields
        ------
        After each pass of the network, the frame it was about.

        Raises
        ------
        MovieError
            If a frame cannot be read.
        """
        return look_ahead(self._follower, self._objects, index(frame), first)

    def diameter_of(self, object_id: int) -> float | None:
        """At which typical diameter, in source pixels, an object is looked at; None if not known, or of no account.

        It is the `diameter` given, or was told by the object's prompts; objects of about one size have it in common.
        """
        known = self._objects.get(object_id)
        return None if known is None else known.followed.diameter

    def everything(
        self, frame: int, *, settings: EverythingSettings | None = None
    ) -> Generator[Progress, None, Everything]:
        """Find all objects on a frame, some points at a time, but for those that have masks; nothing is added yet.

        What was found is the generator's return value, for `add_everything`.

        Raises
        ------
        MovieError
            If there is no such frame, or it cannot be read.
        PropagationError
            If the network fails.
        """
        follower = self._follower
        with explained(frame):
            return (
                yield from find_everything(
                    follower.model,
                    self.video.frame(frame),
                    frame=index(frame),
                    diameter=follower.diameter,
                    taken=self.labels(frame) > 0,
                    settings=settings,
                )
            )

    def add_everything(self, found: Everything) -> tuple[int, ...]:
        """Make an object of each mask found: a click, to which the mask is the answer; returns the new object IDs."""
        found = found.numbered_from(self.next_object_id)
        with self.logs.step("everything", found.frame):
            self.add_prompts(*found.clicks)
            for mask in found.masks:
                self.accept(mask)
        return tuple(mask.object_id for mask in found.masks)

    def accept(self, mask: FrameMask) -> None:
        """Take a mask found elsewhere for the answer to the prompts that its object has on its frame.

        It is kept, and remembered once propagation begins, as if the prompts had given it; more clicks correct it.

        Raises
        ------
        PromptError
            If the object has no prompts on that frame.
        PropagationError
            If the network fails.
        """
        known = self._objects.prompted_on(mask.frame, mask.object_id)
        with self.logs.step("accept", mask.frame), explained(mask.frame):
            self._objects.edits += 1
            known.accept(mask)

    def reload(self) -> None:
        """Show what another process has stored of this session since it was opened, or reloaded, to be looked at here.

        Raises
        ------
        SessionError
            If nobody else can have changed it, because it is worked with here or not stored; or if it is damaged.
        """
        if self._read_again is None:
            raise SessionError(
                "There is nothing to reload: only a session that can just be looked at here is changed elsewhere"
            )
        self._read_again(self)

    def reload_with(self, read_again: "Callable[[TrackingSession], None]") -> None:
        """Let this be what `reload` does: the session can only be looked at."""
        self._read_again = read_again

    def close(self) -> None:
        """Let go of the folder that the session is stored in, if there is one; nothing is stored from now on."""
        self.logs.close()

    def labels(self, frame: int) -> NDArray[np.uint32]:
        """All masks of a frame as (Y, X) labels, 0 for none.

        Where stored masks overlap, those that are painted or approved show, and among equals the smaller ID.
        """
        shown = [known for known in self._objects.values() if frame in known.masklet]
        fixed = {known.object_id for known in shown if known.is_fixed(frame)}
        return compose_labels((known.masklet[frame] for known in shown), self.video.shape_yx, fixed=fixed)
