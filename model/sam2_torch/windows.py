"""Windows: which part of a frame is shown to the model, and at what size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_torch.config import SAM2Config


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


def whole_frame(shape_yx: tuple[int, int], config: SAM2Config) -> Window:
    """The whole frame squeezed into the square the model was trained on, as the original does."""
    return Window(0, 0, *shape_yx, (config.image_size, config.image_size))


def around(y: float, x: float, diameter: float, config: SAM2Config) -> Window:
    """A window centred on (y, x), at the scale where an object of `diameter` source pixels has the preferred size.

    Raises
    ------
    ValueError
        If the model has no preferred object size; it is shown whole frames.
    """
    if config.object_diameter is None:
        raise ValueError(f"{config.name} has no preferred object size: show it the whole frame")
    side = max(16, round(config.image_size * diameter / config.object_diameter))
    return Window(round(y) - side // 2, round(x) - side // 2, side, side, (config.image_size, config.image_size))


def cut(frame: Tensor, windows: Sequence[Window]) -> Tensor:
    """The model's images of some windows, beyond the border the edge pixels repeated.

    Parameters
    ----------
    frame : (3, Y, X) float
    windows
        All of the same `size`.

    Returns
    -------
    (N, 3, *size)
    """
    return torch.cat([_cut(frame, window) for window in windows])


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


def paste(logits: Tensor, window: Window, shape_yx: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
    """Mask logits (h, w) of a window at source resolution: of the part where they may be positive, and where it begins.

    Bilinear as `F.interpolate` is, without antialiasing. Beyond the part, no pixel of the frame is positive.

    Returns
    -------
    Logits (Y, X) float, empty if nothing is positive; and the part's first pixel (y, x) in the frame.
    """
    inside = window.part_of(shape_yx)
    along_y = _reach((logits > 0).any(1), window.height, inside[0])
    along_x = _reach((logits > 0).any(0), window.width, inside[1])
    offset = (window.y0 + along_y.start, window.x0 + along_x.start)
    rows = _between(logits.float(), along_y, window.height)
    if not rows.numel():
        return rows[:, :0], offset
    full = F.interpolate(rows[None, None], size=(len(rows), window.width), mode="bilinear")[0, 0]
    return full[:, along_x], offset


def _reach(positive: Tensor, length: int, inside: slice) -> slice:
    """Which of `length` pixels a line of logits can make positive, of those inside the frame."""
    place = positive.nonzero()[:, 0].tolist()
    if not place:
        return slice(inside.start, inside.start)
    scale = length / len(positive)
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
