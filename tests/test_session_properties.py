"""Any sequence of what a session offers keeps its promises; with a stand-in for the network that traces memories.

Each answer to prompts has a number, each memory carries the numbers of the answers that it came from, through however
many frames. No memory may come from prompts that are no more.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2.errors import PromptError
from napari_sam2.prompts import BoxPrompt, MaskPrompt, ObjectPrompts
from napari_sam2.propagation import Follower
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.video import Video
from sam2_torch.outputs import FrameMemory
from toy_model import ToyModel
from toy_scene import FAST, RADIUS, STILL, STILL_YX, click, discs, fast_yx, truth

NUM_FRAMES, IDS = 9, (1, 5)
Origin = frozenset[int]


class TracingToy(ToyModel):
    """Follows discs, and memories tell where they come from."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[tuple[int, int, ObjectPrompts]] = []
        """By number: object ID, frame, prompts."""
        self.origins: list[Origin] = [frozenset()]
        self.masks: dict[tuple[int, int], Origin] = {}
        """By object ID and frame: what the mask that was tracked there came from."""

    def install(self, monkeypatch: pytest.MonkeyPatch) -> "TracingToy":
        super().install(monkeypatch)
        segment, rebuild, remember = Follower.segment, Follower.rebuild, Follower.remember

        def noting_the_prompts(follower, followed, frame, prompts, **kwargs):
            self.answers.append((followed.object_id, frame, prompts))
            self.masks.pop((followed.object_id, frame), None)
            logged = len(self.log)
            seen = segment(follower, followed, frame, prompts, **kwargs)
            del self.log[logged:]
            return seen

        def from_tracked_masks(follower, followed, masks, **kwargs):
            rebuild(follower, followed, masks, **kwargs)
            for mask in masks:
                assert (followed.object_id, mask.frame) in self.masks, "only tracked masks are remembered as such"
                number = self.number_of(self.masks[followed.object_id, mask.frame])
                recent = followed.bank.recent
                if mask.frame in recent:
                    recent[mask.frame] = marked(recent[mask.frame], torch.tensor([[float(number)]]))

        def noting_the_origins(follower, frame, sightings, won):
            doubtful = remember(follower, frame, sightings, won)
            for followed in (sighting.followed for sighting in sightings):
                if followed.object_id in doubtful:
                    assert frame not in followed.bank.recent
                    self.masks.pop((followed.object_id, frame), None)
                else:
                    self.masks[followed.object_id, frame] = self.origin_of(followed.bank.recent[frame])
            return doubtful

        monkeypatch.setattr(Follower, "segment", noting_the_prompts)
        monkeypatch.setattr(Follower, "rebuild", from_tracked_masks)
        monkeypatch.setattr(Follower, "remember", noting_the_origins)
        return self

    def number_of(self, origin: Origin) -> int:
        if origin not in self.origins:
            self.origins.append(origin)
        return self.origins.index(origin)

    def origin_of(self, memory: FrameMemory) -> Origin:
        return self.origins[int(memory.pointer[0, 0])]

    def segment(self, model, features, prompt, *, memories=None, previous_logits=None, **kwargs):
        answer = super().segment(model, features, prompt, memories=memories, previous_logits=previous_logits, **kwargs)
        origin = frozenset([len(self.answers) - 1])
        if memories is not None:
            origin |= self.looked_at(memories, 0)
        answer.pointer[:] = self.number_of(origin)
        return answer

    def track(self, model, features, memories, **kwargs):
        answer = super().track(model, features, memories, **kwargs)
        for i in range(len(answer.pointer)):
            answer.pointer[i] = self.number_of(self.looked_at(memories, i))
        return answer

    def memorize(self, model, features, prediction, *, prompted, **kwargs):
        memory = super().memorize(model, features, prediction, prompted=prompted, **kwargs)
        return marked(memory, prediction.pointer[:, :1])

    def looked_at(self, memories, row: int) -> Origin:
        numbers = [f[row, 1, 0, 0] for f in memories.features] + [p[row, 0] for p in memories.pointers]
        return frozenset().union(*(self.origins[int(n)] for n in numbers))


