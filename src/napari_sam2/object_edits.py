"""Edits of objects: merge two, split one, swap two from a frame on, end one, take one off a frame. Each is one step.

They work on records. Whatever was tracked from prompts that an object has lost is shown from then on, and not
remembered, unless a mask that became a prompt answers for it.
"""

from dataclasses import replace

import numpy as np

from napari_sam2.confidence import Signs
from napari_sam2.errors import PromptError
from napari_sam2.frame_record import FrameRecord
from napari_sam2.masklets import FrameMask
from napari_sam2.prompts import MAX_OBJECT_ID, MaskPrompt, ObjectPrompts
from napari_sam2.session_objects import SessionObjects
from napari_sam2.tracked_object import TrackedObject

MAX_NAME = 200
"""Of how many characters the name of an object may be."""

_NOTHING = FrameRecord()

Records = dict[int, FrameRecord]
"""What is known of an object, by frame."""


def merge(objects: SessionObjects, into: int, other: int) -> None:
    """See `TrackingSession.merge`."""
    kept, gone = _two(objects, into, other)
    prompted = frozenset(kept.prompts) or frozenset(kept.marks.masks)
    with objects.logs.step("merge"):
        for frame in gone.frames:
            mine, theirs = kept.record(frame), gone.record(frame)
            if theirs.mask is None and (mine.mask is not None or not theirs.is_absent):
                continue
            origin = mine.origin
            if origin is None and frame not in prompted and prompted and theirs.mask is not None:
                origin = (1 if theirs.origin is None else theirs.origin[0]), prompted
            mask = _united(mine.mask, theirs.mask, into)
            is_approved = theirs.is_approved or (mine.is_approved and (mask is None or mine.mask is not None))
            united = replace(mine, mask=mask, is_absent=mask is None, origin=origin, is_approved=is_approved)
            kept.restore(frame, united)
        last, others = objects.ends.get(into), objects.ends.get(other)
        if last is not None and gone.masklet and gone.masklet.frames[-1] >= last:
            objects.ends.pop(into)
            objects.ends |= {} if others is None else {into: others}
        objects.remove(other)


def split(objects: SessionObjects, object_id: int, frame: int) -> int:
    """See `TrackingSession.split`."""
    known, new_id = _one(objects, object_id), objects.next_id
    if new_id > MAX_OBJECT_ID:
        raise PromptError(
            f"the last object ID, {MAX_OBJECT_ID}, was used, so there is none for a new object: choose lower IDs in a "
            "new session"
        )
    before, after = _cut(known, frame)
    was = before | after
    for piece, where in ((before, f"before frame {frame}"), (after, f"from frame {frame} on")):
        if not any(record.mask for record in piece.values()):
            raise PromptError(
                f"object {object_id} has no mask {where}, so there is nothing to split off: name a frame within "
                f"{_span(known)}"
            )
    shape = objects.shape_yx
    after = _settled(_given_to(new_id, after), shape, by_first_mask=True)
    with objects.logs.step("split"):
        _put(objects, known, was, _settled(before, shape))
        _put(objects, objects.new(new_id), {}, _on_scale(was, after))
        if object_id in objects.ends:
            objects.ends[new_id] = objects.ends.pop(object_id)
    return new_id


def swap(objects: SessionObjects, a: int, b: int, frame: int) -> None:
    """See `TrackingSession.swap`."""
    one, two = _two(objects, a, b)
    (one_before, one_after), (two_before, two_after) = _cut(one, frame), _cut(two, frame)
    if not any(record.mask for piece in (one_after, two_after) for record in piece.values()):
        raise PromptError(
            f"neither object {a} nor object {b} has a mask from frame {frame} on, so there is nothing to swap: name an "
            "earlier frame"
        )
    shape = objects.shape_yx
    with objects.logs.step("swap"):
        # What ends is what comes after the frame.
        ends = {i: max(objects.ends[j], frame) for i, j in ((a, b), (b, a)) if j in objects.ends}
        pieces = (one, one_before, one_after, two_after), (two, two_before, two_after, one_after)
        for known, before, gone, after in pieces:
            after = _settled(_given_to(known.object_id, after), shape, by_first_mask=True)
            _put(objects, known, before | gone, _settled(before, shape) | after)
        others = {i: end for i, end in objects.ends.items() if i not in (a, b)}
        objects.ends = others | {i: end for i, end in ends.items() if i in objects}


