"""What the buttons and keys for undo and for objects do, to the movie that is chosen."""

from collections.abc import Callable
from typing import Any

from napari.utils.notifications import show_warning

from napari_sam2.widget import edits
from napari_sam2.widget.object_panel import ObjectPanel
from napari_sam2.widget.open_movie import OpenMovie
from napari_sam2.widget.undo_line import UndoLine
from napari_sam2.widget.viewing import look_at, shown_frame

SELECT_FIRST = "Select objects in the table first."


class ObjectActions:
    """Wires undo line and object panel to the movie that is chosen.

    Parameters
    ----------
    movie
        The one chosen; None if there is none.
    """

    def __init__(self, viewer: Any, line: UndoLine, panel: ObjectPanel, movie: Callable[[], OpenMovie | None]) -> None:
        self._viewer = viewer
        self._line = line
        self._panel = panel
        self._chosen = movie
        for button, action in (
            (line.undo, self.undo),
            (line.redo, self.redo),
            (panel.merge, self.merge),
            (panel.split, self.split),
            (panel.swap, self.swap),
            (panel.end, self.end),
            (panel.divide, self.divide),
            (panel.own_layers, self.own_layers),
            (panel.remove, self.remove),
        ):
            # A method, not a lambda: the button must not keep the widget alive.
            button.clicked.connect(action)
        panel.table.jumped.connect(self.jump)
        panel.table.objects.renamed.connect(self.rename)
        panel.table.objects.adopted.connect(self.set_parent)

    def show(self) -> None:
        """Show what can be done now."""
        movie = self._chosen()
        can_edit = movie is not None and movie.controller.can_edit
        undo, redo = (None, None) if movie is None else movie.controller.steps
        self._line.show_steps(undo, redo, can_edit=can_edit)
        self._panel.enable(can_edit=can_edit)

    def undo(self, *_: object) -> None:
        """Take back the last step."""
        self._edit(edits.undo())

    def redo(self, *_: object) -> None:
        """Do again what was undone last."""
        self._edit(edits.redo())

    def remove(self, *_: object) -> None:
        """Remove the objects selected."""
        if selected := self._selected():
            self._edit(edits.remove(selected))

    def merge(self, *_: object) -> None:
        """Make one object of those selected."""
        selected = self._selected(at_least=2)
        if selected:
            self._edit(edits.merge(selected))

    def swap(self, *_: object) -> None:
        """Let the two objects selected change places from the frame on screen on."""
        selected, frame = self._selected(at_least=2), self._frame()
        if len(selected) > 2:
            show_warning("Two objects can be swapped: select no more of them.")
        elif selected and frame is not None:
            self._edit(edits.swap(selected[0], selected[1], frame))

    def split(self, *_: object) -> None:
        """Let the objects selected be others from the frame on screen on."""
        selected, frame = self._selected(), self._frame()
        if selected and frame is not None:
            self._edit(edits.split(selected, frame))

    def end(self, *_: object) -> None:
        """Say that the objects selected, or else the one that clicks are about, end at the frame on screen."""
        meant, frame = self._meant(), self._frame()
        if meant and frame is not None:
            self._edit(edits.end(meant, frame))

    def divide(self, *_: object) -> None:
        """Say that the same divide there."""
        meant, frame = self._meant(), self._frame()
        if meant and frame is not None:
            self._edit(edits.divide(meant, frame))

    def set_parent(self, object_id: int, typed: str) -> None:
        """Say which object one came from, by the ID that was typed; nothing for none."""
        if typed.strip() and not typed.strip().isdecimal():
            show_warning(f"A parent is the ID of an object, not {typed.strip()[:20]!r}; leave it empty for none.")
        else:
            self._edit(edits.set_parent(object_id, int(typed) if typed.strip() else None))

    def rename(self, object_id: int, name: str) -> None:
        """Give an object a name."""
        self._edit(edits.rename(object_id, name))

    def own_layers(self, *_: object) -> None:
        """Make a layer for each object selected in the table, or else for those whose points are selected."""
        movie = self._chosen()
        if movie is None:
            return
        selected = self._panel.selected_objects() or movie.selected_objects()
        if selected:
            movie.controller.split(selected)
        else:
            show_warning(SELECT_FIRST)

    def jump(self, object_id: int, to: int | None = None) -> None:
        """Show an object on a frame, else on that on screen or its first one; clicks are about it then."""
        movie = self._chosen()
        session = None if movie is None else movie.controller.session
        if movie is None or session is None:
            return
        movie.tool.object_id = object_id
        masklet, row = session.masklets.get(object_id), movie.controller.objects.rows.get(object_id)
        frame = shown_frame(self._viewer, movie.image) if to is None else to
        if masklet is None or row is None or row.first is None:
            return
        if frame is None or frame not in masklet:
            frame = row.first
        look_at(self._viewer, movie.image, frame, masklet[frame].centroid)

    def _edit(self, edit: edits.Edit) -> None:
        movie = self._chosen()
        if movie is not None:
            movie.controller.edit(edit)

    def _meant(self) -> list[int]:
        """The objects selected, or else the one that clicks are about."""
        movie = self._chosen()
        return self._panel.selected_objects() or ([] if movie is None else [movie.tool.object_id])

    def _selected(self, at_least: int = 1) -> list[int]:
        selected = self._panel.selected_objects()
        if len(selected) < at_least:
            show_warning(SELECT_FIRST if at_least == 1 else "Select two objects in the table first.")
            return []
        return selected

    def _frame(self) -> int | None:
        movie = self._chosen()
        frame = None if movie is None else shown_frame(self._viewer, movie.image)
        if movie is not None and frame is None:
            show_warning("This needs one frame on screen: show the movie in 2-D with time on the slider.")
        return frame
