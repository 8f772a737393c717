"""Who listens to a session can take back what happened."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from napari_sam2.errors import SessionError
from napari_sam2.prompts import PointPrompt
from toy_model import ToyModel
from toy_scene import FAST, STILL, STILL_YX, click, open_scene
from toy_session import shown


class Undo:
    """Keeps what was there before each step, and puts it back."""

    def __init__(self, session):
        self.session, self.steps, self.records, self.gone = session, [], {}, []
        session.logs.add(self)

    def begin(self, step):
        self.records, self.gone = {}, []
        self.steps.append((step, self.records, self.gone, set(self.session.objects)))

    def touching(self, known, frames):
        for frame in frames:
            if (known.object_id, frame) not in self.records:
                self.records[known.object_id, frame] = known, known.record(frame)

    def removing(self, known):
        self.gone.append(known)

    def end(self, step):
        pass

    def close(self):
        pass

    def undo(self):
        session = self.session
        session.logs.remove(self)
        step, records, gone, ids = self.steps.pop()
        with session.logs.step("undo"):
            for known in gone:
                session.objects.put(known)
            for (_, frame), (known, record) in records.items():
                known.restore(frame, record)
            for object_id in set(session.objects) - ids:
                session.remove_object(object_id)
        session.logs.add(self)
        return step


@pytest.fixture
def session(monkeypatch):
    return open_scene(ToyModel().install(monkeypatch), hidden=range(20, 23))


def everything(session):
    names = ("prompts", "answer", "mask", "is_absent", "origin", "is_doubtful", "diameter")
    found = {}
    for i, known in session.objects.items():
        for t in known.frames:
            record = known.record(t)
            found[i, t] = {name: getattr(record, name) for name in names}
    return found


def steps(session):
    session.add_prompts(click(0, 1, FAST), click(2, 2, STILL))
    session.segment(0, 1)
    list(session.propagate("both", last=24))
    session.add_prompts(click(6, 1, FAST, 4), PointPrompt(8, 2, STILL_YX[0] + 40, STILL_YX[1], positive=False))
    session.segment(6, 1)
    list(session.propagate("forward", last=10))
    session.set_prompts([click(0, 1, STILL), click(3, 5, FAST)])
    session.remove_object(1)
    session.set_prompts([])


def test_every_step_can_be_taken_back_by_the_records_of_what_it_touched(session):
    undo, states = Undo(session), []
    real = undo.begin
    undo.begin = lambda step: (real(step), states.append((everything(session), dict(session.prompts))))
    steps(session)
    kinds = [step.kind for step, *_ in undo.steps]
    assert [k for k in kinds if k != "frame"] == [
        "prompts",
        "segment",
        "prompts",
        "segment",
        "prompts",
        "remove",
        "prompts",
    ]
    assert any(record["is_absent"] for record in states[-1][0].values()), "the movie hides the objects on some frames"
    while undo.steps:
        undo.undo()
        assert (everything(session), session.prompts) == states.pop()
    assert session.masklets == {}


def test_after_taking_back_a_propagation_gives_what_it_gave(session):
    undo = Undo(session)
    session.add_prompts(click(0, 1, FAST), click(2, 2, STILL))
    list(session.propagate("both", last=12))
    before = shown(session)[1]
    count = len(undo.steps)
    session.add_prompts(click(6, 1, STILL))
    list(session.propagate("both", last=12))
    assert shown(session)[1] != before
    while len(undo.steps) > count:
        undo.undo()
    assert shown(session)[1] == before
    list(session.propagate("both", last=12))
    assert shown(session)[1] == before


def test_a_listener_can_refuse_a_step_before_anything_has_changed(session):
    class Refusing(Undo):
        def begin(self, step):
            raise ValueError(f"no {step.kind}")

    session.add_prompts(click(0, 1, FAST))
    before = shown(session)
    Refusing(session)
    with pytest.raises(ValueError, match="no prompts"):
        session.set_prompts([])
    with pytest.raises(ValueError, match="no frame"):
        next(session.propagate("forward"))
    assert shown(session) == before


def test_steps_within_a_step_are_one_and_all_ends_are_told_in_spite_of_errors(session):
    told = []

    class Telling(Undo):
        def begin(self, step):
            told.append(("begin", step.kind))

        def end(self, step):
            told.append(("end", step.kind))
            raise KeyError(step.kind)

    Telling(session), Telling(session)
    with pytest.raises(KeyError), session.logs.step("everything"):
        session.add_prompts(click(0, 1, FAST))
    assert told == [("begin", "everything")] * 2 + [("end", "everything")] * 2
    told.clear()
    with pytest.raises(KeyError):
        session.segment(0, 1)
    assert told[0] == ("begin", "segment"), "the step before has ended"


def test_a_step_of_one_thread_is_no_place_for_another(session):
    session.add_prompts(click(0, 1, STILL))
    with ThreadPoolExecutor(1) as other, session.one_step():
        session.rename(1, "mother")
        with pytest.raises(SessionError, match=r"Another thread changes this session .* wait until it is done"):
            other.submit(session.rename, 1, "daughter").result()
    assert session.names == {1: "mother"}
    session.undo()
    assert session.names == {}
