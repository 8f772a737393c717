"""Telling the user, in napari's notifications."""

import sys

import qtpy
from napari.utils.notifications import notification_manager, show_error, show_warning
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from napari_sam2.widget.jobs import EXPECTED_ERRORS


class Notices:
    """Notifications of one widget.

    Notes are shown a moment later, and only if the window is still there: closing a viewer removes its layers one by
    one, which is nothing to tell about.
    """

    def __init__(self, widget: QWidget) -> None:
        self._widget = widget

    def note(self, text: str) -> None:
        """Show something the user must see."""
        QTimer.singleShot(0, self._widget, lambda: show_warning(text) if self._widget.window().isVisible() else None)

    def error(self, error: Exception) -> None:
        """Show the text of an error of ours; of any other error, with where it came from, for a report."""
        if isinstance(error, EXPECTED_ERRORS):
            show_error(str(error))
        else:
            notification_manager.receive_error(type(error), error, error.__traceback__)

    def warn_of_crashes(self) -> None:
        """Tell those who have it that their Qt ends Python after a while: better now than in the middle of work."""
        if qtpy.API_NAME == "PySide6" and qtpy.PYSIDE_VERSION == "6.12.0" and sys.version_info < (3, 12):
            # It drops a reference to None at each call, and before Python 3.12 those run out.
            self.note(
                "PySide6 6.12.0 crashes with Python 3.11 after some minutes: pip install 'PySide6<6.12', restart."
            )
