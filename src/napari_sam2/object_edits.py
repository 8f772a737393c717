"""Edits of objects: merge, split, swap, end and divide them, take one off a frame, name it. Each is one step.

They work on records; see `record_pieces` for what becomes of masks whose prompts went elsewhere.
"""

from dataclasses import replace

import numpy as np

from napari_sam2 import lineage
from napari_sam2.cleaning import label_pieces
from napari_sam2.confidence import Signs
from napari_sam2.errors import PromptError
from napari_sam2.frame_record import FrameRecord
from napari_sam2.masklets import FrameMask
from napari_sam2.prompts import MAX_OBJECT_ID
from napari_sam2.record_pieces import Records, as_prompt, cut, given_to, on_scale, settled
from napari_sam2.session_objects import SessionObjects
from napari_sam2.tracked_object import TrackedObject

MAX_NAME = 200
"""Of how many characters the name of an object may be."""

SPECK = 0.1
"""Pieces of less than this part of a mask are no daughters of a cell."""

_NOTHING = FrameRecord()


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
        ends = dict(objects.facts.ends)
        last = ends.pop(into, None)
        if last is not None and gone.masklet and gone.masklet.frames[-1] >= last:
            objects.say(ends=ends | ({into: ends[other]} if other in ends else {}))
        objects.say(parents=lineage.merged(objects.facts.parents, into, other))
        objects.remove(other)


def split(objects: SessionObjects, object_id: int, frame: int) -> int:
    """See `TrackingSession.split`."""
    known, (new_id,) = _one(objects, object_id), _new_ids(objects, 1)
    before, after = cut(known, frame)
    was = before | after
    for piece, where in ((before, f"before frame {frame}"), (after, f"from frame {frame} on")):
        if not any(record.mask for record in piece.values()):
            raise PromptError(
                f"object {object_id} has no mask {where}, so there is nothing to split off: name a frame within "
                f"{_span(known)}"
            )
    shape = objects.shape_yx
    after = settled(given_to(new_id, after), shape, by_first_mask=True)
    with objects.logs.step("split"):
        _put(objects, known, was, settled(before, shape))
        _put(objects, objects.new(new_id), {}, on_scale(was, after))
        ends = dict(objects.facts.ends)
        if object_id in ends:
            ends[new_id] = ends.pop(object_id)
        later = _children_from(objects, object_id, frame)
        objects.say(ends=ends, parents=lineage.handed_on(objects.facts.parents, later, new_id))
    return new_id


def swap(objects: SessionObjects, a: int, b: int, frame: int) -> None:
    """See `TrackingSession.swap`."""
    one, two = _two(objects, a, b)
    (one_before, one_after), (two_before, two_after) = cut(one, frame), cut(two, frame)
    if not any(record.mask for piece in (one_after, two_after) for record in piece.values()):
        raise PromptError(
            f"neither object {a} nor object {b} has a mask from frame {frame} on, so there is nothing to swap: name an "
            "earlier frame"
        )
    shape = objects.shape_yx
    with objects.logs.step("swap"):
        later = {a: _children_from(objects, b, frame), b: _children_from(objects, a, frame)}
        if _first(one) >= frame and _first(two) >= frame:
            objects.say(parents=lineage.exchanged(objects.facts.parents, a, b))
            later = {}
        # What ends is what comes after the frame.
        was = objects.facts.ends
        ends = {i: max(was[j], frame) for i, j in ((a, b), (b, a)) if j in was}
        pieces = (one, one_before, one_after, two_after), (two, two_before, two_after, one_after)
        for known, before, gone, after in pieces:
            after = settled(given_to(known.object_id, after), shape, by_first_mask=True)
            _put(objects, known, before | gone, settled(before, shape) | after)
        others = {i: end for i, end in objects.facts.ends.items() if i not in (a, b)}
        objects.say(ends=others | {i: end for i, end in ends.items() if i in objects})
        for parent, child_ids in later.items():
            if parent in objects:
                objects.say(parents=lineage.handed_on(objects.facts.parents, child_ids, parent))


def end(objects: SessionObjects, object_id: int, frame: int) -> None:
    """See `TrackingSession.end`."""
    known = _one(objects, object_id)
    before, after = cut(known, frame)
    left = settled(before, objects.shape_yx)
    if not any(record.mask or record.prompts for record in left.values()):
        raise PromptError(
            f"object {object_id} has neither mask nor prompt before frame {frame}, so nothing of it would be left: "
            "remove it, or name a later frame"
        )
    with objects.logs.step("end"):
        objects.logs.touching(known, ())
        _put(objects, known, before | after, left)
        objects.say(ends={**objects.facts.ends, object_id: frame})


