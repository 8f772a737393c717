"""Windows: which part of a frame is shown to the model, and at what size."""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_torch.config import SAM2Config

STRIDE = 16
"""Model pixels a token."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of source pixels, shown to the model as an image of `size`; it may reach over the frame's border.

    Pixel centres are on integers, in the source as in the model's image, and areas match: source pixel y lies at
    (y - y0 + 0.5) * size / height - 0.5. (The original maps clicks by x * size / width, half a pixel off.)

    Attributes
    ----------
    y0, x0
        First row and column, source pixels.
    height, width
        Extent in source pixels.
    size
        Height and width in pixels of the model's image, multiples of 32.
    """

    y0: int
    x0: int
    height: int
    width: int
    size: tuple[int, int]

    def to_model(self, y: float, x: float) -> tuple[float, float]:
        """Source pixels (y, x) -> pixels of the model's image (x, y): the one place where the order turns."""
        rows, columns = self.size
        return (
            (x - self.x0 + 0.5) * columns / self.width - 0.5,
            (y - self.y0 + 0.5) * rows / self.height - 0.5,
        )

    def part_of(self, shape_yx: tuple[int, int]) -> tuple[slice, slice]:
        """Rows and columns of the window that lie inside a frame, counted from the window's corner."""
        top, left = max(0, -self.y0), max(0, -self.x0)
        bottom, right = min(self.height, shape_yx[0] - self.y0), min(self.width, shape_yx[1] - self.x0)
        return slice(top, max(top, bottom)), slice(left, max(left, right))

    def inside(self, shape_yx: tuple[int, int]) -> tuple[slice, slice]:
        """Rows and columns of a frame that the window shows; of one that lies beyond it, the nearest pixels."""
        top, left = (min(max(0, first), n - 1) for first, n in zip((self.y0, self.x0), shape_yx, strict=True))
        bottom, right = min(shape_yx[0], self.y0 + self.height), min(shape_yx[1], self.x0 + self.width)
        return slice(top, max(top + 1, bottom)), slice(left, max(left + 1, right))


def whole_frame(shape_yx: tuple[int, int], config: SAM2Config) -> Window:
    """The whole frame squeezed into the square the model was trained on, as the original does."""
    return Window(0, 0, *shape_yx, (config.image_size, config.image_size))


def pixels_per_token(diameter: float, config: SAM2Config) -> int:
    """The scale, in source pixels a token, at which an object of `diameter` source pixels has the preferred size.

    Raises
    ------
    ValueError
        If the model has no preferred object size; it is shown whole frames.
    """
    if config.object_diameter is None:
        raise ValueError(f"{config.name} has no preferred object size: show it the whole frame")
    return max(1, round(STRIDE * diameter / config.object_diameter))


def common_diameter(diameter: float, config: SAM2Config) -> float:
    """The nearest of a series of diameters, each 1.4 times the one before, so that many objects share one scale."""
    step = round(2 * math.log2(STRIDE * diameter / (config.object_diameter or diameter)))
    return 2 ** (step / 2) * (config.object_diameter or diameter) / STRIDE


