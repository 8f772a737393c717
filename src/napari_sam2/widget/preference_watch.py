"""Notices when somebody changes napari's preferences for the plugin while the widget is open."""

from collections.abc import Callable
from typing import ClassVar

from psygnal import Signal
from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QApplication, QWidget

from napari_sam2.widget.preferences import plugin_settings, read_preferences

_DELAY_MS = 300


class PreferenceWatch(QObject):
    """What is set in napari's preferences, from the opening of the widget on.

    A key is typed there letter by letter, and each letter is told of. So what changed counts as soon as the window of
    the widget is in front again, when the preferences were closed or somebody goes on with something else.

    Parameters
    ----------
    note
        Told of what makes no sense.

    Attributes
    ----------
    preferences
        As they count now.
    """

    changed: ClassVar[Signal] = Signal(object, object)
    """The preferences that count from now on, and those before."""

    def __init__(self, widget: QWidget, note: Callable[[str], None]) -> None:
        super().__init__(widget)
        self.preferences = read_preferences(note)
        self._widget = widget
        self._note = note
        self._timer = QTimer(self)
        self._timer.setInterval(_DELAY_MS)
        self._timer.timeout.connect(self._read)
        self._settings = plugin_settings()
        if self._settings is not None:
            self._settings.events.changed.connect(self._on_changed)

    def shut_down(self) -> None:
        """Let go of the preferences."""
        self._timer.stop()
        if self._settings is not None:
            self._settings.events.changed.disconnect(self._on_changed)
            self._settings = None

    def _on_changed(self, _event: object = None) -> None:
        self._timer.start()

    def _read(self) -> None:
        """Read them, unless somebody is still at it in another window."""
        front = QApplication.activeWindow()
        if front is not None and front is not self._widget.window():
            return
        self._timer.stop()
        before, self.preferences = self.preferences, read_preferences(self._note)
        if self.preferences != before:
            self.changed.emit(self.preferences, before)
