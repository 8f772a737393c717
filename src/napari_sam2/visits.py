"""What happens when objects are followed to a frame."""

from collections.abc import Mapping, Sequence

from napari_sam2.frame_result import FrameResult
from napari_sam2.masklets import FrameMask
from napari_sam2.overlaps import SeenMask, lost_shares, resolve_overlaps
from napari_sam2.propagation import Follower
from napari_sam2.tracked_object import TrackedObject


def visit(
    follower: Follower, frame: int, active: Sequence[TrackedObject], step: int, standing: Mapping[int, SeenMask]
) -> FrameResult:
    """Follow the active objects to a frame in a direction (1 or -1), and keep what comes of it.

    Parameters
    ----------
    standing
        By object ID, masks of others on the frame, which keep their pixels.
    """
    for known in active:
        known.arrive(frame, step)
    given = {known.object_id for known in active if known.is_given(frame)}
    tracked = follower.track(frame, [o.followed for o in active if o.object_id not in given], step)
    seen = {object_id: sighting.seen for object_id, sighting in tracked.items()}
    seen |= {known.object_id: known.show_given(frame) for known in active if known.object_id in given}
    everybody = {**standing, **seen}
    won = resolve_overlaps(everybody, follower.video.shape_yx) if follower.cleaning.separate else {}
    lost = lost_shares(everybody, won)
    doubtful = follower.remember(frame, tracked.values(), won)
    masks: list[FrameMask] = []
    absent: list[int] = []
    empty: list[int] = []
    for known in active:
        i = known.object_id
        if frame in known.marks.approved:
            mask = known.masklet.get(frame)
        else:
            came = None if i in given else step
            mask = known.keep(frame, seen[i], won.get(i), step=came, lost=lost.get(i, (0, None)))
        known.leave(frame, step)
        if mask is not None:
            masks.append(mask)
        else:
            (absent if seen[i].is_absent else empty).append(i)
    return FrameResult(frame, tuple(masks), tuple(absent), tuple(empty), doubtful)
