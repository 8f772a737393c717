"""The control with which a model is chosen."""

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeyEvent, QWheelEvent
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam2.checkpoints.download import Step
from napari_sam2.checkpoints.registry import megabytes
from napari_sam2.widget.model_switch import ModelSwitch

FROM_FILE = "from a file ..."
_MB = 1_000_000


class _Box(QComboBox):
    """A list in which nothing is chosen in passing, with the wheel or a key: what is chosen may be downloaded."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Up, Qt.Key.Key_Down):
            self.showPopup()
        else:
            event.ignore()


class ModelChoice(QWidget):
    """A list of models; below it, while one is downloaded, how far that has come and a button to stop it.

    Parameters
    ----------
    switch
        What choosing sets in motion.
    """

    def __init__(self, switch: ModelSwitch) -> None:
        super().__init__()
        self._switch = switch
        self.box = _Box()
        self.box.setToolTip("'cell' comes with the plugin, the others are downloaded once; or weights from a file")
        # Not as wide as the longest entry, which may be wider than the dock.
        self.box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.box.setMinimumContentsLength(12)
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.bar = QProgressBar()
        self.cancel = QPushButton("Stop")
        self.cancel.setToolTip("Stop the download; what has come is kept, and the next one goes on from there")
        self._download = QWidget()
        self._lay_out()
        self.box.activated.connect(self._on_activated)
        self.cancel.clicked.connect(switch.cancel)
        switch.changed.connect(self.refresh)
        switch.progress.connect(self.show_step)
        self.refresh()

    def refresh(self) -> None:
        """Show what there is to choose from, what is chosen, and whether it is on its way."""
        switch = self._switch
        self.box.clear()
        for model, text in {**switch.choices(), FROM_FILE: FROM_FILE}.items():
            self.box.addItem(text, model)
            self.box.setItemData(self.box.count() - 1, model, Qt.ItemDataRole.ToolTipRole)
        self.box.setCurrentIndex(self.box.findData(switch.shown))
        if switch.wanted and self._download.isHidden():
            self.note.setText(f"Downloading {switch.wanted}")
            self.bar.setRange(0, 0)
        self._download.setVisible(bool(switch.wanted))

    def show_step(self, step: Step) -> None:
        """Show how far the download has come."""
        name = self._switch.wanted
        come = f"{step.done // _MB} of {megabytes(step.total)}"
        self.note.setText(f"{name}: {step.note}" if step.note else f"Downloading {name}: {come}")
        self.bar.setRange(0, step.total // _MB)
        self.bar.setValue(step.done // _MB)

    def _on_activated(self, index: int) -> None:
        model = self.box.itemData(index)
        if model == FROM_FILE:
            model, _ = QFileDialog.getOpenFileName(self, "Weights of SAM 2", "", "Weights (*.safetensors *.pt *.pth)")
        if model:
            self._switch.choose(model)
        self.refresh()

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.addWidget(self.bar)
        row.addWidget(self.cancel)
        download = QVBoxLayout(self._download)
        download.setContentsMargins(0, 0, 0, 0)
        download.addWidget(self.note)
        download.addLayout(row)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.box)
        layout.addWidget(self._download)