def marked(memory: FrameMemory, numbers: torch.Tensor) -> FrameMemory:
    """The memory with the numbers of origins (N, 1): in the pointer, and beside the number of the frame.

    Prompts ahead are looked at without their pointers.
    """
    features = memory.features
    if features is not None:
        features = torch.cat(
            [features[:, :1], numbers[:, :, None, None].expand(-1, -1, 2, 2).to(features.dtype)], dim=1
        )
    return FrameMemory(features, numbers.expand(-1, 4).clone())


@dataclass(frozen=True)
class Step:
    """Something done to a session; `what` is for the eye."""

    what: str
    do: Callable[["Bench"], None]

    def __repr__(self) -> str:
        return self.what


class Bench:
    """A session, the propagations that are under way, and what must be true of them at any time."""

    def __init__(self, toy: TracingToy) -> None:
        self.toy, self.running = toy, []
        self.session = TrackingSession(movie(), toy, diameter=2 * RADIUS)

    def prompts(self):
        return list(self.session.objects.all_prompts())

    def advance(self, frames) -> bool:
        before = self.session.object_ids
        try:
            result = next(frames)
        except StopIteration:
            return False
        assert before == self.session.object_ids
        for mask in result.masks:
            assert self.session.masklets[mask.object_id][result.frame] == mask, "what is shown is what is kept"
        for object_id in (*result.absent, *result.empty):
            assert result.frame not in self.session.masklets[object_id]
        assert all(result.frame in self.session.masklets[i].absent for i in result.absent)
        named = [*(mask.object_id for mask in result.masks), *result.absent, *result.empty]
        assert len(set(named)) == len(named)
        assert set(named) <= set(before)
        return True

    def check(self) -> None:
        session = self.session
        assert set(session.masklets) >= set(session.object_ids)
        for object_id, known in session._objects.items():
            assert known.prompts or known.masklet, "an object that nothing is known of is forgotten"
            assert not set(known.masklet.frames) & set(known.masklet.absent)
            bank, rules = known.followed.bank, known.followed.bank.rules
            assert set(bank.prompted) <= set(known.prompts)
            assert len(bank.recent) <= 2 * (rules.max_pointers - 1)
            assert sum(m.features is not None for m in bank.recent.values()) <= 2 * (rules.num_memories - 1)
            for frame, memory in {**bank.prompted, **bank.recent}.items():
                for number in self.toy.origin_of(memory):
                    self.check_alive(object_id, frame, *self.toy.answers[number])
        for t in range(NUM_FRAMES):
            shown = set(np.unique(session.labels(t))) - {0}
            assert shown <= {i for i, masklet in session.masklets.items() if t in masklet}

    def check_alive(self, remembering: int, at: int, object_id: int, frame: int, answered: ObjectPrompts) -> None:
        now = self.session.prompts.get((object_id, frame))
        alive = now is not None and (now == answered or now.extends(answered))
        assert object_id == remembering
        assert alive, (
            f"object {object_id} remembers of frame {at} what came from {answered} on frame {frame}; now {now}"
        )


def movie() -> Video:
    return Video((truth()[:NUM_FRAMES] > 0).astype(np.float32), contrast=(0, 1))


def frame_and_id(draw):
    return draw(st.integers(0, NUM_FRAMES - 1)), draw(st.sampled_from(IDS))


@st.composite
def prompt(draw):
    frame, object_id = frame_and_id(draw)
    disc = draw(st.sampled_from([FAST, STILL]))
    kind = draw(st.sampled_from(["click", "click", "negative", "box", "mask"]))
    if kind == "box":
        y, x = STILL_YX if disc == STILL else fast_yx(frame)
        return BoxPrompt(frame, object_id, y - RADIUS, x - RADIUS, y + RADIUS, x + RADIUS)
    if kind == "mask":
        return MaskPrompt(frame, object_id, truth()[frame] == disc)
    return click(frame, object_id, disc, dy=draw(st.integers(-3, 3)), positive=kind == "click")


