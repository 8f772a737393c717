"""The row that takes a Labels layer for prompts: the objects it has on the frame on screen."""

from collections.abc import Callable, Sequence
from typing import Any

from magicgui.widgets import ComboBox
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget


class LabelsChoice(QWidget):
    """A choice of layer, and a button."""

    def __init__(self, choices: Callable[[Any], Sequence[Any]]) -> None:
        super().__init__()
        self.layer = ComboBox(choices=choices, nullable=True)
        self.layer.native.setToolTip("A layer of labels, as of Cellpose or StarDist, or an earlier result")
        self.use = QPushButton("Use labels")
        self.use.setToolTip("Make each object of the layer on the frame on screen an object, whose mask is its label")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.layer.native, 1)
        layout.addWidget(self.use)

    def show_layers(self) -> None:
        """List the layers anew; the one chosen stays chosen while it is there."""
        self.layer.reset_choices()
