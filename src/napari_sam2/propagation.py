"""Following objects from frame to frame: frames, windows and memories around the four functions of the predictor.

Nothing here knows of prompts as a user gives them in time, of masklets or of layers; the session does.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam2.cleaning import Cleaning
from napari_sam2.devices import give_back_memory
from napari_sam2.followed_object import FollowedObject, PromptedFrame, center_of
from napari_sam2.frame_encoder import FrameEncoder
from napari_sam2.masklets import FrameMask
from napari_sam2.memory_policy import ORIGINAL, MemoryPolicy
from napari_sam2.network_runs import NetworkRuns, checked
from napari_sam2.overlaps import CLICKED, PAINTED, TRACKED, SeenMask
from napari_sam2.painted_masks import PaintedMasks
from napari_sam2.prompts import ObjectPrompts
from napari_sam2.sightings import Sighting
from napari_sam2.tuning import AS_TRAINED, Tuning
from napari_sam2.video import Video
from napari_sam2.window_choice import WindowChoice, prompt_tokens
from sam2_torch.memory_bank import MemoryBank, MemoryRules, MemorySelection, stack_selections
from sam2_torch.network import SAM2
from sam2_torch.outputs import (
    FrameFeatures,
    FrameMemory,
    MaskInput,
    MaskPrediction,
    PointTokens,
    stack_predictions,
)
from sam2_torch.video_predictor import memorize, segment, track
from sam2_torch.windows import Window, by_size, paste

ROOM = 0.6
"""An object larger than this part of a window is looked for in a wider one."""

_Look = tuple[FollowedObject, Window, MemorySelection]


class Follower:
    """Runs a model on a video, on the device it is on by now; keeps the last frame and some features, nothing else."""

    def __init__(
        self,
        video: Video,
        model: SAM2,
        *,
        diameter: float | None = None,
        rules: MemoryRules | None = None,
        policy: MemoryPolicy = ORIGINAL,
        cleaning: Cleaning | None = None,
        tuning: Tuning = AS_TRAINED,
    ) -> None:
        self.video = video
        self.model = model
        self.diameter = diameter
        self.rules = MemoryRules.of(model.config) if rules is None else rules
        self.policy = policy
        self.cleaning = cleaning or Cleaning()
        self._tuning = tuning
        self.encoder = FrameEncoder(video, model, tuning.cache_bytes)
        self.windows = WindowChoice(video, model, self.encoder, diameter=diameter, tokens=tuning.window_tokens)
        self._runs = NetworkRuns(model, forget=self.encoder.forget)
        self._painted = PaintedMasks(self.encoder, self.windows, self._runs, self._segment)

    def new_object(self, object_id: int) -> FollowedObject:
        """An object of which nothing is known yet."""
        return FollowedObject(object_id, MemoryBank(self.rules), diameter=self.diameter)

    @torch.inference_mode()
    def segment(
        self,
        followed: FollowedObject,
        frame: int,
        prompts: ObjectPrompts,
        *,
        refines: bool = False,
        memory_direction: int | None = None,
        near: tuple[float, float] | None = None,
    ) -> SeenMask:
        """The mask for the prompts on a frame.

        Parameters
        ----------
        refines
            The prompts add to those that `followed.prompted[frame]` was made of, whose logits are fed back.
        memory_direction
            The direction (1 or -1) in which tracking comes to this frame, if the prompts correct what it finds there:
            then the object's memories take part, and what they say is fed back.
        near
            Centroid (y, x) of the mask to be corrected, if there is one.
        """
        before = followed.prompted.pop(frame, None) if not refines else followed.prompted.get(frame)
        window = before.window if refines and before is not None else None
        if window is None or not self.windows.holds(window, prompts):
            before, window = None, self.windows.for_prompts(followed, frame, prompts, near)
        previous = None if before is None else before.prediction
        answer = partial(self._answer, followed, frame, prompts, window, previous, memory_direction)
        prediction = self._runs.on_a_sound_device(answer)
        followed.prompted[frame] = PromptedFrame(window, prediction.without_candidates())
        return self.show_prompted(followed, frame, prompts)

    @torch.inference_mode()
    def answer_painted(self, frame: int, asked: Iterable[ObjectPrompts]) -> None:
        """Look at all masks among the prompts on a frame at once, for `segment` to find its answers there."""
        self._painted.answer_ahead(frame, [p.mask for p in asked if p.mask is not None and p.is_painted])

    @torch.inference_mode()
    def look_ahead(self, frame: int, followed: FollowedObject, place: tuple[float, float] | None) -> bool | None:
        """Encode what a click on an object, seen at (y, x), would need; returns as `FrameEncoder.encode_ahead` does."""
        prompted = followed.prompted.get(frame)
        if prompted is not None:
            return self.encoder.encode_ahead(frame, prompted.window)
        if self.model.config.object_diameter is not None and (place is None or followed.diameter is None):
            return None
        return self.encoder.encode_ahead(frame, self.windows.on(followed, place or (0, 0)))

    def _answer(
        self,
        followed: FollowedObject,
        frame: int,
        prompts: ObjectPrompts,
        window: Window,
        previous: MaskPrediction | None,
        memory_direction: int | None,
    ) -> MaskPrediction:
        """What the network makes of prompts, in a window, after what it made of those before."""
        device = self.model.device
        if prompts.mask is not None and (prompts.is_painted or previous is None):
            painted = self._painted.answer(frame, prompts.mask, window)
            if prompts.is_painted:
                return painted
            previous = painted
        features = self.encoder.encode(frame, [window])
        memories = None if memory_direction is None else followed.bank.select(frame, memory_direction)
        if memories is not None:
            memories = memories.to(device)
            previous = self._track(features, memories) if previous is None else previous
        logits = None if previous is None else previous.logits.to(device)
        tokens = prompt_tokens(prompts, window, device)
        return checked(self._segment(features, tokens, memories=memories, previous_logits=logits))

    def show_prompted(self, followed: FollowedObject, frame: int, prompts: ObjectPrompts) -> SeenMask:
        """The mask of a prompted frame, and the window moves there; a painted one is exactly what was painted."""
        prompted = followed.prompted[frame]
        if prompts.mask is not None and prompts.is_painted:
            painted, said = np.where(prompts.mask.crop, np.float32(1), np.float32(-1)), prompted.prediction
            score, iou = float(said.object_score[0]), float(said.predicted_iou[0])
            seen = SeenMask(painted, prompts.mask.offset, score, iou, PAINTED, self._tuning.score_threshold)
        else:
            seen = self._seen(prompted.window, prompted.prediction, CLICKED)
        self.look_at(followed, seen.centroid or center_of(prompted.window))
        return seen

    @torch.inference_mode()
    def accept(self, followed: FollowedObject, mask: FrameMask) -> None:
        """Take a mask found elsewhere for what the prompts on its frame gave."""
        if self.diameter is None:
            followed.diameter = self.windows.common(2 * (mask.area / np.pi) ** 0.5)
            followed.diameter_from = mask.frame
        window = self.windows.on(followed, mask.centroid)
        prediction = self._runs.on_a_sound_device(partial(self._given, mask, window)).without_candidates()
        score, iou = prediction.object_score, prediction.predicted_iou
        prediction = replace(
            prediction,
            object_score=torch.full_like(score, max(mask.score, self._tuning.score_threshold + 1e-3)),
            predicted_iou=torch.full_like(iou, mask.predicted_iou),
        )
        followed.prompted[mask.frame] = PromptedFrame(window, prediction)
        self.look_at(followed, mask.centroid)

    def _given(self, mask: FrameMask, window: Window) -> MaskPrediction:
        """What the network makes of a mask that it is given as the answer."""
        return self._painted.given(mask.frame, mask.crop, (mask.box[0], mask.box[1]), window)

    @torch.inference_mode()
    def remember_prompts(self, objects: Iterable[FollowedObject]) -> None:
        """Memorize the prompted frames that are not in the objects' banks as they are now."""
        by_frame: dict[int, list[FollowedObject]] = {}
        for followed in objects:
            for frame in followed.prompted.keys() - followed.bank.prompted.keys():
                by_frame.setdefault(frame, []).append(followed)
        for frame, missing in sorted(by_frame.items()):
            looks = [(followed, followed.prompted[frame]) for followed in missing]
            for group in by_size(looks, lambda look: look[1].window):
                self._runs.in_batches(group, partial(self._remember_prompted, frame))

    def _remember_prompted(self, frame: int, looks: Sequence[tuple[FollowedObject, PromptedFrame]]) -> list[None]:
        features = self.encoder.encode(frame, [prompted.window for _, prompted in looks])
        prediction = stack_predictions([prompted.prediction.to(self.model.device) for _, prompted in looks])
        memories = self._memorize(features, prediction, prompted=True).split()
        for (followed, _), memory in zip(looks, memories, strict=True):
            followed.bank.add(frame, memory, prompted=True)
        return []

    @torch.inference_mode()
    def remember_approved(self, followed: FollowedObject, masks: Iterable[FrameMask]) -> None:
        """Memorize masks that a person approved as prompted frames are."""
        for mask in masks:
            if followed.diameter is None:
                # What its prompts told has gone with them.
                followed.diameter = self.windows.common(2 * (mask.area / np.pi) ** 0.5)
            followed.bank.add(mask.frame, self._memory_of(followed, mask, prompted=True), prompted=True)

    @torch.inference_mode()
    def rebuild(self, followed: FollowedObject, masks: Iterable[FrameMask], *, frame: int, direction: int) -> None:
        """Memorize stored masks in place of the memories that `frame` would read and the bank has forgotten."""
        for mask in masks:
            memory = self._memory_of(followed, mask, prompted=False)
            followed.bank.restore(
                mask.frame, memory if followed.bank.reads_features(mask.frame, frame) else memory.pointer_only()
            )
        followed.bank.prune(frame - direction)

    def _memory_of(self, followed: FollowedObject, mask: FrameMask, *, prompted: bool) -> FrameMemory:
        """What a mask that is given as the answer leaves behind."""
        window = self.windows.on(followed, mask.centroid)
        return self._runs.on_a_sound_device(
            lambda: self._memorize(
                self.encoder.encode(mask.frame, [window]), self._given(mask, window), prompted=prompted
            )
        )

    @torch.inference_mode()
    def track(self, frame: int, objects: Sequence[FollowedObject], direction: int) -> dict[int, Sighting]:
        """Track objects that have memories to a frame, by object ID; `remember` what came of it afterwards.

        An object that is lost, or whose mask is cut by the edge of its window, is looked for once more in a wider one.
        """
        sightings = self._track_in(frame, [(o, o.window or self.windows.whole_frame()) for o in objects], direction)
        wider = [(s.followed, window) for s in sightings.values() if (window := self._wider(s)) is not None]
        return sightings | (self._track_in(frame, wider, direction) if wider else {})

    def _track_in(
        self, frame: int, looks: Sequence[tuple[FollowedObject, Window]], direction: int
    ) -> dict[int, Sighting]:
        """Objects with windows and memories of the same layout run as one batch."""
        self.encoder.prepare(frame, [window for _, window in looks], then=frame + direction)
        alike: dict[tuple[int, ...], list[_Look]] = {}
        for followed, window in looks:
            selection = followed.bank.select(frame, direction)
            if selection is None:
                raise ValueError(f"object {followed.object_id} has no memories; remember its prompts first")
            alike.setdefault((*window.size, *selection.layout), []).append((followed, window, selection))
        found = [s for group in alike.values() for s in self._runs.in_batches(group, partial(self._track_batch, frame))]
        return {sighting.followed.object_id: sighting for sighting in found}

    def _track_batch(self, frame: int, looks: Sequence[_Look]) -> list[Sighting]:
        features = self.encoder.encode(frame, [window for _, window, _ in looks])
        selections = stack_selections([selection.to(self.model.device) for _, _, selection in looks])
        prediction = checked(self._track(features, selections)).without_candidates()
        shown = prediction.to(torch.device("cpu"))  # all of them in one go
        return [
            Sighting(followed, window, prediction.select([i]), self._seen(window, shown.select([i]), TRACKED))
            for i, (followed, window, _) in enumerate(looks)
        ]

    @torch.inference_mode()
    def remember(
        self, frame: int, sightings: Collection[Sighting], won: Mapping[int, NDArray[np.bool_]]
    ) -> tuple[int, ...]:
        """Make memories of what was seen on a frame, as far as the policy trusts it, and move the windows on.

        Parameters
        ----------
        won
            By object ID, which pixels of its mask an object has against the others, if they were shared out.

        Returns
        -------
        IDs of the objects that were not remembered.
        """
        policy, trusted, doubtful = self.policy, [], []
        for sighting in sightings:
            followed, seen = sighting.followed, sighting.seen
            has = won.get(followed.object_id) if policy.competes else None
            if policy.trusts(seen, followed.last) and (has is None or has.any() or not seen.area):
                trusted.append(sighting if has is None else sighting.with_what_it_won(has))
                followed.distrusted.discard(frame)
            else:
                doubtful.append(followed.object_id)
                followed.bank.skip(frame)
                followed.distrusted.add(frame)
        for group in by_size(trusted, lambda sighting: sighting.window):
            self._runs.in_batches(group, partial(self._remember_batch, frame))
        for sighting in trusted:
            sighting.followed.last = sighting.seen
        for sighting in sightings:
            self._move_on(sighting)
        # Regions of ever other sizes leave gaps in memory, some 200 MB if they are left to grow for a hundred frames.
        give_back_memory(torch.device("cpu"))
        return tuple(doubtful)

    def _remember_batch(self, frame: int, sightings: Sequence[Sighting]) -> list[None]:
        features = self.encoder.encode(frame, [sighting.window for sighting in sightings])
        prediction = stack_predictions([sighting.prediction.to(self.model.device) for sighting in sightings])
        memories = self._memorize(features, prediction, prompted=False).split()
        for sighting, memory in zip(sightings, memories, strict=True):
            sighting.followed.bank.add(frame, memory, prompted=False)
        return []

    def _wider(self, sighting: Sighting) -> Window | None:
        """The window for a second look, if one is called for."""
        window = self.windows.on(sighting.followed, center_of(sighting.window), wide=True)
        if window == sighting.window or self.model.config.object_diameter is None:
            return None
        return window if sighting.seen.is_lost or sighting.is_cut(self.video.shape_yx) else None

    def _move_on(self, sighting: Sighting) -> None:
        """Look for the object next where it was seen; in a wider window if it is lost, or large."""
        followed, seen, at = sighting.followed, sighting.seen, sighting.seen.centroid
        if at is None or seen.is_lost:
            followed.window = self.windows.on(followed, center_of(sighting.window), wide=True)
            return
        self.look_at(followed, at)
        normal = followed.window
        if normal is not None and max(seen.logits.shape) > ROOM * max(normal.height, normal.width):
            followed.window = self.windows.on(followed, at, wide=True)

    def _segment(self, features: FrameFeatures, prompt: PointTokens | MaskInput, **more: Any) -> MaskPrediction:
        return segment(self.model, features, prompt, present_above=self._tuning.score_threshold, **more)

    def _track(self, features: FrameFeatures, memories: MemorySelection) -> MaskPrediction:
        return track(self.model, features, memories, present_above=self._tuning.score_threshold)

    def _memorize(self, features: FrameFeatures, prediction: MaskPrediction, *, prompted: bool) -> FrameMemory:
        above = self._tuning.score_threshold
        memory = memorize(self.model, features, prediction, prompted=prompted, present_above=above)
        return checked(memory.to(torch.bfloat16))

    def look_at(self, followed: FollowedObject, yx: tuple[float, float]) -> None:
        """Look for the object around (y, x) next."""
        followed.window = self.windows.on(followed, yx)

    def _seen(self, window: Window, prediction: MaskPrediction, claim: int) -> SeenMask:
        threshold = self._tuning.mask_threshold
        logits, offset = paste(prediction.logits[0, 0].cpu(), window, self.video.shape_yx, above=threshold)
        score, iou = float(prediction.object_score[0]), float(prediction.predicted_iou[0])
        return SeenMask(
            logits.numpy() - np.float32(threshold), offset, score, iou, claim, self._tuning.score_threshold
        ).cleaned(self.cleaning)