@st.composite
def step(draw):
    what = draw(
        st.sampled_from(
            ["add", "add", "add and segment", "add and segment", "segment", "take back", "remove", "clear"]
            + ["propagate"] * 4
            + ["begin", "go on", "go on"]
        )
    )
    if what.startswith("add"):
        new = draw(prompt())

        def do(bench):
            bench.session.add_prompts(new)
            if what == "add and segment":
                bench.session.segment(new.frame, new.object_id)

        return Step(f"{what} {new if not isinstance(new, MaskPrompt) else (new.frame, new.object_id, 'mask')}", do)
    if what == "segment":
        frame, object_id = frame_and_id(draw)
        return Step(f"segment {frame, object_id}", lambda bench: bench.session.segment(frame, object_id))
    if what == "take back":
        place = draw(st.integers(0, 9))

        def take_back(bench):
            left = bench.prompts()
            if left:
                del left[place % len(left)]
                bench.session.set_prompts(left)

        return Step(f"take back {place}", take_back)
    if what == "remove":
        object_id = draw(st.sampled_from(IDS))
        return Step(f"remove {object_id}", lambda bench: bench.session.remove_object(object_id))
    if what == "clear":
        return Step("clear", lambda bench: bench.session.set_prompts([]))
    direction = draw(st.sampled_from(["forward", "backward", "both"]))
    first, last = sorted((draw(st.integers(0, NUM_FRAMES - 1)), draw(st.integers(0, NUM_FRAMES - 1))))
    if what == "propagate":
        stop = draw(st.integers(1, 2 * NUM_FRAMES))

        def propagate(bench):
            frames = bench.session.propagate(direction, first=first, last=last)
            for _ in range(stop):
                if not bench.advance(frames):
                    break

        return Step(f"propagate {direction} {first}-{last}, {stop} frames", propagate)
    if what == "begin":
        begin = lambda bench: bench.running.append(bench.session.propagate(direction, first=first, last=last))  # noqa: E731
        return Step(f"begin {direction} {first}-{last}", begin)
    count = draw(st.integers(1, 4))

    def go_on(bench):
        for _ in range(count):
            bench.running = [frames for frames in bench.running if bench.advance(frames)]

    return Step(f"go on {count}", go_on)


def finish(session, toy):
    """Both ways through the whole movie; what is found, and what was looked at on the way (but for corrections)."""
    toy.log.clear()
    if session.object_ids:
        for _ in session.propagate("both"):
            pass
    looked_at = [entry for entry in toy.log if entry[0] == "track"]
    return {i: (discs(session, i), session.masklets[i].absent) for i in session.object_ids}, looked_at


@settings(max_examples=settings().max_examples // 3)  # each takes a quarter of a second
@given(steps=st.lists(step(), min_size=2, max_size=9))
def test_any_sequence_of_operations_keeps_what_is_promised(steps):
    with pytest.MonkeyPatch.context() as monkeypatch:
        toy = TracingToy().install(monkeypatch)
        bench = Bench(toy)
        for one in steps:
            try:
                one.do(bench)
            except PromptError as error:
                assert re.search(r"no prompt|only negative|Nothing to follow", str(error)), error
            bench.check()
        found, looked_at = finish(bench.session, toy)
        bench.check()
        fresh = Bench(toy)
        fresh.session.set_prompts(bench.prompts())
        assert fresh.session.prompts == bench.session.prompts
        found_anew, looked_at_anew = finish(fresh.session, toy)
        if all(group.says_where for group in fresh.session.prompts.values()):
            # Prompts that only correct are answered on the way in a new session, and may stand already in a used one.
            assert found == found_anew
            assert looked_at == looked_at_anew
