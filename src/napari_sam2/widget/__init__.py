"""The dock widget; importing it imports no torch."""

from napari_sam2.widget.tracker_widget import TrackerWidget

__all__ = ["TrackerWidget"]
