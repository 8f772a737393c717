"""The mosaic: which parts of a frame are encoded, so that many windows are cut from features made once.

All windows of one scale lie on one grid of tokens (`around`). They are covered by regions, each encoded in one pass,
such that each window lies within one region whole: nothing is put together along a seam. Where windows are scattered
each gets a region of its own; where they are dense, one region serves them all.
"""

from collections.abc import Sequence
from itertools import accumulate

from sam2_torch.outputs import FrameFeatures
from sam2_torch.windows import STRIDE, Window

CONTEXT = 2
"""Tokens that a region reaches beyond its windows; nearer to its border, features know of the border."""
MAX_SIDE = 128
"""Largest side of a region in tokens."""
_PASS = 64
"""What a pass of its own costs, in tokens of area."""
_PHASE = 2
"""Regions begin and end on every second token, as the trunk's coarsest stage has half as many."""

Box = tuple[int, int, int, int]
"""Top, left, bottom, right in tokens, half-open."""


def scale_of(window: Window) -> int | None:
    """Source pixels a token; None if that is no whole number, not alike in y and x, or the window is off the grid."""
    p = window.height * STRIDE // window.size[0]
    lies = (window.height * STRIDE, window.width * STRIDE) == (p * window.size[0], p * window.size[1])
    return p if p and lies and window.y0 % p == 0 == window.x0 % p else None


def cut_from(features: FrameFeatures, region: Window, window: Window) -> FrameFeatures | None:
    """Features of a window from those of a region; None if it does not lie within."""
    if region == window:
        return features
    p = scale_of(window)
    if p is None or scale_of(region) != p:
        return None
    top, left = (window.y0 - region.y0) // p, (window.x0 - region.x0) // p
    grid = window.size[0] // STRIDE, window.size[1] // STRIDE
    if top < 0 or left < 0 or top + grid[0] > features.grid[0] or left + grid[1] > features.grid[1]:
        return None
    return features.cut(top, left, grid)


def cover(
    windows: Sequence[Window],
    shape_yx: tuple[int, int],
    *,
    context: int = CONTEXT,
    max_side: int = MAX_SIDE,
    side: int | None = None,
) -> list[Window]:
    """Regions that hold all windows, with `context` tokens around where the frame goes on, at little cost.

    The windows are parted again and again along the longer side of what they span, at the widest gap or else in the
    middle; on the way back, parts are put together where one region costs no more than the two.

    Parameters
    ----------
    windows
        Of one scale; those that are on no grid of tokens become regions as they are.
    shape_yx
        Of the frame.
    max_side
        In tokens; a region is larger only for a single window that is.
    side
        In tokens, of every region: for a trunk that knows where in its image it is, and how large that is. Windows that
        fit into one region together share it; one for which a region leaves no room is a region itself.
    """
    p = scale_of(windows[0]) if windows else None
    if p is None:
        return list(dict.fromkeys(windows))
    if side is not None:
        alone = [window for window in dict.fromkeys(windows) if max(window.size) > (side - _PHASE) * STRIDE]
        if alone:
            rest = [window for window in windows if window not in alone]
            return alone + cover(rest, shape_yx, context=context, max_side=max_side, side=side)
        context = min(context, (side - _PHASE - max(max(window.size) for window in windows) // STRIDE) // 2)
    limits = -(-shape_yx[0] // p), -(-shape_yx[1] // p)
    boxes = sorted({_box(window, p, context, limits) for window in windows})
    spans = _cover(boxes, max_side if side is None else side, 0 if side is None else side * side)
    if side is not None:
        spans = [_grown(span, side, limits) for span in spans]
    return [
        Window(y0 * p, x0 * p, (y1 - y0) * p, (x1 - x0) * p, ((y1 - y0) * STRIDE, (x1 - x0) * STRIDE))
        for y0, x0, y1, x1 in spans
    ]


def _grown(box: Box, side: int, limits: tuple[int, int]) -> Box:
    """A box of the side given around one that is at most as large, within the frame if that is large enough."""
    first = []
    for start, stop, end in zip(box[:2], box[2:], limits, strict=True):
        middle = start - (side - (stop - start)) // 2
        inside = min(max(0, middle), max(0, -(-(end - side) // _PHASE) * _PHASE))
        first.append(max(min(inside, start), stop - side) // _PHASE * _PHASE)
    return first[0], first[1], first[0] + side, first[1] + side


def _box(window: Window, p: int, context: int, limits: tuple[int, int]) -> Box:
    corner, size = (window.y0, window.x0), (window.height, window.width)
    sides = [
        _side(first // p, (first + n) // p, context, end) for first, n, end in zip(corner, size, limits, strict=True)
    ]
    (top, bottom), (left, right) = sides
    return top, left, bottom, right


def _side(first: int, last: int, context: int, end: int) -> tuple[int, int]:
    """First and last token along one axis, with context that does not reach beyond the frame."""
    first, last = min(first, max(0, first - context)), max(last, min(end, last + context))
    return first // _PHASE * _PHASE, -(-last // _PHASE) * _PHASE


def _cover(boxes: list[Box], max_side: int, least: int) -> list[Box]:
    tops, lefts, bottoms, rights = zip(*boxes, strict=True)
    span = min(tops), min(lefts), max(bottoms), max(rights)
    if len(boxes) == 1:
        return [span]
    height, width = span[2] - span[0], span[3] - span[1]
    first, second = _parted(boxes, 0 if height >= width else 1)
    parts = _cover(first, max_side, least) + _cover(second, max_side, least)
    is_better = _cost([span], least) <= _cost(parts, least)
    return [span] if max(height, width) <= max_side and is_better else parts


def _parted(boxes: list[Box], axis: int) -> tuple[list[Box], list[Box]]:
    ordered = sorted(boxes, key=lambda box: box[axis])
    reached = list(accumulate((box[axis + 2] for box in ordered), max))
    gaps = [after[axis] - end for end, after in zip(reached, ordered[1:], strict=False)]
    at = 1 + gaps.index(max(gaps)) if max(gaps) > 0 else len(ordered) // 2
    return ordered[:at], ordered[at:]


def _cost(boxes: list[Box], least: int) -> int:
    return sum(_PASS + max(least, (bottom - top) * (right - left)) for top, left, bottom, right in boxes)
