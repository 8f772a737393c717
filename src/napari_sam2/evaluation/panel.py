"""A panel with curves over a line of frames or steps, the piece that pictures of results are made of."""

import math
from collections.abc import Sequence
from itertools import pairwise

from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]
PANEL_YX = (240, 420)
MARGIN = 40
GRAY, BLACK, PALE = (190, 190, 190), (20, 20, 20), (225, 225, 225)


class Panel:
    """A white panel of `PANEL_YX` pixels on which values from 0 to `top` are drawn."""

    def __init__(self, top: float = 1.0) -> None:
        height, width = PANEL_YX
        self.picture = Image.new("RGB", (width, height), "white")
        self._draw, self._font = ImageDraw.Draw(self.picture), ImageFont.load_default(size=11)
        self._top, self._x = top, float(MARGIN)
        for level in (0.0, top / 2, top):
            y = self._place(0, level)[1]
            self._draw.line([(MARGIN, y), (width - 10, y)], fill=PALE)
            self._draw.text((MARGIN - 5, y), f"{level:.3g}", fill=BLACK, font=self._font, anchor="rm")

    def curve(self, values: Sequence[float], color: Color, width: int, at: Sequence[float] | None = None) -> None:
        """A line with gaps where a value is NaN, and a dot for each value, so that one between gaps is seen.

        `at` holds the places of the values from 0 (left) to 1 (right); by default they are spread evenly.
        """
        places = [t / max(1, len(values) - 1) for t in range(len(values))] if at is None else at
        points = [self._place(place, value) for place, value in zip(places, values, strict=True)]
        for x, y in points:
            if not math.isnan(y):
                self._draw.ellipse([(x - width, y - width), (x + width, y + width)], fill=color)
        for before, after in pairwise(points):
            if not any(math.isnan(y) for _, y in (before, after)):
                self._draw.line([before, after], fill=color, width=width)

    def caption(self, text: str, color: Color) -> None:
        """A word at the top, to the right of those before it."""
        self._draw.text((self._x, 8), text, fill=color, font=self._font)
        self._x += self._font.getlength(text) + 10

    def end(self, text: str) -> None:
        """A word at the right end of the line of frames."""
        height, width = PANEL_YX
        self._draw.text((width - 10, height - 8), text, fill=BLACK, font=self._font, anchor="rs")

    def _place(self, at: float, value: float) -> tuple[float, float]:
        height, width = PANEL_YX
        share = value / self._top
        return MARGIN + (width - 10 - MARGIN) * at, height - MARGIN / 2 - share * (height - MARGIN / 2 - 30)


def together(panels: Sequence[Panel]) -> Image.Image:
    """Panels in one picture, two in a row."""
    columns, (height, width) = min(2, len(panels)), PANEL_YX
    picture = Image.new("RGB", (columns * width, math.ceil(len(panels) / columns) * height), "white")
    for k, panel in enumerate(panels):
        picture.paste(panel.picture, (k % columns * width, k // columns * height))
    return picture
