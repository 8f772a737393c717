"""The strip that shows how sure the masks are: objects against time, and the chosen object large."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal
from qtpy.QtCore import QRectF, QSize
from qtpy.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

APPROVED, ABSENT, NOTHING = 2.0, 3.0, 4.0
"""What is shown of a frame besides a confidence (0 to 1); the least of several that fall on one pixel is shown."""
_STOPS = (0.0, 0.5, 0.7, 0.85)
_COLORS = np.array([(200, 30, 50), (245, 130, 60), (250, 215, 110), (60, 130, 190)], float)
_OTHERS = {APPROVED: (70, 180, 100), ABSENT: (95, 95, 95), NOTHING: (45, 48, 54)}
LEGEND = "red to yellow: in doubt; blue: sure; green: approved; grey: not there. Click to go to a frame."
_BAR, _GAP, _ROW, _ALL = 22, 4, 4, 48


class ReviewStrip(QWidget):
    """A bar for the chosen object, a map of all objects below it, both from the first frame to the last."""

    chosen: ClassVar[Signal] = Signal(int, int)
    """Frame and object ID that somebody clicked on."""

    def __init__(self) -> None:
        super().__init__()
        self._table = np.zeros((0, 1))
        self._ids: tuple[int, ...] = ()
        self._object_id: int | None = None
        self._frame: int | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(LEGEND)

    def show_table(self, ids: tuple[int, ...], table: NDArray[np.float64]) -> None:
        """Show (N, T) values of the objects of these N IDs: confidences, `APPROVED`, `ABSENT` or `NOTHING`."""
        self._ids, self._table = ids, table
        self.updateGeometry()
        self.update()

    def show_place(self, frame: int | None, object_id: int | None) -> None:
        """Mark the frame on screen, and show this object large."""
        if (frame, object_id) != (self._frame, self._object_id):
            self._frame, self._object_id = frame, object_id
            self.update()

    def sizeHint(self) -> QSize:  # noqa: D102
        return QSize(200, _BAR + _GAP + self._map_height())

    def minimumSizeHint(self) -> QSize:  # noqa: D102
        return QSize(60, self.sizeHint().height())

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: D102
        painter = QPainter(self)
        width = max(1, self.width())
        pixels = colors_of(_narrowed(self._table, width))
        if self._object_id in self._ids:
            row = self._ids.index(self._object_id)
            _draw(painter, pixels[row : row + 1], QRectF(0, 0, width, _BAR))
        else:
            painter.fillRect(0, 0, width, _BAR, QColor(*_OTHERS[NOTHING]))
        if len(self._ids) > 1:
            _draw(painter, pixels, QRectF(0, _BAR + _GAP, width, self._map_height()))
        if self._frame is not None:
            step = width / self._table.shape[1]
            painter.fillRect(QRectF(self._frame * step + step / 2 - 1, 0, 2, self.height()), QColor("white"))
        painter.end()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: D102
        if event is None or not self._ids:
            return
        x, y, frames = event.position().x(), event.position().y() - _BAR - _GAP, self._table.shape[1]
        frame = min(max(int(x * frames / max(1, self.width())), 0), frames - 1)
        object_id = self._object_id if self._object_id in self._ids else self._ids[0]
        if y >= 0 and len(self._ids) > 1:
            object_id = self._ids[min(int(y * len(self._ids) / self._map_height()), len(self._ids) - 1)]
        self.chosen.emit(frame, object_id or self._ids[0])

    def _map_height(self) -> int:
        return min(_ROW * len(self._ids), _ALL) if len(self._ids) > 1 else 0


def colors_of(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The colors (..., 3) of values as `show_table` takes them."""
    colors = np.stack([np.interp(values, _STOPS, channel) for channel in _COLORS.T], axis=-1)
    for value, color in _OTHERS.items():
        colors[values == value] = color
    return colors.astype(np.uint8)


def _narrowed(table: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """The same with at most `width` columns, each the least of those that fall into it."""
    frames = table.shape[1]
    if frames <= width:
        return table
    return np.minimum.reduceat(table, (np.arange(width) * frames) // width, axis=1)


def _draw(painter: QPainter, pixels: NDArray[np.uint8], where: QRectF) -> None:
    if pixels.size:
        data = np.ascontiguousarray(pixels)
        height, width, _ = data.shape
        image = QImage(data.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
        painter.drawImage(where, image)
