"""What forms are put together from."""

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QFrame, QGroupBox, QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget
from superqt import QCollapsible


def row(*widgets: QWidget) -> QWidget:
    """Widgets beside each other."""
    whole = QWidget()
    layout = QHBoxLayout(whole)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
    return whole


def group(title: str, *widgets: QWidget) -> QGroupBox:
    """Widgets below each other, in a frame with a title."""
    whole = QGroupBox(title)
    layout = QVBoxLayout(whole)
    layout.setContentsMargins(6, 6, 6, 6)
    layout.setSpacing(4)
    for widget in widgets:
        layout.addWidget(widget)
    return whole


class Fold(QCollapsible):
    """A heading under which widgets can be folded away."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title
        # The icons that it comes with are black in a dark theme.
        self.toggleButton().setIconSize(QSize(0, 0))
        # As a heading, not as a button that is pressed.
        self.toggleButton().setStyleSheet("text-align: left; background: transparent; border: none; font-weight: bold;")
        self.setDuration(0)
        if (layout := self.layout()) is not None:
            layout.setContentsMargins(0, 0, 0, 0)
        self.toggled.connect(self._show_title)

    def _show_title(self, is_open: bool) -> None:
        self.setText(f"{'▾' if is_open else '▸'} {self._title}")


def folded(title: str, *widgets: QWidget, opened: bool = False) -> Fold:
    """Widgets below each other that can be folded away, and at first are."""
    fold = Fold(title)
    for widget in widgets:
        fold.addWidget(widget)
    fold.expand(animate=False)
    if not opened:
        fold.collapse(animate=False)
    return fold


def scrolled(widget: QWidget) -> QScrollArea:
    """A widget that may be higher than the screen, but is never wider than its place."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(widget)
    area.setMinimumWidth(widget.minimumWidth())
    return area


def wrapped(text: str) -> QLabel:
    """Text of as many lines as it needs."""
    label = QLabel(text)
    label.setWordWrap(True)
    return label
