"""Encoding, while nobody waits for anything, what clicks that may come would need."""

from collections.abc import Collection, Iterator

from napari_sam2.propagation import Follower
from napari_sam2.session_objects import SessionObjects


def look_ahead(follower: Follower, objects: SessionObjects, frame: int, first: Collection[int]) -> Iterator[int]:
    """See `TrackingSession.look_ahead`."""
    frames = [t for t in (frame, frame + 1, frame - 1) if 0 <= t < follower.video.num_frames]
    ids = [*(i for i in first if i in objects), *sorted(set(objects).difference(first))]
    follower.encoder.leave_ahead(but=frames)
    follower.encoder.read_ahead(frame)
    yield frame
    if not ids:
        # Models for whole frames need no object to know what they will be shown.
        followed = follower.new_object(0)
        yield from (t for t in frames if follower.look_ahead(t, followed, None))
    for t in frames:
        for object_id in ids:
            known = objects.get(object_id)
            if known is None:
                continue
            mask = known.masklet.get(t)
            made = follower.look_ahead(t, known.followed, None if mask is None else mask.centroid)
            if made is not None:
                yield t
            if made is False:
                return
    follower.encoder.read_ahead(frame)
