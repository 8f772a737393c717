"""Telling the user, in napari's notifications."""

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
