"""The list of the keys in the form."""

from collections.abc import Mapping

from qtpy.QtWidgets import QGridLayout, QLabel, QSizePolicy, QWidget

from napari_sam2.widget.keys import KEYS


class KeysList(QWidget):
    """Each key with what it does, by the places where they work.

    Parameters
    ----------
    keys
        By name; an empty text for none, which is left out.
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        super().__init__()
        self._labels: list[QLabel] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(1, 1)
        self.show_keys(keys)

    def show_keys(self, keys: Mapping[str, str]) -> None:
        """List these keys, and no others."""
        for label in self._labels:
            self._grid.removeWidget(label)
            label.hide()
            label.deleteLater()
        self._labels.clear()
        shown = [key for key in KEYS if keys[key.name]]
        for where in dict.fromkeys(key.where for key in shown):
            self._add("Everywhere" if where == "everywhere" else f"On the layer of {where}")
            for key in shown:
                if key.where == where:
                    self._add(key.help, f"<b>{keys[key.name]}</b>")
        self._add("Others can be chosen in napari's preferences.")

    @property
    def texts(self) -> list[str]:
        """All that is to be read in it."""
        return [label.text() for label in self._labels]

    def _add(self, text: str, name: str = "") -> None:
        line = self._grid.rowCount()
        label = QLabel(text)
        label.setToolTip(text)
        # In a narrow dock the end is cut off rather than the dock made wider.
        label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._labels.append(label)
        if name:
            self._labels.append(QLabel(name))
            self._grid.addWidget(self._labels[-1], line, 0)
            self._grid.addWidget(label, line, 1)
        else:
            self._grid.addWidget(label, line, 0, 1, 2)
