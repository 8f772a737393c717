"""The line of the form that says where the session is stored, and opens one that was."""

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_sam2.widget.saved_movie import SavedMovie

OPEN_SAVED = "Open saved session"


class SavedLine(QWidget):
    """A line of text, a button that is enabled as long as nothing was done yet, and one for what is done elsewhere."""

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
        self.reload = QPushButton("Reload")
        self.reload.setToolTip("Show what was stored of this session since, by whoever works with it")
        self.reload.clicked.connect(self._reload)
        layout.addWidget(self.reload)
        self._saved: SavedMovie | None = None
        self.show_movie(None)

    def show_movie(self, saved: SavedMovie | None) -> None:
        """Show how the storing of a movie's session stands."""
        self._saved = saved
        text = "" if saved is None else saved.text
        self.text.setText(text)
        self.text.setToolTip("" if saved is None else saved.details)
        self.text.setVisible(bool(text))
        self.button.setEnabled(saved is not None and saved.can_go_on)
        self.reload.setVisible(saved is not None and saved.can_reload)

    def _reload(self, *_: object) -> None:
        if self._saved is not None:
            self._saved.reload()

    def ask(self, start: Path) -> Path | None:
        """Let somebody choose a session's folder; None if they would rather not."""
        chosen = QFileDialog.getExistingDirectory(self, OPEN_SAVED, str(start))
        return Path(chosen) if chosen else None
