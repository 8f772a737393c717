"""The list of the keys in the form."""

from collections.abc import Mapping

from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from napari_sam2.widget.keys import KEYS
from napari_sam2.widget.parts import wrapped


class KeysList(QWidget):
    """Each key with where it works and what it does.

    Parameters
    ----------
    keys
        By name; an empty text for none, which is left out.
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(2, 1)
        for line, key in enumerate(key for key in KEYS if keys[key.name]):
            name = QLabel(f"<b>{keys[key.name]}</b>")
            place = QLabel("" if "viewer" in key.places else key.where)
            for column, label in enumerate((name, place, wrapped(key.help))):
                grid.addWidget(label, line, column)
        grid.addWidget(wrapped("Others can be chosen under Preferences > napari-sam2."), grid.rowCount(), 0, 1, 3)

    @property
    def texts(self) -> list[str]:
        """All that is to be read in it."""
        return [label.text() for label in self.findChildren(QLabel)]
