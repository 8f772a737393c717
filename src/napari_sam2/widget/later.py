"""Calling functions in the GUI thread."""

from collections.abc import Callable

from qtpy.QtCore import QObject, Qt, Signal  # type: ignore[attr-defined]


class Later(QObject):
    """Calls functions in the thread it was made in, as soon as that has done what it is at; from any thread.

    A child of the widget: when that goes, what was not called yet is not called any more.
    """

    _asked = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._asked.connect(self._call, Qt.ConnectionType.QueuedConnection)

    def call(self, function: Callable[[], None]) -> None:
        """Call a function later."""
        self._asked.emit(function)

    def _call(self, function: Callable[[], None]) -> None:
        function()
