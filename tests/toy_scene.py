"""A movie of two bright discs, one fast and one still, and sessions on it with the stand-in network."""

from functools import cache

import numpy as np

from napari_sam2.masklets import FrameMask
from napari_sam2.memory_policy import MemoryPolicy
from napari_sam2.prompts import PointPrompt
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.video import Video
from toy_model import ToyModel

NUM_FRAMES, HEIGHT, WIDTH, RADIUS = 48, 256, 420, 13
FAST, STILL = 1, 2
STILL_YX = (190, 330)


def fast_yx(t: int) -> tuple[int, int]:
    """Where the fast disc is: 28 px a frame to the right, and back."""
    return 60, 40 + 28 * (t % 12 if (t // 12) % 2 == 0 else 11 - t % 12)


@cache
def truth() -> np.ndarray:
    """(T, Y, X) labels: 1 the fast disc, 2 the still one."""
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    labels = np.zeros((NUM_FRAMES, HEIGHT, WIDTH), np.uint8)
    for t in range(NUM_FRAMES):
        for label, (y, x) in ((FAST, fast_yx(t)), (STILL, STILL_YX)):
            labels[t][np.hypot(ys - y, xs - x) < RADIUS] = label
    labels.flags.writeable = False
    return labels


ALL_RECENT = MemoryPolicy(competes=True)


def open_scene(toy: ToyModel, *, hidden: range = range(0), **settings) -> TrackingSession:
    """A session on the movie, in which nothing is to be seen on the `hidden` frames; it looks at all recent ones."""
    frames = (truth() > 0).astype(np.float32)
    frames[hidden.start : hidden.stop] = 0
    return TrackingSession(
        Video(frames, contrast=(0, 1)), toy, **{"diameter": 2 * RADIUS, "memory_policy": ALL_RECENT} | settings
    )


def click(frame: int, object_id: int, disc: int, dy: float = 0, *, positive: bool = True) -> PointPrompt:
    """A click on a disc, so many pixels below its middle."""
    y, x = STILL_YX if disc == STILL else fast_yx(frame)
    return PointPrompt(frame, object_id, y + dy, x, positive)


def iou(mask: FrameMask | None, true: np.ndarray) -> float:
    if mask is None:
        return 0
    full = np.zeros(true.shape, np.uint8)
    mask.paint(full, 1)
    return (full.astype(bool) & true).sum() / (full.astype(bool) | true).sum()


def discs(session: TrackingSession, object_id: int = 1) -> dict[int, int]:
    """By frame, which disc an object's mask is on; 0 if on none."""
    found = {}
    for t, mask in session.masklets[object_id].items():
        found[t] = next((disc for disc in (FAST, STILL) if iou(mask, truth()[t] == disc) > 0.8), 0)
    return found


def run(session: TrackingSession, *args, **kwargs) -> list[int]:
    return [result.frame for result in session.propagate(*args, **kwargs)]


def stored(session: TrackingSession) -> dict[int, dict[int, FrameMask]]:
    """All masks, to compare with those of another time or session."""
    return {object_id: dict(masklet) for object_id, masklet in session.masklets.items() if masklet}