def end(objects: SessionObjects, object_id: int, frame: int) -> None:
    """See `TrackingSession.end`."""
    known = _one(objects, object_id)
    before, after = _cut(known, frame)
    if not any(record.mask or record.prompts for record in before.values()):
        raise PromptError(
            f"object {object_id} has neither mask nor prompt before frame {frame}, so nothing of it would be left: "
            "remove it, or name a later frame"
        )
    with objects.logs.step("end"):
        objects.logs.touching(known, ())
        _put(objects, known, before | after, _settled(before, objects.shape_yx))
        objects.ends[object_id] = frame


def mark_absent(objects: SessionObjects, object_id: int, frame: int) -> None:
    """See `TrackingSession.mark_absent`."""
    known = _one(objects, object_id)
    if not 0 <= frame < objects.num_frames:
        raise PromptError(f"the movie has no frame {frame}: name one of 0 to {objects.num_frames - 1}")
    was = {t: known.record(t) for t in known.frames}
    rest = {t: record for t, record in was.items() if t != frame}
    if not any(record.mask or record.prompts for record in rest.values()):
        raise PromptError(
            f"object {object_id} has neither mask nor prompt on another frame than {frame}, so nothing of it would be "
            "left: remove it"
        )
    here = was.get(frame, _NOTHING)
    outdated = here.outdated if here.mask is None else frozenset((1, -1) if here.origin is None else here.origin[:1])
    absent = FrameRecord(is_absent=True, is_approved=True, outdated=outdated)
    with objects.logs.step("absence"):
        _put(objects, known, was, _settled(rest, objects.shape_yx) | {frame: absent})


def rename(objects: SessionObjects, object_id: int, name: str) -> None:
    """See `TrackingSession.rename`."""
    known, name = _one(objects, object_id), " ".join(name.split())
    if len(name) > MAX_NAME:
        raise PromptError(
            f"the name {name[:20]!r}... of object {object_id} has {len(name)} characters, expected {MAX_NAME} at most: "
            "give a shorter one"
        )
    if name == objects.names.get(object_id, ""):
        return
    with objects.logs.step("rename"):
        objects.logs.touching(known, ())
        others = {i: other for i, other in objects.names.items() if i != object_id}
        objects.names = others | ({object_id: name} if name else {})


def _one(objects: SessionObjects, object_id: int) -> TrackedObject:
    if object_id not in objects:
        raise PromptError(f"there is no object {object_id}: name one of {sorted(objects)[:20] or 'those to come'}")
    return objects[object_id]


def _two(objects: SessionObjects, a: int, b: int) -> tuple[TrackedObject, TrackedObject]:
    if a == b:
        raise PromptError(f"object {a} was named twice: name two objects")
    return _one(objects, a), _one(objects, b)


def _span(known: TrackedObject) -> str:
    frames = known.masklet.frames
    return f"{frames[0] + 1} to {frames[-1]}" if len(frames) > 1 else "its masks, of which it needs two"


def _cut(known: TrackedObject, frame: int) -> tuple[Records, Records]:
    """What is known of an object before a frame, and from there on."""
    records = {t: known.record(t) for t in known.frames}
    return {t: r for t, r in records.items() if t < frame}, {t: r for t, r in records.items() if t >= frame}


def _given_to(object_id: int, records: Records) -> Records:
    """The same of another object."""

    def given(prompts: ObjectPrompts) -> ObjectPrompts:
        box, mask = prompts.box, prompts.mask
        return ObjectPrompts(
            points=tuple(replace(point, object_id=object_id) for point in prompts.points),
            box=None if box is None else replace(box, object_id=object_id),
            mask=None if mask is None else mask.of_object(object_id),
        )

    return {
        t: replace(
            r,
            prompts=None if r.prompts is None else given(r.prompts),
            answer=None if r.answer is None else replace(r.answer, prompts=given(r.answer.prompts)),
            mask=None if r.mask is None else replace(r.mask, object_id=object_id),
        )
        for t, r in records.items()
    }


def _settled(records: Records, shape_yx: tuple[int, int], *, by_first_mask: bool = False) -> Records:
    """A piece of an object by itself: nothing in it comes from prompts outside of it any more.

    Parameters
    ----------
    by_first_mask
        Whether the first mask becomes a prompt. Otherwise the last one does, but only if the piece has no prompts.
    """
    records, anchor = dict(records), None
    shown = sorted(t for t, record in records.items() if record.mask is not None)
    where = {t for t, record in records.items() if record.prompts is not None and record.prompts.says_where}
    if shown and (by_first_mask or not where):
        anchor = shown[0] if by_first_mask else shown[-1]
        where.add(anchor)
        records[anchor] = _as_prompt(records[anchor], where, shape_yx)
    own = {t for t, r in records.items() if r.is_approved or (r.prompts is not None and where)}
    return {t: _without_strangers(t, record, own, anchor) for t, record in records.items()}


