"""The line of the form that says where the session is stored, and opens one that was."""

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_sam2.widget.saved_movie import SavedMovie

OPEN_SAVED = "Open saved session"


class SavedLine(QWidget):
    """A line of text, and a button that is enabled as long as nothing was done yet."""

    def __init__(self) -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.button = QPushButton(OPEN_SAVED)
        self.button.setToolTip("Go on with the session found beside the movie, or else with one in a folder you choose")
        layout.addWidget(self.text)
        layout.addWidget(self.button)
        self.show_movie(None)

    def show_movie(self, saved: SavedMovie | None) -> None:
        """Show how the storing of a movie's session stands."""
        text = "" if saved is None else saved.text
        self.text.setText(text)
        self.text.setToolTip("" if saved is None else saved.details)
        self.text.setVisible(bool(text))
        self.button.setEnabled(saved is not None and saved.can_go_on)

    def ask(self, start: Path) -> Path | None:
        """Let somebody choose a session's folder; None if they would rather not."""
        chosen = QFileDialog.getExistingDirectory(self, OPEN_SAVED, str(start))
        return Path(chosen) if chosen else None
