"""One step of a session as what was there before it and after it, small enough to keep many of them."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.frame_record import FrameRecord
from napari_sam2.masklets import FrameMask
from napari_sam2.object_facts import ObjectFacts
from napari_sam2.prompts import BoxPrompt, MaskPrompt, ObjectPrompts
from napari_sam2.session_log import Step

if TYPE_CHECKING:
    from napari_sam2.runs import Run
    from napari_sam2.session_objects import SessionObjects
    from napari_sam2.tracked_object import TrackedObject

_WORDS = {
    "segment": "answer for",
    "accept": "mask of",
    "remove": "removal of",
    "rename": "name of",
    "parent": "parent of",
    "divide": "division of",
    "approve": "approval of",
    "disapprove": "disapproval of",
    "undo": "change of",
}
_NOTHING_BYTES, _RECORD_BYTES = 64, 500
"""About what a record takes of which nothing is known, and another one without its arrays."""


class KeptRecord:
    """A record whose mask is packed to a bit a pixel."""

    __slots__ = ("_bits", "_mask", "record")

    def __init__(self, record: FrameRecord) -> None:
        mask = record.mask
        self._bits = None if mask is None else np.packbits(mask.crop).tobytes()
        self._mask = (
            None if mask is None else (mask.frame, mask.object_id, mask.box, mask.score, mask.predicted_iou, mask.signs)
        )
        # Spelt out, as `dataclasses.replace` takes several times as long.
        self.record = (
            record
            if mask is None
            else FrameRecord(
                prompts=record.prompts,
                answer=record.answer,
                prompted=record.prompted,
                diameter=record.diameter,
                origin=record.origin,
                is_doubtful=record.is_doubtful,
                is_approved=record.is_approved,
                outdated=record.outdated,
            )
        )

    @classmethod
    def of(cls, record: FrameRecord) -> "KeptRecord":
        """Pack it; those of which nothing is known share one."""
        is_shown = record.mask is not None or record.is_absent or record.is_approved
        is_known = is_shown or record.prompts or record.origin or record.is_doubtful or record.outdated
        return cls(record) if is_known else NOTHING

    def unpacked(self) -> FrameRecord:
        """The record as it was."""
        if self._mask is None or self._bits is None:
            return self.record
        frame, object_id, box, score, predicted_iou, signs = self._mask
        height, width = box[2] - box[0], box[3] - box[1]
        crop = np.unpackbits(np.frombuffer(self._bits, np.uint8), count=height * width).view(np.bool_)
        mask = FrameMask(frame, object_id, box, crop.reshape(height, width), score, predicted_iou, signs)
        return replace(self.record, mask=mask)

    @property
    def nbytes(self) -> int:
        """About how many bytes it takes; what it shares with other records counts in each."""
        if self is NOTHING:
            return _NOTHING_BYTES
        size = _RECORD_BYTES + (0 if self._bits is None else len(self._bits))
        prompts, prompted = self.record.prompts, self.record.prompted
        if prompts is not None and prompts.mask is not None:
            size += prompts.mask.crop.nbytes
        if prompted is not None:
            size += prompted.prediction.logits.nbytes + prompted.prediction.pointer.nbytes
        return size


NOTHING = KeptRecord(FrameRecord())
Records = dict["TrackedObject", dict[int, KeptRecord]]


@dataclass(slots=True, eq=False)
class Moment:
    """What there was at one moment, of that which a step changes.

    Attributes
    ----------
    objects
        By ID, those that came or went in the step; None where there was none.
    records
        By object and frame, of those that the step may change.
    """

    facts: ObjectFacts
    run: "Run | None"
    objects: "dict[int, TrackedObject | None]" = field(default_factory=dict)
    records: Records = field(default_factory=dict)

    def apply(self, objects: "SessionObjects") -> None:
        """Let the objects be again what they were; `run` is left to the caller."""
        for object_id, known in self.objects.items():
            if objects.get(object_id) is not known:
                objects.remove(object_id)
                if known is not None:
                    objects.put(known)
        for known, records in self.records.items():
            if objects.get(known.object_id) is known:
                objects.logs.touching(known, records.keys())
                for frame, kept in records.items():
                    known.restore(frame, kept.unpacked())
        objects.facts = self.facts
        objects.edits += 1

    @property
    def nbytes(self) -> int:
        """About how many bytes it takes."""
        records = sum(kept.nbytes for at in self.records.values() for kept in at.values())
        return records + sum(known.masklet.nbytes for known in self.objects.values() if known is not None)


class Change:
    """One thing that can be undone.

    Attributes
    ----------
    step
        As its first step was told of.
    before, after
        The latter only while it is undone.
    name
        In words, to follow "Undo".
    nbytes
        About how many bytes it takes.
    is_lost
        Whether it took more than there was room for, so that it cannot be undone.
    """

    def __init__(self, step: Step, objects: "SessionObjects", run: "Run | None") -> None:
        self.step = step
        self.before = Moment(objects.facts, run)
        self.after: Moment | None = None
        self.name = ""
        self.nbytes = 1000
        self.is_lost = False
        # All objects that there were, while the first step goes on.
        self._there: Mapping[int, TrackedObject] | None = objects.known

    def keep(self, known: "TrackedObject", frames: Collection[int]) -> None:
        """Keep what is known of an object on some frames, unless that is done or the object is new."""
        if self._there is not None and self._there.get(known.object_id) is not known:
            return
        records = self.before.records.setdefault(known, {})
        for frame in frames:
            if frame not in records:
                kept = records[frame] = KeptRecord.of(known.record(frame))
                self.nbytes += kept.nbytes

    def settle(self, objects: "SessionObjects", run: "Run | None") -> bool:
        """End the first step, and find its name; returns whether anything is other now than it was before."""
        there, now, before = self._there or {}, objects.known, self.before
        if there is not now:
            before.objects = {i: there.get(i) for i in {*there, *now} if there.get(i) is not now.get(i)}
        self._there = None
        self.nbytes += sum(known.masklet.nbytes for known in before.objects.values() if known is not None)
        self.name = self._describe(objects)
        if before.objects or (objects.facts, run) != (before.facts, before.run):
            return True
        pairs = ((kept, known.record(t)) for known, at in before.records.items() for t, kept in at.items())
        return any(not _same(kept.unpacked(), record) for kept, record in pairs)

    def join(self, answer: "Change") -> bool:
        """Make the answer to prompts that were given here a part of this; returns False if it is to others."""
        if self.step.kind != "prompts" or answer.step.kind not in ("segment", "accept"):
            return False
        mine = self.before.records
        news = [known for known in answer.before.records if self._is_new(known)]
        if not all(known in news or answer.step.frame in mine.get(known, {}) for known in answer.before.records):
            return False
        for known, records in answer.before.records.items():
            if known not in news:
                mine[known] = records | mine[known]
                self.nbytes += answer.nbytes
        return True

    def keep_after(self, objects: "SessionObjects", run: "Run | None") -> None:
        """Keep what is there now, so that it can be done again."""
        there = {i: objects.get(i) for i in self.before.objects}
        self.after = Moment(objects.facts, run, there)
        for known, records in self.before.records.items():
            if objects.get(known.object_id) is known:
                self.after.records[known] = {frame: KeptRecord.of(known.record(frame)) for frame in records}
        self.nbytes += self.after.nbytes

    def forget_after(self) -> None:
        """Drop it: it is there again."""
        self.nbytes -= 0 if self.after is None else self.after.nbytes
        self.after = None

    def lose(self) -> None:
        """Drop everything."""
        self.before, self.after, self.is_lost = Moment(ObjectFacts(), None), None, True

    def _is_new(self, known: "TrackedObject") -> bool:
        return known.object_id in self.before.objects and self.before.objects[known.object_id] is not known

    def _describe(self, now: "Mapping[int, TrackedObject]") -> str:
        """The step in words."""
        kind, frame = self.step.kind, self.step.frame
        ids = sorted({known.object_id for known in self.before.records} | self.before.objects.keys())
        if kind == "frame":
            return "propagation"
        if kind == "everything":
            return f"everything on frame {frame}"
        if kind == "prompts":
            return _describe_prompts(list(self._changed_prompts(now)))
        return f"{_WORDS.get(kind, f'{kind} of')} {_name(ids)}"

    def _changed_prompts(
        self, now: "Mapping[int, TrackedObject]"
    ) -> Iterator[tuple[int, ObjectPrompts | None, ObjectPrompts | None]]:
        for i in self.before.objects.keys() & now.keys():
            yield from ((i, None, prompts) for prompts in now[i].prompts.values())
        for known, records in self.before.records.items():
            for frame, kept in records.items():
                old, new = kept.record.prompts, known.prompts.get(frame)
                if old != new:
                    yield known.object_id, old, new


def _describe_prompts(changed: list[tuple[int, ObjectPrompts | None, ObjectPrompts | None]]) -> str:
    ids = sorted({object_id for object_id, *_ in changed})
    if len(changed) == 1:
        _, old, new = changed[0]
        added = [p for p in (() if new is None else new.in_order) if old is None or p not in old.in_order]
        lost = old is not None and (new is None or any(p not in new.in_order for p in old.points))
        if len(added) == 1 and not lost:
            kind = {BoxPrompt: "box", MaskPrompt: "painted mask"}.get(type(added[0]), "click")
            return f"{kind} on {_name(ids)}"
    return f"prompts of {_name(ids)}"


def _name(ids: list[int]) -> str:
    if len(ids) > 3:
        return f"{len(ids)} objects"
    *others, last = map(str, ids) if ids else ("",)
    return f"objects {', '.join(others)} and {last}" if others else f"object {last}"


def _same(one: FrameRecord, other: FrameRecord) -> bool:
    names = ("prompts", "answer", "diameter", "mask", "is_absent", "origin", "is_doubtful", "is_approved", "outdated")
    return one.prompted is other.prompted and all(getattr(one, n) == getattr(other, n) for n in names)
