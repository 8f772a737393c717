"""Finding the widget that is open in a viewer."""

from typing import Any

from napari_sam2.widget.tracker_widget import TrackerWidget


def docked_widget(viewer: Any) -> TrackerWidget | None:
    """Return the widget docked in a viewer; None if there is none."""
    docked = getattr(viewer.window, "dock_widgets", {}).values()
    return next((widget for widget in docked if isinstance(widget, TrackerWidget)), None)
