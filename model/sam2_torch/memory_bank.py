"""The memory bank: which frames an object remembers, and which of them a frame may look at."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sam2_torch.config import SAM2Config
from sam2_torch.outputs import FrameMemory

FORWARD, BACKWARD = 1, -1


@dataclass(frozen=True, slots=True)
class MemoryRules:
    """How far memory reaches.

    Attributes
    ----------
    num_memories
        Frame memories that the model was trained to attend to: prompted ones, and `num_memories - 1` recent frames.
    max_recent
        At most so many recent frames, the nearest ones; None: `num_memories - 1`, as the original does.
    max_pointers
        Pointers of recent frames reach back `max_pointers - 1` frames, which is also what time distances are
        divided by. The original takes min(16, length of the movie); a stream has no length and takes 16.
    max_prompted
        At most so many prompted frames, the closest ones; None: all, as the original does.
    restart_at_prompts
        Whether a prompted frame hides the recent frames before it from those after it, for an object that a prompt
        brought back from another one; False, as the original does. (`clear_non_cond_mem_around_input`)
    anchors, anchor_every
        How many frames that are recent no more are kept to be looked at like prompted ones, the latest of those at
        least so many frames apart; none in the original.
    """

    num_memories: int = 7
    max_recent: int | None = None
    max_pointers: int = 16
    max_prompted: int | None = None
    restart_at_prompts: bool = False
    anchors: int = 0
    anchor_every: int = 10

    @classmethod
    def of(cls, config: SAM2Config) -> "MemoryRules":
        """The rules a model was trained with."""
        return cls(config.num_memories, max_pointers=config.max_pointers)

    @property
    def num_recent(self) -> int:
        """How many frames back the features of a recent frame are looked at."""
        return self.num_memories - 1 if self.max_recent is None else min(self.max_recent, self.num_memories - 1)


@dataclass(frozen=True, slots=True)
class MemorySelection:
    """What N objects look at on one frame; all have the same number of memories and pointers.

    Attributes
    ----------
    features : S tensors (N, C_m, h, w)
    steps : (N, S) int
        0 for a prompted frame, else how many frames before the current one counted from the oldest place
        (`num_memories - 1` is the frame just before).
    pointers : P tensors (N, C)
    distances : (N, P) float
        Signed distance in frames, positive into the past of the direction of travel.
    max_distance
        What distances are divided by.
    """

    features: tuple[Tensor, ...]
    steps: Tensor
    pointers: tuple[Tensor, ...]
    distances: Tensor
    max_distance: int

    @property
    def layout(self) -> tuple[int, ...]:
        """Selections of equal layout can be stacked into one batch."""
        return len(self.pointers), *(side for memory in self.features for side in memory.shape[2:])

    def to(self, device: torch.device) -> "MemorySelection":
        """The same on a device."""
        return replace(
            self,
            features=tuple(f.to(device) for f in self.features),
            steps=self.steps.to(device),
            pointers=tuple(p.to(device) for p in self.pointers),
            distances=self.distances.to(device),
        )


def stack_selections(selections: Sequence[MemorySelection]) -> MemorySelection:
    """One batch from selections of equal layout, objects in the order given."""
    if len(selections) == 1:
        return selections[0]
    first = selections[0]
    return MemorySelection(
        features=tuple(torch.cat(f) for f in zip(*(s.features for s in selections), strict=True)),
        steps=torch.cat([s.steps for s in selections]),
        pointers=tuple(torch.cat(p) for p in zip(*(s.pointers for s in selections), strict=True)),
        distances=torch.cat([s.distances for s in selections]),
        max_distance=first.max_distance,
    )


class MemoryBank:
    """The memories of one object (or of a batch of objects that share their prompted frames).

    Invariant: besides prompted frames and anchors it holds no memory features further than `num_recent - 1` frames
    and no pointer further than `max_pointers - 2` frames from the frame added last, which is all the next frame can
    read in the direction of travel, and what `turn` can read; so its size does not depend on the length of the movie.

    Attributes
    ----------
    prompted, recent, anchors
        By frame.
    turn
        The frame at which the object will be taken up again to go the other way, if there is one.
    """

    def __init__(self, rules: MemoryRules) -> None:
        self.rules = rules
        self.prompted: dict[int, FrameMemory] = {}
        self.recent: dict[int, FrameMemory] = {}
        self.anchors: dict[int, FrameMemory] = {}
        self.turn: int | None = None

    def __len__(self) -> int:
        return len(self.prompted) + len(self.recent)

    def add(self, frame: int, memory: FrameMemory, *, prompted: bool) -> None:
        """Remember a frame; a prompted frame replaces what was tracked there and is kept until forgotten."""
        if prompted:
            self.recent.pop(frame, None)
            self.prompted[frame] = memory
            return
        self.recent[frame] = memory
        self.prune(frame)

    def skip(self, frame: int) -> None:
        """Pass a frame without remembering it."""
        self.recent.pop(frame, None)
        self.prune(frame)

    def restore(self, frame: int, memory: FrameMemory) -> None:
        """Put back a recent memory without forgetting another; `prune` when all are back."""
        self.recent[frame] = memory

    def prune(self, frame: int) -> None:
        """Forget what cannot be read any more after `frame`, the last one."""
        for t in list(self.recent):
            distance = abs(t - frame) + 1
            if self.turn is not None:
                distance = min(distance, abs(t - self.turn))
            if distance >= self.rules.max_pointers:
                del self.recent[t]
            elif distance > self.rules.num_recent:
                self._anchor(t)
                self.recent[t] = self.recent[t].pointer_only()

    def _anchor(self, frame: int) -> None:
        """Keep a frame that is recent no more, if it is time for an anchor again."""
        far = all(abs(frame - t) >= self.rules.anchor_every for t in (*self.anchors, *self.prompted))
        if self.rules.anchors and far and self.recent[frame].features is not None:
            self.anchors[frame] = self.recent[frame]
            if len(self.anchors) > self.rules.anchors:
                del self.anchors[next(iter(self.anchors))]

    def forget(self, *frames: int) -> None:
        """Drop everything remembered of some frames."""
        for frame in frames:
            for kind in (self.prompted, self.recent, self.anchors):
                kind.pop(frame, None)

    def clear_recent(self) -> None:
        """Keep prompted frames only."""
        self.recent.clear()
        self.anchors.clear()

    def missing(self, frame: int, direction: int) -> list[int]:
        """Frames that `select` would read if they were there, far to near; prompted ones left out."""
        candidates = [frame - direction * distance for distance in range(self._reach(frame, direction), 0, -1)]
        return [t for t in candidates if t not in self.prompted and not self._serves(t, frame)]

    def reads_features(self, of: int, frame: int) -> bool:
        """Whether `frame` looks at the features of another frame, or at most at its pointer."""
        return abs(frame - of) <= self.rules.num_recent

    def _reach(self, frame: int, direction: int) -> int:
        """How many frames back recent memories are looked at."""
        if self.rules.restart_at_prompts:
            passed = [direction * (frame - t) for t in self.prompted if direction * (frame - t) > 0]
            return min([*passed, self.rules.max_pointers]) - 1
        return self.rules.max_pointers - 1

    def _serves(self, t: int, frame: int) -> bool:
        return t in self.recent and (self.recent[t].features is not None or not self.reads_features(t, frame))

    def select(self, frame: int, direction: int = FORWARD) -> MemorySelection | None:
        """What `frame` looks at when travelling in `direction` (1 or -1); None when nothing is prompted.

        Frame memories: prompted frames in order, past and future, then recent frames from far to near. Pointers:
        prompted frames that are not in the future, then recent frames from near to far.
        (`_prepare_memory_conditioned_features`)
        """
        if not self.prompted:
            return None
        chosen = self._closest_prompted(frame, direction)
        spare = {t: m for t, m in self.prompted.items() if t not in chosen}
        reach = self._reach(frame, direction)

        def recent(distance: int) -> FrameMemory | None:
            t = frame - direction * distance
            return spare.get(t) or (self.recent.get(t) if distance <= reach else None)

        spatial = [(0, self.prompted[t].features) for t in chosen]
        spatial += [(0, m.features) for t, m in self.anchors.items() if not self.reads_features(t, frame)]
        for distance in range(self.rules.num_recent, 0, -1):
            memory = recent(distance)
            if memory is not None:
                spatial.append((self.rules.num_memories - distance, memory.features))
        pointers = [(direction * (frame - t), self.prompted[t].pointer) for t in chosen if direction * (frame - t) >= 0]
        for distance in range(1, self.rules.max_pointers):
            memory = recent(distance)
            if memory is not None:
                pointers.append((distance, memory.pointer))
        return self._selection(spatial, pointers)

    def _selection(
        self, spatial: list[tuple[int, Tensor | None]], pointers: list[tuple[int, Tensor]]
    ) -> MemorySelection:
        readable = [(step, f) for step, f in spatial if f is not None]
        count, device = len(readable[0][1]), readable[0][1].device
        return MemorySelection(
            features=tuple(f for _, f in readable),
            steps=torch.tensor([[s for s, _ in readable]], device=device).expand(count, -1),
            pointers=tuple(p for _, p in pointers),
            distances=torch.tensor([[float(d) for d, _ in pointers]], device=device).expand(count, -1),
            max_distance=self.rules.max_pointers - 1,
        )

    def _closest_prompted(self, frame: int, direction: int) -> list[int]:
        """At most `max_prompted` prompted frames: the closest passed already, the closest ahead, then the nearest.

        (`select_closest_cond_frames`, which is the same in both directions and needs a limit of two or more.)
        """
        limit = self.rules.max_prompted
        frames = sorted(self.prompted)
        if limit is None or len(frames) <= limit:
            return frames
        passed = [t for t in frames if direction * (frame - t) > 0]
        nearest = sorted(frames, key=lambda t: abs(t - frame))
        ahead = [t for t in nearest if t not in passed]
        first = [t for t in nearest if t in passed][:1] + ahead[:1]
        return (first + [t for t in nearest if t not in first])[:limit]
