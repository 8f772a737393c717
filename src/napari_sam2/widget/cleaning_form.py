"""The controls that say how masks are tidied up."""

from dataclasses import fields
from typing import Any, ClassVar

from psygnal import Signal
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QCheckBox, QFormLayout, QSpinBox, QWidget

from napari_sam2.cleaning import Cleaning

_LARGEST = 1_000_000


class CleaningForm(QWidget):
    """One control for each setting of `Cleaning`, with its name, its help and its default."""

    changed: ClassVar[Signal] = Signal(object)
    """The settings, when one was changed."""

    def __init__(self) -> None:
        super().__init__()
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.controls: dict[str, QSpinBox | QCheckBox] = {}
        for setting in fields(Cleaning):
            control: QSpinBox | QCheckBox
            if isinstance(setting.default, bool):
                control = QCheckBox(setting.metadata["label"])
                control.setChecked(setting.default)
                control.toggled.connect(self._on_change)
                layout.addRow(control)
            else:
                control = QSpinBox()
                control.setRange(0, _LARGEST)
                control.setSuffix(" px")
                control.setSpecialValueText("off")
                # Not at each digit that is typed: masks are shown anew.
                control.setKeyboardTracking(False)
                control.valueChanged.connect(self._on_change)
                layout.addRow(setting.metadata["label"], control)
            control.setToolTip(setting.metadata["help"])
            self.controls[setting.name] = control

    @property
    def cleaning(self) -> Cleaning:
        """The settings as they are now."""
        chosen: dict[str, Any] = {
            name: control.isChecked() if isinstance(control, QCheckBox) else control.value()
            for name, control in self.controls.items()
        }
        return Cleaning(**chosen)

    def show_cleaning(self, cleaning: Cleaning) -> None:
        """Show settings; emits nothing."""
        for name, control in self.controls.items():
            with QSignalBlocker(control):
                if isinstance(control, QCheckBox):
                    control.setChecked(getattr(cleaning, name))
                else:
                    control.setValue(getattr(cleaning, name))

    def _on_change(self, _value: int) -> None:
        self.changed.emit(self.cleaning)
