"""The part of the form about objects: the table, and what can be done to those that are selected in it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QGridLayout, QPushButton, QVBoxLayout, QWidget

from napari_sam2.widget.key_captions import KeyCaptions
from napari_sam2.widget.object_book import ObjectRow
from napari_sam2.widget.object_table import ObjectTable

_EVERY_MS = 300


class ObjectPanel(QWidget):
    """The table of objects with its buttons; looks some times a second whether there is something new to show.

    Parameters
    ----------
    color
        As of `ObjectTableModel`.
    captions
        Of the keys that buttons carry.
    """

    def __init__(self, color: Callable[[int], Any], captions: KeyCaptions) -> None:
        super().__init__()
        self.table = ObjectTable(self, color)
        self.merge = _button("Merge", "Make one object of those selected, with the lowest ID and its clicks")
        self.split = _button("Split here", "From the frame on screen on, let each object selected be another one")
        self.swap = _button("Swap here", "From the frame on screen on, let the two objects selected change places")
        self.end = _button(
            "Ends here",
            "From the frame on screen on, the objects selected, or else the one that clicks are about, are not there "
            "any more; a click there later takes that back",
        )
        captions.put(self.end, "Ends here", "end")
        self.divide = _button(
            "Divides here",
            "On the frame on screen, the pieces of its mask are new objects, the children of the object selected, or "
            "else of the one that clicks are about, which ends there; for other divisions type into the column Parent",
        )
        captions.put(self.divide, "Divides here", "divide")
        self.own_layers = _button("Own layers", "Show each object selected in a Labels layer of its own, too")
        self.remove = _button("Remove", "Remove the objects selected, with their clicks, shapes and masks; undo helps")
        self._rows: Callable[[], Sequence[ObjectRow]] = lambda: ()
        self._timer = QTimer(self)
        self._timer.setInterval(_EVERY_MS)
        self._timer.timeout.connect(self.refresh)
        self._timer.start()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)
        grid = QGridLayout()
        for at, button in enumerate(self._buttons):
            grid.addWidget(button, at // 2, at % 2)
        layout.addLayout(grid)

    @property
    def _buttons(self) -> tuple[QPushButton, ...]:
        return self.merge, self.split, self.swap, self.own_layers, self.end, self.divide, self.remove

    def show_objects(self, object_ids: Sequence[int], rows: Callable[[], Mapping[int, ObjectRow]]) -> None:
        """List these objects with what `rows` tell of them, from now on; those selected stay selected."""
        self._rows = lambda: [rows().get(object_id, ObjectRow(object_id)) for object_id in object_ids]
        self.refresh()

    def refresh(self) -> None:
        """Show what is told by now."""
        self.table.objects.show_rows(self._rows())

    def selected_objects(self) -> list[int]:
        """IDs of the objects selected, sorted."""
        return self.table.selected_objects()

    def select_objects(self, object_ids: Collection[int]) -> None:
        """Select these objects, and no others."""
        self.table.select_objects(object_ids)

    def enable(self, *, can_edit: bool) -> None:
        """Enable the buttons if it makes sense now."""
        for button in self._buttons:
            button.setEnabled(can_edit)


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button
