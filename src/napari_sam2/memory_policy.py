"""Which tracked frames an object may remember: the rules that keep a mistake from being believed for ever."""

import math
from dataclasses import dataclass, replace

from napari_sam2.errors import PromptError
from napari_sam2.overlaps import SeenMask


@dataclass(frozen=True, slots=True)
class MemoryPolicy:
    """When a tracked frame is remembered; prompted ones always are.

    A frame that is not remembered leaves the memories there were, and is named for review.

    Attributes
    ----------
    min_score
        Object score (a logit) above which the object counts as seen.
    min_iou
        Predicted IoU, 0 to 1, from which on a mask is good enough.
    competes
        Whether objects settle whose pixels are whose before they remember, not only before they are shown.
    max_jump
        How far the centroid may move from one frame to the next, in diameters of the object's last mask; None: any way.
    max_change
        By how many times the area may grow or shrink from one frame to the next; None: any.
    max_recent
        At most so many recent frames are looked at, the nearest ones, which makes frames faster and objects smaller;
        None: as many as the model was trained with.
    anchors
        So many good frames long ago are remembered beside the recent ones; each costs as much as one of these.
    anchor_every
        Frames between two anchors, at least.

    Raises
    ------
    PromptError
        If `max_recent` is negative.
    """

    min_score: float = -math.inf
    min_iou: float = 0.0
    competes: bool = False
    max_jump: float | None = None
    max_change: float | None = None
    max_recent: int | None = None
    anchors: int = 0
    anchor_every: int = 10

    def __post_init__(self) -> None:
        if self.max_recent is not None and self.max_recent < 0:
            raise PromptError(f"max_recent is {self.max_recent}, expected 0 or more; leave it out to use all there are")

    def trusts(self, seen: SeenMask, last: SeenMask | None) -> bool:
        """Whether a mask may be remembered, after the `last` one that was, if there is one."""
        if seen.score <= self.min_score or seen.predicted_iou < self.min_iou:
            return False
        if last is None or seen.area == 0 or last.area == 0:
            return True
        if self.max_change is not None and not 1 / self.max_change <= seen.area / last.area <= self.max_change:
            return False
        if self.max_jump is None:
            return True
        jump = math.dist(seen.centroid or (0, 0), last.centroid or (0, 0))
        return jump <= self.max_jump * 2 * math.sqrt(last.area / math.pi)


ORIGINAL = MemoryPolicy()
"""As SAM 2 does: every tracked frame is remembered."""

CELLS = MemoryPolicy(competes=True, max_recent=3)
"""For many alike objects; which rules it has is what an ablation said, see docs/benchmarks.md."""

POLICIES = {"original": ORIGINAL, "cells": CELLS}


def find_policy(name: str | MemoryPolicy, *, max_recent: int | None = None) -> MemoryPolicy:
    """A policy by name, or the one given; with another `max_recent`, if there is one.

    Raises
    ------
    PromptError
        If there is none of that name, or `max_recent` is negative.
    """
    if isinstance(name, MemoryPolicy):
        return name if max_recent is None else replace(name, max_recent=max_recent)
    if name not in POLICIES:
        raise PromptError(f"there is no memory policy {name!r}; choose from: {', '.join(POLICIES)}")
    return find_policy(POLICIES[name], max_recent=max_recent)
