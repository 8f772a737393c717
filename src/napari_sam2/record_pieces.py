"""What is known of a piece of an object, once it is cut off: records that stand by themselves.

Whatever was tracked from prompts that the piece has lost is shown from then on, and not remembered, unless a mask that
became a prompt answers for it.
"""

from dataclasses import replace

from napari_sam2.frame_record import FrameRecord
from napari_sam2.prompts import MaskPrompt, ObjectPrompts
from napari_sam2.tracked_object import TrackedObject

Records = dict[int, FrameRecord]
"""What is known of an object, by frame."""


def cut(known: TrackedObject, frame: int) -> tuple[Records, Records]:
    """What is known of an object before a frame, and from there on."""
    records = {t: known.record(t) for t in known.frames}
    return {t: r for t, r in records.items() if t < frame}, {t: r for t, r in records.items() if t >= frame}


def given_to(object_id: int, records: Records) -> Records:
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


def settled(records: Records, shape_yx: tuple[int, int], *, by_first_mask: bool = False) -> Records:
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
        records[anchor] = as_prompt(records[anchor], where, shape_yx)
    own = {t for t, r in records.items() if r.is_approved or (r.prompts is not None and where)}
    return {t: _without_strangers(t, record, own, anchor) for t, record in records.items()}


def as_prompt(record: FrameRecord, own: set[int], shape_yx: tuple[int, int]) -> FrameRecord:
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


def on_scale(was: Records, records: Records) -> Records:
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
