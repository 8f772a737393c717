"""What forms are put together from."""

from qtpy.QtCore import Qt
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


def folded(title: str, *widgets: QWidget, opened: bool = False) -> QCollapsible:
    """Widgets below each other that can be folded away, and at first are."""
    fold = QCollapsible(title)
    fold.setDuration(0)
    if (layout := fold.layout()) is not None:
        layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        fold.addWidget(widget)
    (fold.expand if opened else fold.collapse)(animate=False)
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
