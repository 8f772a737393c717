"""Opening napari with the tracking widget, from the command line."""

from pathlib import Path

import napari


def open_viewer(movie: Path | None = None, labels: Path | None = None) -> None:
    """Show napari with the widget docked, a movie and its labels if given; returns when the window is closed."""
    viewer = napari.Viewer()
    if movie is not None:
        viewer.open(str(movie), layer_type="image")
    if labels is not None:
        viewer.open(str(labels), layer_type="labels", name="masks")
    viewer.window.add_plugin_dock_widget("napari-sam2")
    napari.run()
