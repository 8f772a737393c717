"""The buttons that take steps back and do them again."""

from qtpy.QtWidgets import QHBoxLayout, QWidget

from napari_sam2.widget.key_captions import KeyCaptions


class UndoLine(QWidget):
    """Undo and redo; each says which step it is about."""

    def __init__(self, captions: KeyCaptions) -> None:
        super().__init__()
        self.undo = captions.button("Undo", "undo")
        self.redo = captions.button("Redo", "redo")
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
