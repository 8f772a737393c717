"""What the command palette can do with the widget that is open in the current viewer."""

import napari
from napari.utils.notifications import show_error

from napari_sam2.widget.docked import docked_widget

NOT_OPEN = "Track cells (SAM 2) is not open in this viewer: open it under Plugins first."


def propagate() -> None:
    """Start the run that the widget's controls describe."""
    _act("propagate")


def stop() -> None:
    """Stop at the next frame."""
    _act("stop")


def pause() -> None:
    """Pause a propagation, or go on."""
    _act("pause")


def next_doubtful() -> None:
    """Go to the next mask in doubt."""
    _act("next_doubtful")


def previous_doubtful() -> None:
    """Go back to the mask in doubt before."""
    _act("previous_doubtful")


def approve() -> None:
    """Approve the mask of the object on the frame on screen, or take that back."""
    _act("approve")


def undo() -> None:
    """Take back the last step."""
    _act("undo")


def redo() -> None:
    """Do again what was undone last."""
    _act("redo")


def new_object() -> None:
    """Let the next clicks be about another object."""
    _act("new_object")


def end_here() -> None:
    """Let the object end at the frame on screen."""
    _act("end")


def divide_here() -> None:
    """Let the object divide at the frame on screen."""
    _act("divide")


def _act(action: str) -> None:
    viewer = napari.current_viewer()
    widget = None if viewer is None else docked_widget(viewer)
    if widget is None:
        show_error(NOT_OPEN)
    else:
        widget.named_actions[action]()
