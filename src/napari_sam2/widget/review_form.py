"""The part of the form for reviewing masks: what is where and what it is called, without any behavior."""

from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_sam2.widget.key_captions import KeyCaptions
from napari_sam2.widget.parts import folded
from napari_sam2.widget.review_strip import ReviewStrip


class ReviewForm(QWidget):
    """A strip, four buttons, and a line that says why a mask is in doubt; they can be folded away."""

    def __init__(self, captions: KeyCaptions) -> None:
        super().__init__()

        def button(text: str, key: str, tip: str) -> QPushButton:
            made = captions.button(text, key)
            made.setToolTip(tip)
            return made

        self.strip = ReviewStrip()
        self.previous = button(
            "Previous", "previous_doubtful", "Go back to the frame before on which a mask is in doubt"
        )
        self.next = button("Next doubtful", "next_doubtful", "Go to the next frame on which a mask is in doubt")
        self.approve = button(
            "Approve frame",
            "approve",
            "Say that the mask of the object on this frame is right, or that it is not there: no propagation "
            "changes that; again takes it back",
        )
        self.approve_object = button(
            "Approve object",
            "approve_object",
            "Say that all masks of the object are right, and where it was not found; again takes it back",
        )
        self.reason = QLabel()
        self.reason.setWordWrap(True)
        content = QWidget()
        grid = QGridLayout(content)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(self.strip, 0, 0, 1, 2)
        grid.addWidget(self.previous, 1, 0)
        grid.addWidget(self.next, 1, 1)
        grid.addWidget(self.approve, 2, 0)
        grid.addWidget(self.approve_object, 2, 1)
        grid.addWidget(self.reason, 3, 0, 1, 2)
        self.fold = folded("Review", content, opened=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.fold)
        self.show_enabled(enabled=False)

    def show_enabled(self, *, enabled: bool, can_edit: bool = False) -> None:
        """Enable the buttons if there is something to review, and those that approve if that may be asked for now."""
        for button in (self.previous, self.next):
            button.setEnabled(enabled)
        for button in (self.approve, self.approve_object):
            button.setEnabled(enabled and can_edit)
