"""The buttons that take steps back and do them again."""

from collections.abc import Mapping

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_sam2.widget.keys import captioned


class UndoLine(QWidget):
    """Undo and redo; each says which step it is about."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        super().__init__()
        self.undo = QPushButton(captioned("Undo", keys["undo"]))
        self.redo = QPushButton(captioned("Redo", keys["redo"]))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.undo)
        layout.addWidget(self.redo)
        self.show_steps(None, None, can_edit=False)

    def show_steps(self, undo: str | None, redo: str | None, *, can_edit: bool) -> None:
        """Show which steps can be undone and done again, None for none."""
        for button, word, step in ((self.undo, "Undo", undo), (self.redo, "Redo", redo)):
            button.setEnabled(can_edit and step is not None)
            button.setToolTip(f"{word}: {step}" if step is not None else f"There is nothing to {word.lower()}")
