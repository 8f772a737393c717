"""Any sequence of edits, propagations, undo and redo: what is undone is as it was, and IDs are never used again."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from napari_sam2.errors import PromptError
from napari_sam2.prompts import MaskPrompt
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.video import Video
from test_history import known
from toy_model import ToyModel
from toy_scene import FAST, RADIUS, STILL, click, truth

NUM_FRAMES = 9
frames = st.integers(0, NUM_FRAMES - 1)
discs = st.sampled_from([FAST, STILL])
some = st.integers(0, 50)


class Annotator(RuleBasedStateMachine):
    """Does whatever can be done, and knows the state after each step that can be undone."""

    def __init__(self):
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        toy = ToyModel().install(self.patch)
        video = Video((truth()[:NUM_FRAMES] > 0).astype("float32"), contrast=(0, 1))
        self.session = TrackingSession(video, toy, diameter=2 * RADIUS)
        self.states, self.undone = [known(self.session)], []
        self.used = set()

    def teardown(self):
        self.patch.undo()

    def do(self, work):
        """Do one thing, which may be refused; then the history has one step more, or the last one has grown."""
        before, depth = known(self.session), len(self.session.history._done)
        try:
            work()
        except PromptError:
            # A propagation that meets a prompt without a mask to correct has come as far as it has.
            assert known(self.session) == before or self.session.history.undo_name == "propagation"
        now, grown = known(self.session), len(self.session.history._done) - depth
        assert grown in (0, 1)
        if grown:
            self.states.append(now)
        elif now != before:
            assert self.session.history._done[-1].step.kind == "prompts", "an answer joined the prompts"
            self.states[-1] = now
        if now != before:
            self.undone = []

    def one_of(self, number):
        ids = sorted(self.session.objects)
        return ids[number % len(ids)]

    @initialize(frames=st.tuples(frames, frames), way=st.sampled_from(["forward", "both"]))
    def begin(self, frames, way):
        self.add_object(frames[0], FAST, False)
        self.add_object(frames[1], STILL, False)
        self.propagate(way, 0, NUM_FRAMES)

    @rule(frame=frames, disc=discs, painted=st.booleans())
    def add_object(self, frame, disc, painted):
        new_id = self.session.next_object_id
        assert new_id not in self.used, "IDs are never used again"
        self.used.add(new_id)
        prompt = MaskPrompt(frame, new_id, truth()[frame] == disc) if painted else click(frame, new_id, disc)
        self.do(lambda: self.session.add_prompts(prompt))

    @precondition(lambda self: self.session.objects)
    @rule(number=some, frame=frames, disc=discs, dy=st.integers(-3, 3), positive=st.booleans())
    def add_click(self, number, frame, disc, dy, positive):
        prompt = click(frame, self.one_of(number), disc, dy, positive=positive)
        self.do(lambda: self.session.add_prompts(prompt))

    @precondition(lambda self: self.session.prompts)
    @rule(number=some, to=st.none() | st.tuples(frames, discs))
    def move_prompt(self, number, to):
        prompts = list(self.session.objects.all_prompts())
        gone = prompts.pop(number % len(prompts))
        if to is not None:
            prompts.append(click(to[0], gone.object_id, to[1]))
        self.do(lambda: self.session.set_prompts(prompts))

    @precondition(lambda self: self.session.prompts)
    @rule(number=some)
    def segment(self, number):
        keys = sorted(self.session.prompts)
        object_id, frame = keys[number % len(keys)]
        self.do(lambda: self.session.segment(frame, object_id))

    @precondition(lambda self: self.session.prompts)
    @rule(way=st.sampled_from(["forward", "backward", "both"]), first=frames, count=st.integers(1, 2 * NUM_FRAMES))
    def propagate(self, way, first, count):
        def work():
            for done, _ in enumerate(self.session.propagate(way, first=min(first, 3), last=first + 5), start=1):
                if done == count:
                    break

        self.do(work)

    @precondition(lambda self: len(self.session.objects) > 1)
    @rule(a=some, b=some)
    def merge(self, a, b):
        self.do(lambda: self.session.merge(self.one_of(a), self.one_of(b)))

    @precondition(lambda self: len(self.session.objects) > 1)
    @rule(a=some, b=some, frame=frames)
    def swap(self, a, b, frame):
        self.do(lambda: self.session.swap(self.one_of(a), self.one_of(b), frame))

    @precondition(lambda self: self.session.objects)
    @rule(number=some, frame=frames)
    def split(self, number, frame):
        new = []
        self.do(lambda: new.append(self.session.split(self.one_of(number), frame)))
        assert not self.used & set(new), "IDs are never used again"
        self.used.update(new)

    @precondition(lambda self: self.session.objects)
    @rule(number=some, frame=frames)
    def end(self, number, frame):
        self.do(lambda: self.session.end(self.one_of(number), frame))

    @precondition(lambda self: self.session.objects)
    @rule(number=some, frame=frames)
    def mark_absent(self, number, frame):
        object_id = self.one_of(number)
        self.do(lambda: self.session.mark_absent(object_id, frame))

    @precondition(lambda self: len(self.session.objects) > 1)
    @rule(number=some, parent=st.none() | some)
    def set_parent(self, number, parent):
        self.do(lambda: self.session.set_parent(self.one_of(number), None if parent is None else self.one_of(parent)))

    @precondition(lambda self: len(self.session.objects) > 1)
    @rule(a=some, b=some, frame=frames)
    def merge_and_divide(self, a, b, frame):
        self.merge(a, b)
        new = []
        self.do(lambda: new.extend(self.session.divide(self.one_of(a), frame)))
        assert not self.used & set(new), "IDs are never used again"
        self.used.update(new)

    @precondition(lambda self: self.session.objects)
    @rule(number=some)
    def remove(self, number):
        self.do(lambda: self.session.remove_object(self.one_of(number)))

    @precondition(lambda self: any(self.session.masklets.values()))
    @rule(number=some, of=some, count=st.integers(1, 3), back=st.booleans(), absent=st.booleans())
    def approve(self, number, of, count, back, absent):
        ids = sorted(i for i, masklet in self.session.masklets.items() if masklet)
        object_id = ids[number % len(ids)]
        shown = [t for t in range(NUM_FRAMES) if self.session.can_approve(object_id, t)]
        shown = [t for t in shown if (t not in self.session.masklets[object_id]) == absent] or shown
        chosen = shown[of % len(shown) :][:count]
        self.do(lambda: (self.session.disapprove if back else self.session.approve)(object_id, chosen))

    @precondition(lambda self: self.session.changed_ids)
    @rule(count=st.integers(1, 2 * NUM_FRAMES))
    def update(self, count):
        fixed = {(i, t): one.masklet[t] for i, one in self.session.objects.items() for t in one.marks.masks}

        def work():
            for done, _ in enumerate(self.session.update(), start=1):
                if done == count:
                    return
            assert not self.session.changed_ids, "all that could change has changed"

        self.do(work)
        assert all(self.session.masklets[i][t] == mask for (i, t), mask in fixed.items())

    @invariant()
    def nothing_is_remembered_that_came_from_prompts_that_are_gone(self):
        for object_id, one in self.session.objects.items():
            everything = (
                one,
                one.masklet,
                *one.masklet.values(),
                *(p for g in one.prompts.values() for p in g.in_order),
            )
            assert {each.object_id for each in everything} == {object_id}
            own = one.prompts.keys() | one.marks.approved
            assert one.prompts or one.masklet
            assert set(one.followed.bank.prompted) <= one.prompts.keys() | one.marks.masks
            assert one.marks.masks == {t for t in one.marks.approved if t in one.masklet}
            assert all(one.masklet.is_absent(t) for t in one.marks.absences)
            for record in map(one.record, one.frames):
                assert record.origin is None or record.origin[1] <= own
                assert record.answer is None or record.answer.sources <= own

    @invariant()
    def the_lineage_is_one_of_objects_that_there_are_and_has_no_cycle(self):
        parents = self.session.parents
        assert {*parents, *parents.values()} <= set(self.session.objects)
        for object_id in parents:
            seen = [object_id]
            while seen[-1] in parents:
                seen.append(parents[seen[-1]])
                assert len(seen) == len(set(seen))

    @precondition(lambda self: self.session.can_undo)
    @rule(count=st.integers(1, 5))
    def undo(self, count):
        for _ in range(min(count, len(self.states) - 1)):
            assert self.session.can_undo
            self.session.undo()
            self.undone.append(self.states.pop())
            assert known(self.session) == self.states[-1]
        assert self.session.can_undo == (len(self.states) > 1)

    @precondition(lambda self: self.undone)
    @rule(count=st.integers(1, 5))
    def redo(self, count):
        for _ in range(min(count, len(self.undone))):
            assert self.session.can_redo
            self.session.redo()
            self.states.append(self.undone.pop())
            assert known(self.session) == self.states[-1]
        assert self.session.can_redo == bool(self.undone)


Annotator.TestCase.settings = settings(
    max_examples=settings().max_examples // 2, stateful_step_count=25, suppress_health_check=list(HealthCheck)
)


def test_row42_undo_gives_back_what_was_redo_brings_it_again_and_ids_are_never_used_again():
    Annotator.TestCase("runTest").runTest()
