"""The Labels layers of one session: all objects in one layer, and some of them in layers of their own."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from threading import RLock

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_sam2.layers.hand_edits import HandEdits
from napari_sam2.layers.masklet_writer import merge_labels, read_frame, refresh_pixels, reset_undo, write_frame
from napari_sam2.prompts import MaskPrompt

LOCKED = "painting is locked while masks are propagated"
_PAINTING = ("paint", "fill", "erase", "polygon")


class MaskLayer:
    """One Labels layer that the session writes and a person may paint in."""

    def __init__(self, layer: Labels) -> None:
        self.layer = layer
        self.edits = HandEdits(layer)
        self._unlocked: tuple[bool, str, str] | None = None

    def write(
        self, frame: int, labels: NDArray[np.uint32], replaced: Collection[int], *, shown: bool
    ) -> NDArray[np.uint32]:
        """Write (Y, X) labels of the session into a frame, and return what the frame holds then."""
        present = read_frame(self.layer, frame)
        merged = self.edits.keep(frame, merge_labels(present, labels, replaced), present)
        write_frame(self.layer, frame, merged, shown=shown)
        self._forget_history()
        return merged

    def is_bare(self, object_id: int, frame: int) -> bool:
        """Whether somebody painted on a frame here, and it has no pixel of an object."""
        return frame in self.edits.frames and not (read_frame(self.layer, frame) == object_id).any()

    @property
    def may_be_painted(self) -> bool:
        """Whether somebody has a brush in hand, or could take back a stroke."""
        return self._unlocked is None and (self.edits.has_history or self.layer.mode in _PAINTING)

    def lock(self) -> None:
        """Take the brush away for as long as a run writes; this empties the undo history, too."""
        if self._unlocked is None:
            self._unlocked = self.layer.editable, self.layer.mode, self.layer.help
            self.layer.editable = False
            self.layer.help = LOCKED
            self.edits.history_reset()

    def unlock(self) -> None:
        """Give the brush back."""
        if self._unlocked is not None:
            editable, mode, text = self._unlocked
            self._unlocked = None
            self.layer.editable = editable
            if editable:
                self.layer.mode = mode
            self.layer.help = text

    def _forget_history(self) -> None:
        # Undo would bring back pixels from before the masks just written.
        if self.edits.has_history:
            reset_undo(self.layer)
            self.edits.history_reset()


class MaskLayers:
    """All objects in `main`, in which a label is an object ID, and copies of single objects in layers of their own.

    Invariant: nobody takes a brush in hand while another thread than the GUI's writes.
    """

    def __init__(self, labels: Labels) -> None:
        self._turn = RLock()
        self.main = MaskLayer(labels)
        self._watch(self.main)
        self.single: dict[int, MaskLayer] = {}
        self.given: dict[tuple[int, int], MaskPrompt] = {}
        """By (object ID, frame), what was painted as far as the session was told of it."""
        self._strokes_at_click: dict[tuple[int, int], int] = {}

    def __iter__(self) -> Iterator[MaskLayer]:
        yield self.main
        yield from self.single.values()

    def add_single(self, object_id: int, layer: Labels) -> None:
        """Show an object in an empty layer of its own, too, from now on."""
        with self._turn:
            self.single[object_id] = MaskLayer(layer)
        self._watch(self.single[object_id])

    def forget(self, layer: Labels) -> None:
        """Leave a layer of a single object alone from now on, because it was removed from the viewer."""
        for object_id, single in list(self.single.items()):
            if single.layer == layer:
                with self._turn:
                    del self.single[object_id]
                self._unwatch(single)

    def write(self, frame: int, labels: NDArray[np.uint32], replaced: Collection[int], *, shown: bool = True) -> None:
        """Write the (Y, X) labels of the session into a frame.

        Objects that are neither in them nor in `replaced` stay, and so do pixels painted by hand.
        """
        with self._turn:
            self.write_singles(frame, self.main.write(frame, labels, replaced, shown=shown), shown=shown)

    def write_singles(self, frame: int, labels: NDArray[np.uint32], *, shown: bool = True) -> None:
        """Write each object that has a layer of its own from (Y, X) labels into that layer."""
        with self._turn:
            for object_id, single in self.single.items():
                mask = np.where(labels == object_id, labels, np.uint32(0))
                single.write(frame, mask, (object_id,), shown=shown)

    @contextmanager
    def written_aside(self) -> Iterator[bool]:
        """Whether another thread than the GUI's may write inside, though not draw: nobody has a brush in hand."""
        with self._turn:
            yield not any(mask_layer.may_be_painted for mask_layer in self)

    def refresh(self) -> None:
        """Draw all layers anew."""
        for mask_layer in self:
            refresh_pixels(mask_layer.layer)

    def clicked(self, object_id: int, frame: int) -> None:
        """Take note of a click: strokes before it are no prompt of the object any more, though their pixels stay.

        If they left nothing of its mask, the click makes it anew.
        """
        self._strokes_at_click[object_id, frame] = self._strokes(frame)
        for mask_layer in self:
            mask_layer.edits.take_erased((object_id, frame))

    def mask_prompts(self) -> list[MaskPrompt]:
        """Return the objects that were painted by hand, and not clicked on since, as prompts."""
        skip = self._clicked_since
        painted = {(p.object_id, p.frame): p for mask_layer in self for p in mask_layer.edits.mask_prompts(skip)}
        return list(painted.values())

    def take_erased(self, before: Collection[tuple[int, int]] = ()) -> set[tuple[int, int]]:
        """Return (object ID, frame) of those of whose masks no pixel was left by hand, and which are to be shown anew.

        Masks of the session are returned once, painted ones as long as the session is told of them. One that was
        painted in another layer is there.

        Parameters
        ----------
        before
            Those that were returned earlier, of which those are returned again that were not painted or clicked since.
        """
        erased = {key for mask_layer in self for key in mask_layer.edits.take_erased()}
        clicked = self._clicked_since
        erased, told = erased.union(before) - clicked, self.given.keys() - clicked
        if not erased and not told:
            return set()
        painted = {(prompt.object_id, prompt.frame) for prompt in self.mask_prompts()}
        gone = {key for key in told - painted if any(shown.is_bare(*key) for shown in self._showing(key[0]))}
        return (erased | gone) - painted

    def outdate(self, object_id: int, frame: int) -> None:
        """Let what was painted of an object on a frame go: the session says something else of it by now."""
        self.clicked(object_id, frame)
        self.given.pop((object_id, frame), None)
        for mask_layer in self:
            mask_layer.edits.forget(object_id, frame)

    def give_prompts(self, erased: Collection[tuple[int, int]] = ()) -> list[MaskPrompt]:
        """Return `mask_prompts` for the session to be told of them.

        Parameters
        ----------
        erased
            (object ID, frame) of masks that were erased since the session was told of them, and go on to be given.
        """
        kept = {key: prompt for key, prompt in self.given.items() if key in erased}
        self.given = kept | {(prompt.object_id, prompt.frame): prompt for prompt in self.mask_prompts()}
        return list(self.given.values())

    def _showing(self, object_id: int) -> Iterator[MaskLayer]:
        """The layers in which an object is shown."""
        yield self.main
        if object_id in self.single:
            yield self.single[object_id]

    @property
    def _clicked_since(self) -> set[tuple[int, int]]:
        """(object ID, frame) of those that were clicked on after the last stroke there."""
        return {key for key, strokes in self._strokes_at_click.items() if strokes == self._strokes(key[1])}

    def _strokes(self, frame: int) -> int:
        return sum(mask_layer.edits.strokes[frame] for mask_layer in self)

    def lock(self) -> None:
        """Keep the brush off all layers, and empty their undo histories."""
        for mask_layer in self:
            mask_layer.lock()

    def unlock(self) -> None:
        """Let the brush onto all layers again."""
        for mask_layer in self:
            mask_layer.unlock()

    def disconnect(self) -> None:
        """Leave all layers alone from now on, unlocked."""
        self.unlock()
        for mask_layer in self:
            self._unwatch(mask_layer)

    def _watch(self, mask_layer: MaskLayer) -> None:
        mask_layer.layer.events.mode.connect(self._on_mode)

    def _unwatch(self, mask_layer: MaskLayer) -> None:
        mask_layer.layer.events.mode.disconnect(self._on_mode)
        mask_layer.edits.disconnect()

    def _on_mode(self, _event: object) -> None:
        """Wait for what is written at this moment, before the brush that somebody took is used."""
        with self._turn:
            pass
