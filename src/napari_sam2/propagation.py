"""Following objects from frame to frame: frames, windows and memories around the four functions of the predictor.

Nothing here knows of prompts as a user gives them in time, of masklets or of layers; the session does.
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np
import torch

from napari_sam2.cleaning import Cleaning
from napari_sam2.devices import give_back_memory, is_out_of_memory
from napari_sam2.errors import DeviceError
from napari_sam2.followed_object import FollowedObject, PromptedFrame, center_of
from napari_sam2.frame_encoder import FrameEncoder
from napari_sam2.masklets import FrameMask
from napari_sam2.overlaps import SeenMask
from napari_sam2.prompts import ObjectPrompts
from napari_sam2.video import Video
from sam2_torch.memory_bank import MemoryBank, MemoryRules, MemorySelection, stack_selections
from sam2_torch.network import SAM2
from sam2_torch.outputs import MaskInput, MaskPrediction, PointTokens
from sam2_torch.prompt_encoder import BOX_FIRST, BOX_LAST, NEGATIVE, POSITIVE
from sam2_torch.video_predictor import memorize, segment, track
from sam2_torch.windows import Window, around, common_diameter, cut_mask, paste, whole_frame

OBJECTS_PER_BATCH = 32
TRIED_DIAMETERS = (16.0, 32.0, 64.0)
DIAMETER_LIMITS = (6.0, 400.0)
TRACKED, CLICKED, PAINTED = 0, 1, 2
"""Claims on pixels: a prompted mask does not yield to a tracked one, a painted one to none but a painted one."""

R = TypeVar("R")


class Follower:
    """Runs a model on a video for any number of objects; keeps the last frame and some features, nothing else."""

    def __init__(
        self,
        video: Video,
        model: SAM2,
        *,
        diameter: float | None = None,
        rules: MemoryRules | None = None,
        cleaning: Cleaning | None = None,
    ) -> None:
        self.video = video
        self.model = model
        self.diameter = diameter
        self.rules = MemoryRules.of(model.config) if rules is None else rules
        self.cleaning = cleaning or Cleaning()
        self._encoder = FrameEncoder(video, model)
        self._objects_per_batch = OBJECTS_PER_BATCH

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
        if window is None or not self._holds(window, prompts):
            before, window = None, self._prompt_window(followed, frame, prompts, near)
        previous = None if before is None else before.prediction
        answer = partial(self._answer, followed, frame, prompts, window, previous, memory_direction)
        prediction = self._on_a_sound_device(answer)
        followed.prompted[frame] = PromptedFrame(window, prediction.without_candidates())
        return self.show_prompted(followed, frame, prompts)

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
        features = self._encoder.encode(frame, [window])
        if prompts.mask is not None:
            mask = torch.from_numpy(prompts.mask.mask.copy()).to(device)
            painted = self._checked(segment(self.model, features, MaskInput(cut_mask(mask, window))))
            if prompts.is_painted:
                return painted
            previous = painted if previous is None else previous
        memories = None if memory_direction is None else followed.bank.select(frame, memory_direction)
        if memories is not None:
            memories = memories.to(device)
            previous = track(self.model, features, memories) if previous is None else previous
        logits = None if previous is None else previous.logits.to(device)
        tokens = self._tokens(prompts, window)
        return self._checked(segment(self.model, features, tokens, memories=memories, previous_logits=logits))

    def show_prompted(self, followed: FollowedObject, frame: int, prompts: ObjectPrompts) -> SeenMask:
        """The mask of a prompted frame, and the window moves there; a painted one is exactly what was painted."""
        prompted = followed.prompted[frame]
        seen = self._seen(prompted.window, prompted.prediction, CLICKED)
        if prompts.mask is not None and prompts.is_painted:
            painted = np.where(prompts.mask.mask, np.float32(1), np.float32(-1))
            seen = SeenMask(painted, (0, 0), seen.score, seen.predicted_iou, PAINTED)
        self.look_at(followed, seen.centroid or center_of(prompted.window))
        return seen

    @torch.inference_mode()
    def accept(self, followed: FollowedObject, mask: FrameMask) -> None:
        """Take a mask found elsewhere for what the prompts on its frame gave."""
        if self.diameter is None:
            followed.diameter = self._common(2 * (mask.area / np.pi) ** 0.5)
            followed.diameter_from = mask.frame
        window = self._window_on(followed, mask.centroid)
        prediction = self._on_a_sound_device(partial(self._given, mask, window)).without_candidates()
        score, iou = prediction.object_score, prediction.predicted_iou
        prediction = replace(
            prediction,
            object_score=torch.full_like(score, max(mask.score, 1e-3)),
            predicted_iou=torch.full_like(iou, mask.predicted_iou),
        )
        followed.prompted[mask.frame] = PromptedFrame(window, prediction)
        self.look_at(followed, mask.centroid)

    def _given(self, mask: FrameMask, window: Window) -> MaskPrediction:
        """What the network makes of a mask that it is given as the answer."""
        full = np.zeros(self.video.shape_yx, dtype=np.uint8)
        mask.paint(full, 1)
        features = self._encoder.encode(mask.frame, [window])
        shown = cut_mask(torch.from_numpy(full).to(self.model.device), window)
        return self._checked(segment(self.model, features, MaskInput(shown)))

    @torch.inference_mode()
    def remember_prompts(self, followed: FollowedObject) -> None:
        """Memorize the prompted frames that are not in the bank as they are now."""
        for frame, prompted in followed.prompted.items():
            if frame not in followed.bank.prompted:
                features = self._encoder.encode(frame, [prompted.window])
                memory = memorize(self.model, features, prompted.prediction.to(self.model.device), prompted=True)
                followed.bank.add(frame, memory.to(torch.bfloat16), prompted=True)

    @torch.inference_mode()
    def rebuild(self, followed: FollowedObject, masks: Iterable[FrameMask], *, frame: int, direction: int) -> None:
        """Memorize stored masks in place of the memories that `frame` would read and the bank has forgotten."""
        for mask in masks:
            window = self._window_on(followed, mask.centroid)
            prediction = self._given(mask, window)
            features = self._encoder.encode(mask.frame, [window])
            memory = memorize(self.model, features, prediction, prompted=False).to(torch.bfloat16)
            followed.bank.restore(
                mask.frame, memory if followed.bank.reads_features(mask.frame, frame) else memory.pointer_only()
            )
        followed.bank.prune(frame - direction)

    @torch.inference_mode()
    def step(self, frame: int, objects: Sequence[FollowedObject], direction: int) -> dict[int, SeenMask]:
        """Track objects that have memories to a frame, and remember it; by object ID.

        Objects with equally many memories run as one batch.
        """
        windows = [followed.window or self._whole_frame() for followed in objects]
        self._encoder.prepare(frame, windows, then=frame + direction)
        batches: dict[tuple[int, ...], list[tuple[FollowedObject, MemorySelection]]] = {}
        for followed, window in zip(objects, windows, strict=True):
            selection = followed.bank.select(frame, direction)
            if selection is None:
                raise ValueError(f"object {followed.object_id} has no memories; remember its prompts first")
            batches.setdefault((*window.size, *selection.layout), []).append((followed, selection))
        seen: dict[int, SeenMask] = {}
        for waiting in batches.values():
            while waiting:
                batch = waiting[: self._objects_per_batch]
                try:
                    seen |= self._on_a_sound_device(partial(self._step_batch, frame, batch))
                except (MemoryError, RuntimeError) as error:
                    if not is_out_of_memory(error) or len(batch) == 1:
                        raise
                    self._objects_per_batch = len(batch) // 2
                    give_back_memory(self.model.device)
                else:
                    waiting = waiting[len(batch) :]
        return seen

    def _step_batch(
        self, frame: int, batch: Sequence[tuple[FollowedObject, MemorySelection]]
    ) -> dict[int, SeenMask]:
        windows = [followed.window or self._whole_frame() for followed, _ in batch]
        features = self._encoder.encode(frame, windows)
        selections = stack_selections([selection for _, selection in batch]).to(self.model.device)
        prediction = self._checked(track(self.model, features, selections))
        memories = memorize(self.model, features, prediction, prompted=False).to(torch.bfloat16).split()
        found = prediction.without_candidates().to(torch.device("cpu"))  # all of them in one go
        seen: dict[int, SeenMask] = {}
        for i, ((followed, _), window) in enumerate(zip(batch, windows, strict=True)):
            followed.bank.add(frame, memories[i], prompted=False)
            mask = seen[followed.object_id] = self._seen(window, found.select([i]), TRACKED)
            if mask.centroid is not None:
                self.look_at(followed, mask.centroid)
        return seen

    def _checked(self, prediction: MaskPrediction) -> MaskPrediction:
        if not prediction.is_finite:
            raise DeviceError(
                f"The network gave numbers that are not finite on the device {self.model.device}. "
                "Choose another device, or float32 instead of bfloat16."
            )
        return prediction

    def _on_a_sound_device(self, work: Callable[[], R]) -> R:
        """Do the work; if Apple's GPU gets it wrong, once more on the CPU, where the model stays from then on."""
        try:
            return work()
        except DeviceError:
            if self.model.device.type != "mps":
                raise
        warnings.warn("The device mps gave numbers that are not finite: the CPU goes on in its place.", stacklevel=2)
        self.model.to("cpu")
        self._encoder.forget()
        return work()

    def look_at(self, followed: FollowedObject, yx: tuple[float, float]) -> None:
        """Look for the object around (y, x) next."""
        followed.window = self._window_on(followed, yx)

    def _window_on(self, followed: FollowedObject, yx: tuple[float, float]) -> Window:
        if self.model.config.object_diameter is None or followed.diameter is None:
            return self._whole_frame()
        return self._around(yx, followed.diameter)

    def _around(self, yx: tuple[float, float], diameter: float) -> Window:
        return around(*yx, diameter, self.model.config, shape_yx=self.video.shape_yx)

    def _common(self, diameter: float) -> float:
        """A diameter that objects of about the same size have in common, so that a frame is encoded at few scales."""
        return common_diameter(float(np.clip(diameter, *DIAMETER_LIMITS)), self.model.config)

    def _holds(self, window: Window, prompts: ObjectPrompts) -> bool:
        """Whether the window is all there is, or points and the middle of a box are in its middle half."""
        if self.model.config.object_diameter is None:
            return True
        y, x = center_of(window)
        places = [(p.y, p.x) for p in prompts.points]
        if prompts.box is not None:
            places.append(prompts.box.center)
        near = all(abs(py - y) <= window.height / 4 and abs(px - x) <= window.width / 4 for py, px in places)
        return near and prompts.mask is None

    def _whole_frame(self) -> Window:
        return whole_frame(self.video.shape_yx, self.model.config)

    def _prompt_window(
        self, followed: FollowedObject, frame: int, prompts: ObjectPrompts, near: tuple[float, float] | None
    ) -> Window:
        """Where and at what scale to look: centred on the prompts, or on the mask near by that they correct."""
        if self.model.config.object_diameter is None:
            return self._whole_frame()
        center, told = _extent(prompts)
        if self.diameter is None:
            self._measure(followed, frame, prompts, center, told)
        if near is not None and self._holds(window := self._window_on(followed, near), prompts):
            return window
        return self._window_on(followed, center)

    def _measure(
        self,
        followed: FollowedObject,
        frame: int,
        prompts: ObjectPrompts,
        center: tuple[float, float],
        told: float | None,
    ) -> None:
        """Find the object's diameter: told by a box or mask, else tried out on the click, once.

        Prompts that replace those it came from, and a box or mask of quite another size, tell it anew.
        """
        known = followed.diameter
        if told is not None and (known is None or not 1 / 1.5 < told / known < 1.5):
            known = told
        elif known is None or followed.diameter_from == frame:
            known = self._try_diameters(frame, prompts, center)
        else:
            return
        followed.diameter = self._common(known)
        followed.diameter_from = frame

    def _try_diameters(self, frame: int, prompts: ObjectPrompts, center: tuple[float, float]) -> float:
        """Segment at three scales; the diameter of the mask whose predicted IoU is best."""
        windows = [self._around(center, d) for d in TRIED_DIAMETERS]
        features = self._encoder.encode(frame, windows)
        tokens = [self._tokens(prompts, w) for w in windows]
        together = PointTokens(torch.cat([t.xy for t in tokens]), torch.cat([t.labels for t in tokens]))
        prediction = segment(self.model, features, together)
        best, found = -1.0, TRIED_DIAMETERS[1]
        for i, window in enumerate(windows):
            share = float((prediction.logits[i] > 0).float().mean())
            quality = float(prediction.predicted_iou[i])
            if share > 0 and quality > best:
                best, found = quality, 2 * window.height * (share / np.pi) ** 0.5
        return found

    def _tokens(self, prompts: ObjectPrompts, window: Window) -> PointTokens:
        xy: list[tuple[float, float]] = []
        labels: list[int] = []
        if prompts.box is not None:
            box = prompts.box
            xy += [window.to_model(box.y0, box.x0), window.to_model(box.y1, box.x1)]
            labels += [BOX_FIRST, BOX_LAST]
        for point in prompts.points:
            xy.append(window.to_model(point.y, point.x))
            labels.append(POSITIVE if point.positive else NEGATIVE)
        device = self.model.device
        return PointTokens(
            torch.tensor([xy], dtype=torch.float32, device=device), torch.tensor([labels], device=device)
        )

    def _seen(self, window: Window, prediction: MaskPrediction, claim: int) -> SeenMask:
        logits, offset = paste(prediction.logits[0, 0].cpu(), window, self.video.shape_yx)
        score, iou = float(prediction.object_score[0]), float(prediction.predicted_iou[0])
        return SeenMask(logits.numpy(), offset, score, iou, claim).cleaned(self.cleaning)


def _extent(prompts: ObjectPrompts) -> tuple[tuple[float, float], float | None]:
    """Centre (y, x) of an object by its prompts, and its diameter where they tell it."""
    if prompts.mask is not None:
        ys, xs = np.nonzero(prompts.mask.mask)
        return (float(ys.mean()), float(xs.mean())), 2 * (len(ys) / np.pi) ** 0.5
    if prompts.box is not None:
        box = prompts.box
        return box.center, ((box.y1 - box.y0) * (box.x1 - box.x0)) ** 0.5
    points = [p for p in prompts.points if p.positive] or list(prompts.points)
    return (sum(p.y for p in points) / len(points), sum(p.x for p in points) / len(points)), None
