"""The box that asks what of an image of many axes is the movie; hidden for all others."""

from collections.abc import Sequence
from typing import Any, ClassVar

from napari.layers import Image
from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSpinBox,
    QWidget,
)

from napari_sam2.input_choice import MAX_CHANNELS, InputChoice
from napari_sam2.layers import chosen_input, guessed_axes, layer_shape, needs_choice

_ROLES = {"T": "time", "Z": "planes", "C": "channels"}
ONE_PLANE = "One plane"
_PLANES = {ONE_PLANE: None, "Brightest of all planes": "max", "Mean of all planes": "mean"}


class InputChoiceBox(QGroupBox):
    """Which axis is time, which plane or projection, and which channels."""

    chosen: ClassVar[Signal] = Signal()
    """Somebody wants to work with `choice`."""

    def __init__(self) -> None:
        super().__init__("Input")
        self.layer: Image | None = None
        self.roles: list[QComboBox] = []
        self.way = QComboBox()
        self.way.addItems(list(_PLANES))
        self.way.setToolTip("Follow the cells on one plane, or in a projection of all planes of a frame")
        self.plane = QSpinBox()
        self.plane.setToolTip("Which plane, counted from 0 like on the slider")
        self.channels = QListWidget()
        self.channels.setFixedHeight(48)
        self.channels.setToolTip(
            f"Which channel the model is shown; up to {MAX_CHANNELS} are shown together, each with its own contrast"
        )
        self.use = QPushButton("Track in this")
        self.use.setToolTip("Begin a session on what is chosen here; another choice is another session")
        self.current = QLabel()
        self.current.setWordWrap(True)
        self._axes, self._planes = QWidget(), QWidget()
        planes = QHBoxLayout(self._planes)
        planes.addWidget(self.way, 1)
        planes.addWidget(self.plane)
        self._form = QFormLayout(self)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._line = QHBoxLayout(self._axes)
        for line in (self._line, planes):
            line.setContentsMargins(0, 0, 0, 0)
        self._form.addRow("Axes", self._axes)
        self._form.addRow("Planes", self._planes)
        self._form.addRow("Channels", self.channels)
        self._form.addRow(self.use)
        self._form.addRow(self.current)
        self.way.currentTextChanged.connect(self._show_rows)
        self.use.clicked.connect(self._on_use)
        self.hide()

    def show_layer(self, layer: Any, point: Sequence[float] = ()) -> None:
        """Ask about a layer, if it has more axes than a movie; by default for the plane at `point` of its world."""
        if layer is None or not needs_choice(layer):
            self.layer = None
            self.hide()
            return
        if layer != self.layer:
            self.layer = layer
            self._fill(layer, point)
        choice = chosen_input(layer)
        self.current.setText("" if choice is None else f"Tracking in: {choice}")
        self.show()

    def forget(self, layer: Any) -> None:
        """Ask no more about a layer that was removed."""
        if layer == self.layer:
            self.show_layer(None)

    def choice(self) -> InputChoice:
        """What is chosen; whether it fits the layer is not looked at yet.

        Raises
        ------
        MovieError
            If it makes no sense, such as two axes of time.
        """
        axes = self.axes
        projection: Any = _PLANES[self.way.currentText()] if "Z" in axes else None
        plane = self.plane.value() if "Z" in axes and projection is None else None
        rows = [self.channels.item(row) for row in range(self.channels.count())] if "C" in axes else []
        channels = tuple(row for row, item in enumerate(rows) if item.checkState() == Qt.CheckState.Checked)
        return InputChoice(axes, plane, projection, channels)

    @property
    def axes(self) -> str:
        """A letter for each axis."""
        letters = list(_ROLES)
        return "".join(letters[role.currentIndex()] for role in self.roles) + "YX"

    def _fill(self, layer: Image, point: Sequence[float]) -> None:
        choice, shape = chosen_input(layer), layer_shape(layer)
        axes = guessed_axes(layer) if choice is None else choice.axes or ""
        line = self._line
        for role in self.roles:
            line.removeWidget(role)
            role.deleteLater()
        self.roles = []
        for axis, size in enumerate(shape[:-2]):
            role = QComboBox()
            role.addItems([f"{name} ({size})" for name in _ROLES.values()])
            role.setToolTip(f"What axis {axis} of the layer is, which has {size} entries")
            # Three of them fit into a narrow dock.
            role.setMinimumContentsLength(6)
            role.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            role.setCurrentIndex([*_ROLES].index(axes[axis]) if axes[axis] in _ROLES else axis)
            role.currentIndexChanged.connect(self._show_rows)
            self.roles.append(role)
            line.addWidget(role)
        self._fill_sizes()
        here = [round(float(x)) for x in layer.world_to_data(point)] if len(point) else []
        if choice is not None:
            self.plane.setValue(choice.plane or 0)
            self.way.setCurrentText(next(text for text, p in _PLANES.items() if p == choice.projection))
        elif "Z" in axes and here:
            self.plane.setValue(here[axes.index("Z")])
        wanted = (choice.channel_list if choice is not None else ()) or (here[axes.index("C")] if "C" in axes else 0,)
        for row in range(self.channels.count()):
            self.channels.item(row).setCheckState(Qt.CheckState.Checked if row in wanted else Qt.CheckState.Unchecked)
        self._show_rows()

    def _fill_sizes(self) -> None:
        sizes = {} if self.layer is None else dict(zip(self.axes, layer_shape(self.layer), strict=True))
        self.plane.setMaximum(sizes.get("Z", 1) - 1)
        while self.channels.count() > sizes.get("C", 0):
            self.channels.takeItem(self.channels.count() - 1)
        while self.channels.count() < sizes.get("C", 0):
            item = QListWidgetItem(f"channel {self.channels.count()}")
            item.setCheckState(Qt.CheckState.Checked if self.channels.count() == 0 else Qt.CheckState.Unchecked)
            self.channels.addItem(item)

    def _on_use(self) -> None:
        self.chosen.emit()

    def _show_rows(self, *_: object) -> None:
        self._fill_sizes()
        axes = self.axes
        self._form.setRowVisible(self._planes, "Z" in axes)
        self.plane.setVisible(self.way.currentText() == ONE_PLANE)
        self._form.setRowVisible(self.channels, "C" in axes)
