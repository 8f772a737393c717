"""Where an object is looked for, and at what scale."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from napari_sam2.followed_object import FollowedObject, center_of
from napari_sam2.frame_encoder import FrameEncoder
from napari_sam2.prompts import MaskPrompt, ObjectPrompts
from napari_sam2.video import Video
from sam2_torch.network import SAM2
from sam2_torch.outputs import PointTokens
from sam2_torch.prompt_encoder import BOX_FIRST, BOX_LAST, NEGATIVE, POSITIVE
from sam2_torch.video_predictor import segment
from sam2_torch.windows import STRIDE, Window, around, common_diameter, whole_frame

TRIED_DIAMETERS = (16.0, 32.0, 64.0)
DIAMETER_LIMITS = (6.0, 400.0)
CERTAIN = 0.85
"""A mask of at least this quality, predicted IoU times the chance that the object is there, is looked at no further."""


class _Tried(NamedTuple):
    """What one scale shows: the quality of the mask, -1 for none, and its diameter in source pixels."""

    quality: float
    diameter: float


class WindowChoice:
    """Chooses windows for one model on one movie: the whole frame, or a window at a scale that suits the object.

    Parameters
    ----------
    tokens
        Side of the window, an even number; by default that of the model.
    """

    def __init__(
        self, video: Video, model: SAM2, encoder: FrameEncoder, *, diameter: float | None, tokens: int | None = None
    ) -> None:
        self.video = video
        self.model = model
        self.diameter = diameter
        self._encoder = encoder
        self._tokens = tokens or model.config.window_tokens

    def whole_frame(self) -> Window:
        """All there is, as models are shown it that have no preferred size of object."""
        return whole_frame(self.video.shape_yx, self.model.config)

    def on(self, followed: FollowedObject, yx: tuple[float, float], *, wide: bool = False) -> Window:
        """A window about (y, x), source pixels, as the object is usually looked at; or a wider one."""
        if self.model.config.object_diameter is None or followed.diameter is None:
            return self.whole_frame()
        return self._around(yx, followed.diameter, wide=wide)

    def _around(self, yx: tuple[float, float], diameter: float, *, wide: bool = False) -> Window:
        config = self.model.config
        tokens = min(config.image_size // STRIDE, 2 * self._tokens) if wide else self._tokens
        return around(*yx, diameter, config, shape_yx=self.video.shape_yx, tokens=tokens)

    def common(self, diameter: float) -> float:
        """A diameter that objects of about the same size have in common, so that a frame is encoded at few scales."""
        return common_diameter(float(np.clip(diameter, *DIAMETER_LIMITS)), self.model.config)

    def holds(self, window: Window, prompts: ObjectPrompts) -> bool:
        """Whether the window is all there is, or points and the middle of a box are in its middle half."""
        if self.model.config.object_diameter is None:
            return True
        y, x = center_of(window)
        places = [(p.y, p.x) for p in prompts.points]
        if prompts.box is not None:
            places.append(prompts.box.center)
        near = all(abs(py - y) <= window.height / 4 and abs(px - x) <= window.width / 4 for py, px in places)
        return near and prompts.mask is None

    def for_prompts(
        self, followed: FollowedObject, frame: int, prompts: ObjectPrompts, near: tuple[float, float] | None
    ) -> Window:
        """Where and at what scale to look: centred on the prompts, or on the mask near by that they correct."""
        if self.model.config.object_diameter is None:
            return self.whole_frame()
        center, told = _extent(prompts)
        if self.diameter is None:
            self._measure(followed, frame, prompts, center, told)
        if near is not None and self.holds(window := self.on(followed, near), prompts):
            return window
        return self.on(followed, center)

    def of_painted(self, mask: MaskPrompt) -> Window:
        """Where an object of which nothing else is known is looked at for its mask."""
        if self.model.config.object_diameter is None:
            return self.whole_frame()
        center, told = _extent(ObjectPrompts(mask=mask))
        return self._around(center, self.diameter or self.common(told or DIAMETER_LIMITS[0]))

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
        is_told_anew = known is None or followed.diameter_from == frame
        if told is not None and (is_told_anew or not 1 / 1.5 < told / (known or told) < 1.5):
            known = told
        elif is_told_anew:
            known = self._try_diameters(frame, prompts, center)
        else:
            return
        followed.diameter = self.common(known)
        followed.diameter_from = frame

    def _try_diameters(self, frame: int, prompts: ObjectPrompts, center: tuple[float, float]) -> float:
        """The diameter of what is under the first positive click, seen at three scales; at one, if that is certain."""
        where = replace(prompts, points=tuple(p for p in prompts.points if p.positive)[:1] or prompts.points)
        below, middle, above = TRIED_DIAMETERS
        (sure,) = self._tried(frame, where, [self._around(center, middle)])
        if sure.quality >= CERTAIN and below < sure.diameter < above:
            return sure.diameter
        others = self._tried(frame, where, [self._around(center, d) for d in (below, above)])
        best = max((others[0], sure, others[1]), key=lambda found: found.quality)
        return best.diameter if best.quality >= 0 else middle

    def _tried(self, frame: int, where: ObjectPrompts, windows: Sequence[Window]) -> list[_Tried]:
        """What is found in each of some windows of one size."""
        features = self._encoder.encode(frame, windows)
        tokens = [prompt_tokens(where, w, self.model.device) for w in windows]
        together = PointTokens(torch.cat([t.xy for t in tokens]), torch.cat([t.labels for t in tokens]))
        prediction = segment(self.model, features, together)
        found = []
        for i, window in enumerate(windows):
            share = float((prediction.logits[i] > 0).float().mean())
            quality = float(prediction.predicted_iou[i] * prediction.object_score[i].sigmoid())
            found.append(_Tried(quality if share > 0 else -1.0, 2 * window.height * (share / np.pi) ** 0.5))
        return found


def prompt_tokens(prompts: ObjectPrompts, window: Window, device: torch.device) -> PointTokens:
    """Clicks and boxes of one object as the network takes them in a window."""
    xy: list[tuple[float, float]] = []
    labels: list[int] = []
    if prompts.box is not None:
        box = prompts.box
        xy += [window.to_model(box.y0, box.x0), window.to_model(box.y1, box.x1)]
        labels += [BOX_FIRST, BOX_LAST]
    for point in prompts.points:
        xy.append(window.to_model(point.y, point.x))
        labels.append(POSITIVE if point.positive else NEGATIVE)
    return PointTokens(torch.tensor([xy], dtype=torch.float32, device=device), torch.tensor([labels], device=device))


def _extent(prompts: ObjectPrompts) -> tuple[tuple[float, float], float | None]:
    """Centre (y, x) of an object by its prompts, and its diameter where they tell it."""
    if prompts.mask is not None:
        (y, x), (ys, xs) = prompts.mask.offset, np.nonzero(prompts.mask.crop)
        return (y + float(ys.mean()), x + float(xs.mean())), 2 * (len(ys) / np.pi) ** 0.5
    if prompts.box is not None:
        box = prompts.box
        return box.center, ((box.y1 - box.y0) * (box.x1 - box.x0)) ** 0.5
    points = [p for p in prompts.points if p.positive] or list(prompts.points)
    return (sum(p.y for p in points) / len(points), sum(p.x for p in points) / len(points)), None