def _as_prompt(record: FrameRecord, own: set[int], shape_yx: tuple[int, int]) -> FrameRecord:
    """The same with its mask as the prompt, unless prompts say by themselves where the object is."""
    prompts, answer, mask = record.prompts, record.answer, record.mask
    if prompts is not None and prompts.says_where and (answer is None or answer.sources <= own):
        return record
    if mask is None:
        raise ValueError("only a mask can become a prompt")
    prompt = MaskPrompt.of_crop(mask.frame, mask.object_id, mask.crop, mask.box[:2], shape_yx)
    return FrameRecord(prompts=ObjectPrompts(mask=prompt), mask=mask, is_approved=record.is_approved)


def _without_strangers(frame: int, record: FrameRecord, own: set[int], anchor: int | None) -> FrameRecord:
    """The same from prompts on frames of its `own` only; the `anchor` answers for the others, if there is one."""
    stands_in = frozenset() if anchor is None else frozenset({anchor})
    origin, answer = record.origin, record.answer
    if origin is not None and not origin[1] <= own:
        record = replace(record, origin=(origin[0], (origin[1] & own) | stands_in) if stands_in else None)
    if record.prompts is not None and frame not in own:
        record = replace(record, prompts=None, answer=None, prompted=None, diameter=None)
    elif answer is not None and not answer.sources <= own and stands_in:
        record = replace(record, answer=replace(answer, sources=(answer.sources & own) | stands_in))
    elif answer is not None and not answer.sources <= own:
        record = replace(record, answer=None, prompted=None, diameter=None)
    return record


def _on_scale(was: Records, records: Records) -> Records:
    """The same, of which one answered frame tells the diameter: what the first of them told, or else what `was` told.

    Where nothing is answered, the first answer will tell it.
    """
    told = sorted(t for t, record in records.items() if record.diameter is not None)
    tellers = told or sorted(t for t, record in records.items() if record.answer is not None)[:1]
    known = (*(records[t] for t in told), *was.values())
    diameter = next((record.diameter for record in known if record.diameter is not None), None)
    if diameter is None or len(told) == 1:
        return records
    return records | {t: replace(records[t], diameter=diameter if t == tellers[0] else None) for t in tellers}


def _put(objects: SessionObjects, known: TrackedObject, was: Records, records: Records) -> None:
    """Let this be all that is known of an object in place of what `was`; one of which nothing is known is removed."""
    records = _on_scale(was, records)
    pairs = ((t, records.get(t, _NOTHING), was.get(t, _NOTHING)) for t in sorted({*was, *records}))
    changed = {t: record for t, record, before in pairs if record is not before}
    # All at once, for the diameter may go from one of them to another.
    objects.logs.touching(known, changed)
    for frame, record in changed.items():
        known.restore(frame, record)
    if known.object_id not in objects:
        objects.put(known)
    elif not known.prompts and not known.masklet:
        objects.remove(known.object_id)
    objects.edits += 1


def _united(mine: FrameMask | None, theirs: FrameMask | None, object_id: int) -> FrameMask | None:
    """Both masks together."""
    if theirs is None or mine is None:
        one = mine or theirs
        return None if one is None else replace(one, object_id=object_id)
    y0, x0 = (min(mine.box[i], theirs.box[i]) for i in (0, 1))
    y1, x1 = (max(mine.box[i], theirs.box[i]) for i in (2, 3))
    full = np.zeros((y1 - y0, x1 - x0), np.uint8)
    for mask in (mine, theirs):
        top, left, bottom, right = (side - origin for side, origin in zip(mask.box, (y0, x0, y0, x0), strict=True))
        full[top:bottom, left:right] |= mask.crop
    score, iou = max(mine.score, theirs.score), min(mine.predicted_iou, theirs.predicted_iou)
    signs = Signs(at_border=mine.signs.at_border or theirs.signs.at_border)
    return FrameMask(mine.frame, object_id, (y0, x0, y1, x1), full > 0, score, iou, signs)
