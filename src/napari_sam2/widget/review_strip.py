"""The strip that shows how sure the masks are: objects against time, and the chosen object large."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal
from qtpy.QtCore import QRectF, QSize
from qtpy.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_sam2.widget.review_row import ABSENT, APPROVED, APPROVED_ABSENT, NOTHING

Values = NDArray[np.float32]
_STOPS = (0.0, 0.5, 0.7, 0.85)
_COLORS = np.array([(200, 30, 50), (245, 130, 60), (250, 215, 110), (60, 130, 190)], float)
_OTHERS = {APPROVED: (70, 180, 100), APPROVED_ABSENT: (35, 95, 60), ABSENT: (95, 95, 95), NOTHING: (45, 48, 54)}
LEGEND = (
    "red to yellow: in doubt; blue: sure; green: approved; grey: not there; dark green: approved as not there. "
    "Click to go to a frame."
)
_BAR, _GAP, _ROW, _ALL = 22, 4, 4, 48


class ReviewStrip(QWidget):
    """A bar for the chosen object, a map of all objects below it, both from the first frame to the last.

    Of several values that fall on one pixel the least is shown. Values that are the same array as before, in a strip as
    wide as before, are not looked at again.
    """

    chosen: ClassVar[Signal] = Signal(int, int)
    """Frame and object ID that somebody clicked on."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[int, Values] = {}
        # By object ID, the values as given, and a value a pixel; then the picture of all of them.
        self._narrow: dict[int, tuple[Values, Values]] = {}
        self._map: QImage | None = None
        self._object_id: int | None = None
        self._frame: int | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(LEGEND)

    def show_rows(self, rows: Mapping[int, Values]) -> None:
        """Show (T,) values by object ID, in this order: see `ReviewRow`."""
        is_news = [*rows] != [*self._rows] or any(rows[i] is not self._rows[i] for i in rows)
        if is_news:
            self._rows, self._map = dict(rows), None
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
        width, row = max(1, self.width()), self._rows.get(self._object_id or 0)
        if row is None:
            painter.fillRect(0, 0, width, _BAR, QColor(*_OTHERS[NOTHING]))
        else:
            painter.drawImage(QRectF(0, 0, width, _BAR), _picture(_narrowed(row[None], width)))
        if len(self._rows) > 1:
            painter.drawImage(QRectF(0, _BAR + _GAP, width, self._map_height()), self._drawn_map(width))
        if self._frame is not None:
            step = width / self._num_frames
            painter.fillRect(QRectF(self._frame * step + step / 2 - 1, 0, 2, self.height()), QColor("white"))
        painter.end()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: D102
        self._narrow, self._map = {}, None
        super().resizeEvent(event)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: D102
        if event is None or not self._rows:
            return
        ids, frames = [*self._rows], self._num_frames
        x, y = event.position().x(), event.position().y() - _BAR - _GAP
        frame = min(max(int(x * frames / max(1, self.width())), 0), frames - 1)
        object_id = self._object_id if self._object_id in self._rows else ids[0]
        if y >= 0 and len(ids) > 1:
            object_id = ids[min(int(y * len(ids) / self._map_height()), len(ids) - 1)]
        self.chosen.emit(frame, object_id or ids[0])

    @property
    def _num_frames(self) -> int:
        return next((len(row) for row in self._rows.values()), 1)

    def _drawn_map(self, width: int) -> QImage:
        if self._map is None:
            known, self._narrow = self._narrow, {}
            for object_id, row in self._rows.items():
                before = known.get(object_id)
                is_known = before is not None and before[0] is row
                self._narrow[object_id] = before if before and is_known else (row, _narrowed(row[None], width)[0])
            table = np.stack([narrow for _, narrow in self._narrow.values()])
            self._map = _picture(_narrowed(table.T, self._map_height()).T)
        return self._map

    def _map_height(self) -> int:
        return min(_ROW * len(self._rows), _ALL) if len(self._rows) > 1 else 0


def colors_of(values: Values) -> NDArray[np.uint8]:
    """The colors (..., 3) of values as `show_rows` takes them."""
    colors = np.stack([np.interp(values, _STOPS, channel) for channel in _COLORS.T], axis=-1)
    for value, color in _OTHERS.items():
        colors[values == value] = color
    return colors.astype(np.uint8)


def _narrowed(table: Values, width: int) -> Values:
    """(N, T) with at most `width` columns, each the least of those that fall into it."""
    frames = table.shape[1]
    if frames <= width:
        return table
    return np.minimum.reduceat(table, (np.arange(width) * frames) // width, axis=1)


def _picture(values: Values) -> QImage:
    """A pixel for each of (H, W) values."""
    data = np.ascontiguousarray(colors_of(values))
    height, width, _ = data.shape
    return QImage(data.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888).copy()
