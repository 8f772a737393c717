"""The controls for what is rarely changed about how objects are followed."""

from dataclasses import fields, replace
from typing import Any, ClassVar

from psygnal import Signal
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QFormLayout, QPushButton, QSpinBox, QWidget

from napari_sam2.devices import Precision
from napari_sam2.memory_policy import MemoryPolicy
from napari_sam2.session_setup import SessionSetup
from napari_sam2.tuning import AS_TRAINED, Tuning

_MB = 2**20
_PRECISIONS: dict[Precision, str] = {"float32": "float32, as the original", "auto": "bfloat16 where it is faster"}
_POLICIES = {"By the model": None, "All frames, as SAM 2": "original", "Cells, which compete": "cells"}
_OF_THE_SESSION = "Of the session"
_NONE_GIVEN = -1


class AdvancedForm(QWidget):
    """Precision, what is remembered, and one control for each field of `Tuning`."""

    changed: ClassVar[Signal] = Signal()
    """Something was changed by hand."""

    def __init__(self, precision: Precision = "float32", *, ahead: bool = True) -> None:
        super().__init__()
        self.precision = _box(_PRECISIONS)
        self.precision.setToolTip(
            "bfloat16 takes half the time where this computer is made for it, and gives nearly the same masks"
        )
        self.policy = _box({data: text for text, data in _POLICIES.items()})
        self.policy.setToolTip(
            "Which frames an object remembers: all of them; or, for many alike cells, only what it won against others"
        )
        self.max_recent = _spin(_NONE_GIVEN, 20, 1, "by the policy")
        self.max_recent.setToolTip(
            "How many of the last frames an object looks back at: fewer make frames faster and follow quick changes, "
            "more hold on to objects that are hidden for a while"
        )
        self._mask, self._score = _logit_spin("mask_threshold"), _logit_spin("score_threshold")
        self._window = _spin(2, 64, 2, "as trained")
        self._window.setSuffix(" tokens")
        self._kept = _spin(_NONE_GIVEN, 2**20, 64, "usual")
        self._kept.setSuffix(" MB")
        self.tuning: dict[str, QSpinBox | QDoubleSpinBox] = {
            "mask_threshold": self._mask,
            "score_threshold": self._score,
            "window_tokens": self._window,
            "cache_bytes": self._kept,
        }
        self.ahead = QCheckBox("Get ready for clicks around")
        self.ahead.setChecked(ahead)
        self.ahead.setToolTip(
            "Encode the frame on screen and its neighbours while nothing else is to be done, so that corrections there "
            "are answered sooner; the session stays open"
        )
        self.usual = QPushButton("All as usual")
        self.usual.setToolTip("Set all of this back")
        self._lay_out()
        self.show_setup(SessionSetup(precision=precision))
        for box in (self.precision, self.policy):
            box.activated.connect(self._on_change)
        for spin in (self.max_recent, *self.tuning.values()):
            spin.valueChanged.connect(self._on_change)
        self.usual.clicked.connect(self._on_usual)

    def setup(self, *, diameter: float | None, device: str) -> SessionSetup:
        """The settings as they are now, with a diameter (source pixels) and a device.

        What was shown and is only rounded here stays as it was given.
        """
        read = self._read()
        tuning = _overlaid(self._given.tuning, self._shown.tuning, read.tuning)
        setup: SessionSetup = _overlaid(self._given, self._shown, read)
        return replace(setup, tuning=tuning, diameter=diameter, device=device)

    def _read(self) -> SessionSetup:
        tokens, kept = self._window.value(), self._kept.value()
        most = self.max_recent.value()
        return SessionSetup(
            memory_policy=self.policy.currentData(),
            max_recent=None if most == _NONE_GIVEN else most,
            tuning=Tuning(
                mask_threshold=self._mask.value(),
                score_threshold=self._score.value(),
                window_tokens=None if tokens < 4 else tokens // 2 * 2,
                cache_bytes=None if kept == _NONE_GIVEN else kept * _MB,
            ),
            precision=self.precision.currentData(),
        )

    def show_setup(self, setup: SessionSetup) -> None:
        """Show how a session is opened; emits nothing."""
        tuning, kept = setup.tuning, setup.tuning.cache_bytes
        controls = [self.precision, self.policy, self.max_recent, *self.tuning.values()]
        blockers = [QSignalBlocker(control) for control in controls]
        self.precision.setCurrentIndex(self.precision.findData(setup.precision))
        if (own := self.policy.findText(_OF_THE_SESSION)) >= 0:
            self.policy.removeItem(own)
        if isinstance(setup.memory_policy, MemoryPolicy):
            self.policy.addItem(_OF_THE_SESSION, setup.memory_policy)
            self.policy.setCurrentIndex(self.policy.count() - 1)
        else:
            self.policy.setCurrentIndex([*_POLICIES.values()].index(setup.memory_policy))
        self.max_recent.setValue(_NONE_GIVEN if setup.max_recent is None else setup.max_recent)
        self._mask.setValue(tuning.mask_threshold)
        self._score.setValue(tuning.score_threshold)
        self._window.setValue(tuning.window_tokens or 2)
        self._kept.setValue(_NONE_GIVEN if kept is None else kept // _MB)
        del blockers
        self._given, self._shown = setup, self._read()

    def _lay_out(self) -> None:
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        layout.addRow("Precision", self.precision)
        layout.addRow("Memory", self.policy)
        layout.addRow("Frames back", self.max_recent)
        for setting in fields(Tuning):
            self.tuning[setting.name].setToolTip(setting.metadata["help"])
            layout.addRow(setting.metadata["label"], self.tuning[setting.name])
        layout.addRow(self.ahead)
        layout.addRow("", self.usual)

    def _on_change(self, _value: object) -> None:
        self.changed.emit()

    def _on_usual(self) -> None:
        self.show_setup(SessionSetup(tuning=AS_TRAINED))
        self.ahead.setChecked(True)
        self.changed.emit()


def _overlaid(given: Any, shown: Any, read: Any) -> Any:
    """What was given, but for the fields that are read as something else than was shown of them."""
    names = [field.name for field in fields(given)]
    return replace(given, **{n: getattr(read, n) for n in names if getattr(read, n) != getattr(shown, n)})


def _box(choices: dict[Any, str]) -> QComboBox:
    box = QComboBox()
    for data, text in choices.items():
        box.addItem(text, data)
    return box


def _spin(least: int, most: int, step: int, special: str) -> QSpinBox:
    """A box whose least value stands for none given."""
    spin = QSpinBox()
    spin.setRange(least, most)
    spin.setSingleStep(step)
    spin.setSpecialValueText(special)
    # Not at each digit that is typed: the session is opened anew.
    spin.setKeyboardTracking(False)
    return spin


def _logit_spin(name: str) -> QDoubleSpinBox:
    spin = QDoubleSpinBox()
    least, most = next(field.metadata["range"] for field in fields(Tuning) if field.name == name)
    spin.setRange(least, most)
    spin.setSingleStep(0.5)
    spin.setKeyboardTracking(False)
    return spin