def around(
    y: float,
    x: float,
    diameter: float,
    config: SAM2Config,
    *,
    shape_yx: tuple[int, int] | None = None,
    tokens: int | None = None,
) -> Window:
    """A square window about (y, x), at the scale where an object of `diameter` has the preferred size.

    Windows of one scale lie on one grid of tokens, on which (y, x) is at most half a token from the middle.

    Parameters
    ----------
    shape_yx
        Of the frame, beyond which the window does not reach where it is smaller; then (y, x) is not in the middle.
    tokens
        Side of the window, `config.window_tokens` by default.

    Raises
    ------
    ValueError
        If the model has no preferred object size.
    """
    p, tokens = pixels_per_token(diameter, config), tokens or config.window_tokens
    first = [round((place + 0.5) / p - tokens / 2) for place in (y, x)]
    if shape_yx is not None:
        spare = [-(-length // p) - tokens for length in shape_yx]
        first = [min(max(0, at), room) if room > 0 else room // 2 for at, room in zip(first, spare, strict=True)]
    return Window(first[0] * p, first[1] * p, tokens * p, tokens * p, (tokens * STRIDE, tokens * STRIDE))


def by_size(items: Iterable[T], window_of: Callable[[T], Window]) -> Collection[list[T]]:
    """Items whose windows are of one size, which can run as one batch."""
    groups: dict[tuple[int, int], list[T]] = {}
    for item in items:
        groups.setdefault(window_of(item).size, []).append(item)
    return groups.values()


def cut(frame: Tensor, windows: Sequence[Window]) -> Tensor:
    """The model's images of some windows, beyond the border the edge pixels repeated.

    Parameters
    ----------
    frame : (C, Y, X) float
    windows
        All of the same `size`.

    Returns
    -------
    (N, C, *size)
    """
    images = [_cut(frame, window) for window in windows]
    return images[0] if len(images) == 1 else torch.cat(images)


def _cut(frame: Tensor, window: Window) -> Tensor:
    rows = torch.arange(window.y0, window.y0 + window.height, device=frame.device).clamp(0, frame.shape[1] - 1)
    columns = torch.arange(window.x0, window.x0 + window.width, device=frame.device).clamp(0, frame.shape[2] - 1)
    image = frame[:, rows[:, None], columns][None]
    if window.size == (window.height, window.width):
        return image
    return F.interpolate(image, size=window.size, mode="bilinear", antialias=True)


def cut_mask(mask: Tensor, window: Window) -> Tensor:
    """A mask prompt (Y, X) bool as the model takes it: (1, 1, *size) float 0 or 1, nothing beyond the border."""
    shown = torch.zeros(1, 1, window.height, window.width, device=mask.device)
    rows, columns = window.part_of((mask.shape[0], mask.shape[1]))
    shown[0, 0, rows, columns] = mask[
        window.y0 + rows.start : window.y0 + rows.stop, window.x0 + columns.start : window.x0 + columns.stop
    ].float()
    if window.size != (window.height, window.width):
        shown = F.interpolate(shown, size=window.size, mode="bilinear", antialias=True)
    return (shown >= 0.5).float()


def paste(
    logits: Tensor, window: Window, shape_yx: tuple[int, int], *, above: float = 0.0
) -> tuple[Tensor, tuple[int, int]]:
    """Mask logits (h, w) of a window at source resolution: of the part where they may be higher than `above`.

    Bilinear as `F.interpolate` is, without antialiasing. Beyond the part, no pixel of the frame is higher.

    Returns
    -------
    Logits (Y, X) float, empty if nothing is higher; and the part's first pixel (y, x) in the frame.
    """
    inside = window.part_of(shape_yx)
    high = logits > above
    along_y = _reach(high.any(1), window.height, inside[0])
    along_x = _reach(high.any(0), window.width, inside[1])
    offset = (window.y0 + along_y.start, window.x0 + along_x.start)
    rows = _between(logits.float(), along_y, window.height)
    if not rows.numel():
        return rows[:, :0], offset
    full = F.interpolate(rows[None, None], size=(len(rows), window.width), mode="bilinear")[0, 0]
    return full[:, along_x], offset


def _reach(high: Tensor, length: int, inside: slice) -> slice:
    """Which of `length` pixels the high ones of a line of logits can make high, of those inside the frame."""
    place = high.nonzero()[:, 0].tolist()
    if not place:
        return slice(inside.start, inside.start)
    scale = length / len(high)
    first, last = math.floor((place[0] - 0.5) * scale), math.ceil((place[-1] + 1.5) * scale)
    start = min(max(first, inside.start), inside.stop)
    return slice(start, max(start, min(last, inside.stop)))


def _between(lines: Tensor, wanted: slice, length: int) -> Tensor:
    """Lines (n, w) brought to `length` by linear interpolation; of these, the wanted ones."""
    at = (torch.arange(wanted.start, wanted.stop, device=lines.device) + 0.5) * (len(lines) / length) - 0.5
    at = at.clamp(0, len(lines) - 1)
    low = at.long()
    high = (low + 1).clamp(max=len(lines) - 1)
    return torch.lerp(lines[low], lines[high], (at - low)[:, None])
