"""Following objects from frame to frame: frames, windows and memories around the four functions of the predictor.

Nothing here knows of prompts as a user gives them in time, of masklets or of layers; the session does.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from napari_sam2.feature_cache import FeatureCache
from napari_sam2.masklets import FrameMask
from napari_sam2.overlaps import SeenMask
from napari_sam2.prompts import ObjectPrompts
from napari_sam2.video import Video
from sam2_torch.memory_bank import MemoryBank, MemoryRules, MemorySelection, stack_selections
from sam2_torch.network import SAM2
from sam2_torch.outputs import FrameFeatures, MaskInput, MaskPrediction, PointTokens
from sam2_torch.prompt_encoder import BOX_FIRST, BOX_LAST, NEGATIVE, POSITIVE
from sam2_torch.video_predictor import encode_frame, memorize, segment, track
from sam2_torch.windows import Window, around, cut, cut_mask, paste, whole_frame

OBJECTS_PER_BATCH = 32
TRIED_DIAMETERS = (16.0, 32.0, 64.0)
DIAMETER_LIMITS = (6.0, 400.0)


@dataclass(slots=True)
class FollowedObject:
    """One object's state: its memories, where it was last seen, what was made of its prompts.

    Attributes
    ----------
    diameter
        In source pixels; None until known.
    window
        Where the object is looked for next.
    prompted
        By frame, what its prompts gave; kept until the prompts change.
    """

    object_id: int
    bank: MemoryBank
    diameter: float | None = None
    window: Window | None = None
    prompted: dict[int, SeenMask] = field(default_factory=dict)


class Follower:
    """Runs a model on a video for any number of objects; keeps the last frame and some features, nothing else."""

    def __init__(self, video: Video, model: SAM2, *, diameter: float | None = None) -> None:
        self.video = video
        self.model = model
        self.diameter = diameter
        self.rules = MemoryRules.of(model.config)
        self._frame: tuple[int, Tensor] | None = None
        self._features = FeatureCache()

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
        corrected: FrameMask | None = None,
    ) -> SeenMask:
        """The mask for the prompts on a frame.

        Parameters
        ----------
        refines
            The prompts add to those that `followed.prompted[frame]` was made of, whose logits are fed back.
        corrected
            What tracking found on this frame, if it did: then the object's memories take part, and what they say is
            fed back.
        """
        before = followed.prompted.get(frame)
        window = before.window if before is not None else self._prompt_window(followed, frame, prompts, corrected)
        features = self._encode(frame, [window])
        if prompts.mask is not None:
            mask = torch.from_numpy(prompts.mask.mask.copy()).to(self.model.device)
            prediction = segment(self.model, features, MaskInput(cut_mask(mask, window)))
        else:
            memories = followed.bank.select(frame, self._direction(followed, frame)) if corrected is not None else None
            previous = before.prediction.logits if refines and before is not None else None
            if previous is None and memories is not None:
                previous = track(self.model, features, memories).logits
            tokens = self._tokens(prompts, window)
            prediction = segment(self.model, features, tokens, memories=memories, previous_logits=previous)
        seen = self._seen(window, prediction.without_candidates())
        followed.prompted[frame] = seen
        return seen

    @staticmethod
    def _direction(followed: FollowedObject, frame: int) -> int:
        """The direction in which a frame is reached from the first prompt."""
        return 1 if frame >= min(followed.prompted, default=frame) else -1

    @torch.inference_mode()
    def remember_prompts(self, followed: FollowedObject) -> None:
        """Memorize the prompted frames that are not in the bank as they are now."""
        for frame, seen in followed.prompted.items():
            if frame not in followed.bank.prompted:
                features = self._encode(frame, [seen.window])
                memory = memorize(self.model, features, seen.prediction, prompted=True)
                followed.bank.add(frame, memory.to(torch.bfloat16), prompted=True)

    @torch.inference_mode()
    def rebuild(self, followed: FollowedObject, masks: Iterable[FrameMask]) -> None:
        """Memorize stored masks, in the order given, in place of the memories the bank has forgotten."""
        for mask in masks:
            window = self._window_on(followed, mask.centroid)
            full = np.zeros(self.video.shape_yx, dtype=np.uint8)
            mask.paint(full, 1)
            features = self._encode(mask.frame, [window])
            shown = cut_mask(torch.from_numpy(full).to(self.model.device), window)
            prediction = segment(self.model, features, MaskInput(shown))
            memory = memorize(self.model, features, prediction, prompted=False)
            followed.bank.add(mask.frame, memory.to(torch.bfloat16), prompted=False)
            followed.window = window

    @torch.inference_mode()
    def step(self, frame: int, objects: Sequence[FollowedObject], direction: int) -> dict[int, SeenMask]:
        """Track objects that have memories to a frame, and remember it; by object ID.

        Objects with equally many memories run as one batch.
        """
        batches: dict[tuple[int, ...], list[tuple[FollowedObject, MemorySelection]]] = {}
        for followed in objects:
            selection = followed.bank.select(frame, direction)
            if selection is None:
                raise ValueError(f"object {followed.object_id} has no memories; remember its prompts first")
            batches.setdefault(selection.layout, []).append((followed, selection))
        seen: dict[int, SeenMask] = {}
        for batch in batches.values():
            for i in range(0, len(batch), OBJECTS_PER_BATCH):
                seen.update(self._step_batch(frame, batch[i : i + OBJECTS_PER_BATCH]))
        return seen

    def _step_batch(self, frame: int, batch: Sequence[tuple[FollowedObject, MemorySelection]]) -> dict[int, SeenMask]:
        windows = [self._tracking_window(followed) for followed, _ in batch]
        features = self._encode(frame, windows)
        prediction = track(self.model, features, stack_selections([selection for _, selection in batch]))
        memories = memorize(self.model, features, prediction, prompted=False).to(torch.bfloat16).split()
        seen: dict[int, SeenMask] = {}
        for i, ((followed, _), window) in enumerate(zip(batch, windows, strict=True)):
            followed.bank.add(frame, memories[i], prompted=False)
            seen[followed.object_id] = self._seen(window, prediction.select([i]).without_candidates())
            self._follow(followed, seen[followed.object_id])
        return seen

    def follow_prompt(self, followed: FollowedObject, frame: int) -> SeenMask:
        """Pass over a prompted frame: its mask is what the prompts gave, and the window moves there."""
        seen = followed.prompted[frame]
        self._follow(followed, seen)
        return seen

    def _follow(self, followed: FollowedObject, seen: SeenMask) -> None:
        ys, xs = np.nonzero(seen.logits > 0)
        if len(ys):
            centroid = (seen.offset[0] + float(ys.mean()), seen.offset[1] + float(xs.mean()))
            followed.window = self._window_on(followed, centroid)

    def _window_on(self, followed: FollowedObject, yx: tuple[float, float]) -> Window:
        if self.model.config.object_diameter is None or followed.diameter is None:
            return whole_frame(self.video.shape_yx, self.model.config)
        return around(*yx, followed.diameter, self.model.config)

    def _tracking_window(self, followed: FollowedObject) -> Window:
        return followed.window or whole_frame(self.video.shape_yx, self.model.config)

    def _prompt_window(
        self, followed: FollowedObject, frame: int, prompts: ObjectPrompts, corrected: FrameMask | None
    ) -> Window:
        """Where and at what scale to look: the scale is known already, told by a box or mask, or tried out on a click.

        Centred on the prompts; but on the mask to be corrected if the prompts lie well inside its window, too.
        """
        if self.model.config.object_diameter is None:
            return whole_frame(self.video.shape_yx, self.model.config)
        center, diameter = _extent(prompts)
        if corrected is not None and followed.diameter is not None:
            distance = max(abs(a - b) for a, b in zip(center, corrected.centroid, strict=True))
            window = around(*corrected.centroid, followed.diameter, self.model.config)
            if distance < window.height / 4:
                return window
        if followed.diameter is None:
            followed.diameter = float(
                np.clip(diameter or self._try_diameters(frame, prompts, center), *DIAMETER_LIMITS)
            )
        return around(*center, followed.diameter, self.model.config)

    def _try_diameters(self, frame: int, prompts: ObjectPrompts, center: tuple[float, float]) -> float:
        """Segment at three scales; the diameter of the mask whose predicted IoU is best."""
        config = self.model.config
        windows = [around(*center, d, config) for d in TRIED_DIAMETERS]
        features = self._encode(frame, windows)
        tokens = [self._tokens(prompts, w) for w in windows]
        together = PointTokens(torch.cat([t.xy for t in tokens]), torch.cat([t.labels for t in tokens]))
        prediction = segment(self.model, features, together)
        best, found = -1.0, TRIED_DIAMETERS[1]
        for i, window in enumerate(windows):
            share = float((prediction.logits[i] > 0).float().mean())
            diameter = 2 * window.height * (share / np.pi) ** 0.5
            quality = float(prediction.predicted_iou[i])
            if share > 0 and quality > best:
                best, found = quality, diameter
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

    def _encode(self, frame: int, windows: Sequence[Window]) -> FrameFeatures:
        """Features of the windows; a window is encoded once, one that all objects share for all of them."""
        if len(set(windows)) > 1:
            return encode_frame(self.model, cut(self._pixels(frame), windows))
        features = self._features.get(frame, windows[0])
        if features is None:
            features = encode_frame(self.model, cut(self._pixels(frame), windows[:1]))
            self._features.put(frame, windows[0], features)
        return features

    def _pixels(self, frame: int) -> Tensor:
        if self._frame is None or self._frame[0] != frame:
            pixels = torch.from_numpy(self.video.frame(frame)).permute(2, 0, 1)  # (Y, X, 3) -> (3, Y, X)
            self._frame = (frame, pixels.to(self.model.device))
        return self._frame[1]

    def _seen(self, window: Window, prediction: MaskPrediction) -> SeenMask:
        logits, offset = paste(prediction.logits[0, 0], window, self.video.shape_yx)
        return SeenMask(window, prediction, logits.cpu().numpy(), offset)


def _extent(prompts: ObjectPrompts) -> tuple[tuple[float, float], float | None]:
    """Centre (y, x) of an object by its prompts, and its diameter where they tell it."""
    if prompts.mask is not None:
        ys, xs = np.nonzero(prompts.mask.mask)
        return (float(ys.mean()), float(xs.mean())), 2 * (len(ys) / np.pi) ** 0.5
    if prompts.box is not None:
        box = prompts.box
        center = ((box.y0 + box.y1) / 2, (box.x0 + box.x1) / 2)
        return center, ((box.y1 - box.y0) * (box.x1 - box.x0)) ** 0.5
    points = [p for p in prompts.points if p.positive] or list(prompts.points)
    return (sum(p.y for p in points) / len(points), sum(p.x for p in points) / len(points)), None