def divide(objects: SessionObjects, object_id: int, frame: int) -> tuple[int, ...]:
    """See `TrackingSession.divide`."""
    known = _one(objects, object_id)
    mask = known.masklet.get(frame)
    pieces = [] if mask is None else _pieces(mask)
    if mask is None or len(pieces) < 2:
        raise PromptError(
            f"object {object_id} has {'no mask' if mask is None else 'its mask in one piece'} on frame {frame}, so it "
            "does not say what it divides into: name a frame on which the mask is in two pieces; or click the children "
            "as new objects, and say whose they are with `set_parent`"
        )
    new_ids = _new_ids(objects, len(pieces))
    with objects.logs.step("divide"):
        end(objects, object_id, frame)
        for new_id, piece in zip(new_ids, pieces, strict=True):
            record = FrameRecord(mask=replace(piece, object_id=new_id))
            _put(objects, objects.new(new_id), {}, {frame: as_prompt(record, set(), objects.shape_yx)})
        objects.say(parents={**objects.facts.parents, **dict.fromkeys(new_ids, object_id)})
    return new_ids


def set_parent(objects: SessionObjects, object_id: int, parent: int | None) -> None:
    """See `TrackingSession.set_parent`."""
    known, parents = _one(objects, object_id), objects.facts.parents
    if parent is not None:
        _two(objects, object_id, parent)
        if object_id in lineage.ancestors(parents, parent):
            raise PromptError(
                f"object {parent} descends from object {object_id}, so it cannot be its parent: take away the parent "
                f"of object {parent} first"
            )
    if parent == parents.get(object_id):
        return
    with objects.logs.step("parent"):
        objects.logs.touching(known, ())
        others = {child: of for child, of in parents.items() if child != object_id}
        objects.say(parents=others if parent is None else others | {object_id: parent})


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
        _put(objects, known, was, settled(rest, objects.shape_yx) | {frame: absent})


def rename(objects: SessionObjects, object_id: int, name: str) -> None:
    """See `TrackingSession.rename`."""
    known, name = _one(objects, object_id), " ".join(name.split())
    if len(name) > MAX_NAME:
        raise PromptError(
            f"the name {name[:20]!r}... of object {object_id} has {len(name)} characters, expected {MAX_NAME} at most: "
            "give a shorter one"
        )
    if name == objects.facts.names.get(object_id, ""):
        return
    with objects.logs.step("rename"):
        objects.logs.touching(known, ())
        others = {i: other for i, other in objects.facts.names.items() if i != object_id}
        objects.say(names=others | ({object_id: name} if name else {}))


def _one(objects: SessionObjects, object_id: int) -> TrackedObject:
    if object_id not in objects:
        raise PromptError(f"there is no object {object_id}: name one of {sorted(objects)[:20] or 'those to come'}")
    return objects[object_id]


def _two(objects: SessionObjects, a: int, b: int) -> tuple[TrackedObject, TrackedObject]:
    if a == b:
        raise PromptError(f"object {a} was named twice: name two objects")
    return _one(objects, a), _one(objects, b)


def _new_ids(objects: SessionObjects, count: int) -> tuple[int, ...]:
    """So many IDs that were never used."""
    new_ids = tuple(range(objects.next_id, objects.next_id + count))
    if new_ids[-1] > MAX_OBJECT_ID:
        raise PromptError(
            f"the last object IDs, up to {MAX_OBJECT_ID}, were used, so there are none for new objects: choose lower "
            "IDs in a new session"
        )
    return new_ids


def _children_from(objects: SessionObjects, parent: int, frame: int) -> list[int]:
    """Those of an object's children that first show up on a frame or later."""
    return [i for i in lineage.children(objects.facts.parents, parent) if _first(objects[i]) >= frame]


def _first(known: TrackedObject) -> int:
    """The first frame on which an object has a mask or prompts."""
    return min((*known.masklet.frames[:1], *known.prompts), default=0)


def _pieces(mask: FrameMask) -> list[FrameMask]:
    """The connected pieces of a mask that are no specks, the largest first."""
    numbers, areas = label_pieces(mask.crop)
    large = [i for i in np.argsort(-areas[1:], kind="stable") + 1 if areas[i] >= SPECK * mask.area]
    crops = (
        FrameMask.from_full(
            numbers == i,
            frame=mask.frame,
            object_id=mask.object_id,
            score=mask.score,
            predicted_iou=mask.predicted_iou,
            offset=(mask.box[0], mask.box[1]),
        )
        for i in large
    )
    return [piece for piece in crops if piece is not None]


def _span(known: TrackedObject) -> str:
    frames = known.masklet.frames
    return f"{frames[0] + 1} to {frames[-1]}" if len(frames) > 1 else "its masks, of which it needs two"


def _put(objects: SessionObjects, known: TrackedObject, was: Records, records: Records) -> None:
    """Let this be all that is known of an object in place of what `was`; one of which nothing is known is removed."""
    records = on_scale(was, records)
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
