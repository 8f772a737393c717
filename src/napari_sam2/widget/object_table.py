"""The table of objects: a Qt model of what is told of each, and the view of it."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, ClassVar

from psygnal import Signal
from qtpy.QtCore import (
    QAbstractTableModel,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
)
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from napari_sam2.widget.object_book import ObjectRow

Index = QModelIndex | QPersistentModelIndex
COLUMNS = ("", "ID", "Name", "Parent", "Frames", "Worst", "State")
COLOR, ID, NAME, PARENT, FRAMES, WORST, STATE = range(len(COLUMNS))
_TIPS = (
    "The color of its masks",
    "The object ID, which is its label in the masks",
    "F2, or a click on the name of a row that is selected, changes it",
    "The ID of the object that it came from by division; changed as the name is, and empty for none",
    "On how many frames it has a mask",
    "The lowest confidence of its masks, 0 to 1: where it is low, look there; a double click on it goes there",
    "Prompted: it has masks on frames with prompts only. Tracked: on others, too. Ended, divided: it is there no more "
    "from some frame on",
)
_SORT = Qt.ItemDataRole.UserRole


class ObjectTableModel(QAbstractTableModel):
    """A row an object, in the order of their IDs; shows only what has changed anew.

    Parameters
    ----------
    color
        The color (R, G, B, A) from 0 to 1 of an object ID; None if it is not known.
    """

    renamed: ClassVar[Signal] = Signal(int, str)
    """By somebody in the table: object ID and name."""
    adopted: ClassVar[Signal] = Signal(int, str)
    """By somebody in the table: object ID, and what was typed for the ID of its parent."""

    def __init__(self, parent: QWidget, color: Callable[[int], Any]) -> None:
        super().__init__(parent)
        self._color = color
        self._rows: list[ObjectRow] = []

    @property
    def object_ids(self) -> list[int]:
        """IDs of all objects, sorted."""
        return [row.object_id for row in self._rows]

    def show_rows(self, rows: Sequence[ObjectRow]) -> None:
        """Show these objects, sorted by ID, and no others."""
        if rows == self._rows:
            return
        wanted = {row.object_id for row in rows}
        self._drop(wanted)
        known = {row.object_id for row in self._rows}
        for first, last in _runs([row.object_id not in known for row in rows]):
            self.beginInsertRows(QModelIndex(), first, last)
            self._rows[first:first] = rows[first : last + 1]
            self.endInsertRows()
        changed = [at for at, (old, new) in enumerate(zip(self._rows, rows, strict=True)) if old != new]
        self._rows = list(rows)
        if changed:
            self.dataChanged.emit(self.index(changed[0], 0), self.index(changed[-1], len(COLUMNS) - 1))

    def row_of(self, at: int) -> ObjectRow:
        """What is told in a row."""
        return self._rows[at]

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, D102
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, D102
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: D102
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section]
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.ToolTipRole:
            return _TIPS[section]
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: D102
        row, column = self._rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DecorationRole and column == COLOR:
            color = self._color(row.object_id)
            return None if color is None else QColor.fromRgbF(*(float(part) for part in color[:3]))
        if role == Qt.ItemDataRole.ToolTipRole:
            return _worst_details(row) if column == WORST else _details(row)
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return _text(row, column)
        if role == Qt.ItemDataRole.TextAlignmentRole and column in (ID, PARENT, FRAMES, WORST):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if role == _SORT:
            # Those without a mask are at the end that needs a look.
            key = (
                row.object_id,
                row.object_id,
                row.name,
                0 if row.parent is None else row.parent,
                row.num_frames,
                0.0 if row.worst is None else row.worst.confidence,
                row.state,
            )
            return key[column]
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:  # noqa: D102
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        return flags | Qt.ItemFlag.ItemIsEditable if index.column() in (NAME, PARENT) else flags

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:  # noqa: D102
        row, column = self._rows[index.row()], index.column()
        told = {NAME: self.renamed, PARENT: self.adopted}.get(column)
        if role != Qt.ItemDataRole.EditRole or told is None or str(value) == _text(row, column):
            return False
        # It is shown when the session has it.
        told.emit(row.object_id, str(value))
        return True

    def _drop(self, wanted: Collection[int]) -> None:
        for first, last in reversed(_runs([row.object_id not in wanted for row in self._rows])):
            self.beginRemoveRows(QModelIndex(), first, last)
            del self._rows[first : last + 1]
            self.endRemoveRows()


class ObjectTable(QTableView):
    """The view: rows are selected as a whole, several at once; a header sorts."""

    jumped: ClassVar[Signal] = Signal(int, object)
    """The object ID of a row that was double-clicked, and the frame that was meant; None for none."""

    def __init__(self, parent: QWidget, color: Callable[[int], Any]) -> None:
        super().__init__(parent)
        self.objects = ObjectTableModel(self, color)
        self._sorted = QSortFilterProxyModel(self)
        self._sorted.setSourceModel(self.objects)
        self._sorted.setSortRole(_SORT)
        self.setModel(self._sorted)
        self.setSortingEnabled(True)
        self.sortByColumn(ID, Qt.SortOrder.AscendingOrder)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(
            QAbstractItemView.EditTrigger.EditKeyPressed | QAbstractItemView.EditTrigger.SelectedClicked
        )
        self.setShowGrid(False)
        self.setMinimumHeight(130)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(20)
        header = self.horizontalHeader()
        header.setMinimumSectionSize(16)
        header.setHighlightSections(False)
        for column, width in ((COLOR, 20), (ID, 32), (PARENT, 46), (FRAMES, 50), (WORST, 46), (STATE, 58)):
            self.setColumnWidth(column, width)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        self.doubleClicked.connect(self._on_double_click)

    def selected_objects(self) -> list[int]:
        """IDs of the objects selected, sorted."""
        rows = (self._sorted.mapToSource(index).row() for index in self.selectionModel().selectedRows())
        return sorted(self.objects.row_of(row).object_id for row in rows)

    def select_objects(self, object_ids: Collection[int]) -> None:
        """Select these objects, and no others."""
        selection, last = QItemSelection(), len(COLUMNS) - 1
        for row, object_id in enumerate(self.objects.object_ids):
            if object_id in object_ids:
                ends = (self._sorted.mapFromSource(self.objects.index(row, column)) for column in (0, last))
                selection.select(*ends)
        self.selectionModel().select(selection, QItemSelectionModel.SelectionFlag.ClearAndSelect)

    def _on_double_click(self, index: QModelIndex) -> None:
        row = self.objects.row_of(self._sorted.mapToSource(index).row())
        worst = row.worst if index.column() == WORST else None
        self.jumped.emit(row.object_id, None if worst is None else worst.frame)


def _runs(flags: Sequence[bool]) -> list[tuple[int, int]]:
    """First and last position of each run of positions that are flagged."""
    runs: list[tuple[int, int]] = []
    for at, flag in enumerate(flags):
        if flag and runs and runs[-1][1] == at - 1:
            runs[-1] = runs[-1][0], at
        elif flag:
            runs.append((at, at))
    return runs


def _text(row: ObjectRow, column: int) -> str:
    worst = "" if row.worst is None else f"{row.worst.confidence:.2f}"
    parent = "" if row.parent is None else str(row.parent)
    return ("", str(row.object_id), row.name, parent, str(row.num_frames), worst, row.state)[column]


def _details(row: ObjectRow) -> str:
    name = f" ({row.name})" if row.name else ""
    where = "no masks" if row.first is None else f"frames {row.first} to {row.last}"
    return f"Object {row.object_id}{name}: {where}. A double click goes there."


def _worst_details(row: ObjectRow) -> str:
    if row.worst is None:
        return _details(row)
    why = f"; {row.worst.reason}" if row.worst.reason else ""
    return f"Frame {row.worst.frame}: confidence {row.worst.confidence:.2f}{why}. A double click goes there."
