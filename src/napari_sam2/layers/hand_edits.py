"""Pixels that a person painted: they outlive the masks that the model writes over them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_sam2.layers.chosen_input import time_axis
from napari_sam2.layers.masklet_writer import read_frame
from napari_sam2.prompts import MaskPrompt


class HandEdits:
    """Follows brush, fill and eraser in a Labels layer over a movie.

    Kept for each frame are the touched pixels and what the model had there. A pixel counts as edited as long as it
    differs from that: one that is painted and taken back with undo is the model's again.
    """

    def __init__(self, labels_layer: Labels) -> None:
        self._layer = labels_layer
        self._before: dict[int, tuple[NDArray[np.intp], NDArray[np.uint32]]] = {}
        self.strokes: Counter[int] = Counter()
        """How often each frame was painted on."""
        self.has_history = False
        """Whether something was painted since the last `history_reset`, so that undo could bring it back."""
        labels_layer.events.paint.connect(self._on_paint)

    def disconnect(self) -> None:
        """Stop following the layer."""
        self._layer.events.paint.disconnect(self._on_paint)

    def history_reset(self) -> None:
        """Say that the layer's undo history was emptied."""
        self.has_history = False

    @property
    def frames(self) -> tuple[int, ...]:
        """The frames that were painted on, sorted."""
        return tuple(sorted(self._before))

    def keep(self, frame: int, labels: NDArray[np.uint32], present: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Return the labels with the edited pixels of the frame as they are at present; all of them (Y, X)."""
        if frame not in self._before:
            return labels
        pixels, before = self._before[frame]
        now = present.flat[pixels]
        edited = now != before
        merged = labels.copy()
        merged.flat[pixels[edited]] = now[edited]
        # What the model would have there is what an undone edit goes back to from now on.
        self._before[frame] = pixels, np.where(edited, before, labels.flat[pixels]).astype(np.uint32)
        return merged

    def forget(self, object_id: int, frame: int) -> None:
        """Let the pixels of an object that were painted on a frame, and those erased from it, be the model's again."""
        if frame in self._before:
            pixels, before = self._before[frame]
            now = read_frame(self._layer, frame).flat[pixels]
            kept = (now == before) | ((now != object_id) & (before != object_id))
            self._before[frame] = pixels[kept], before[kept]

    def mask_prompts(self, skip: Iterable[tuple[int, int]] = ()) -> Iterator[MaskPrompt]:
        """Yield the objects whose pixels were edited, as masks for the model to go by.

        Parameters
        ----------
        skip
            Pairs of (object ID, frame) to leave out.
        """
        left_out = set(skip)
        for object_id, frame, mask in self._edited(self.frames):
            if (object_id, frame) not in left_out and mask.any():
                yield MaskPrompt(frame, object_id, mask)

    def take_erased(self, only: tuple[int, int] | None = None) -> set[tuple[int, int]]:
        """Return (object ID, frame) of those of whose masks nothing was left, once: they are no edits from then on.

        Where nothing was painted in their place, the pixels are the model's again.

        Parameters
        ----------
        only
            Ask for this object and frame alone.
        """
        frames = self.frames if only is None else only[1:]
        erased = {(object_id, frame) for object_id, frame, mask in self._edited(frames) if not mask.any()}
        erased &= erased if only is None else {only}
        for object_id, frame in erased:
            pixels, before = self._before[frame]
            self._before[frame] = pixels, np.where(before == object_id, np.uint32(0), before)
        return erased

    def _edited(self, frames: Iterable[int]) -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
        """The objects whose pixels were edited: ID, frame, and what is left of them or was added to them, (Y, X)."""
        for frame in sorted(self._before.keys() & set(frames)):
            present = read_frame(self._layer, frame)
            pixels, before = self._before[frame]
            now = present.flat[pixels]
            ids = np.union1d(now[now != before], before[now != before])
            for object_id in (int(value) for value in ids if value > 0):
                yield object_id, frame, present == object_id

    def _on_paint(self, event: Any) -> None:
        self.has_history = True
        for frame, yx, old in _touched_pixels(event.value, self._layer.data.shape, time_axis(self._layer)):
            pixels, first = np.unique(yx, return_index=True)
            known, before = self._before.get(frame, (np.empty(0, np.intp), np.empty(0, np.uint32)))
            new = ~np.isin(pixels, known)
            self._before[frame] = (
                np.concatenate([known, pixels[new]]),
                np.concatenate([before, old[first][new].astype(np.uint32)]),
            )
            self.strokes[frame] += 1


def _touched_pixels(
    atoms: Iterable[Any], shape: tuple[int, ...], time: int
) -> Iterator[tuple[int, NDArray[np.intp], NDArray[Any]]]:
    """Yield frame, flat (Y, X) indices and old values of the pixels in one item of the layer's history.

    An atom is a bounding box with a mask (brush, fill, polygon), or a plain tuple (indices, old values, new values).
    """
    for atom in atoms:
        if hasattr(atom, "slice_key"):
            starts = [part.start or 0 for part in atom.slice_key]
            sizes = [part.stop - start for part, start in zip(atom.slice_key, starts, strict=True)]
            inside = np.ones(sizes, dtype=bool) if atom.mask is None else atom.mask
            places = [axis + start for axis, start in zip(np.nonzero(inside), starts, strict=True)]
            old = np.asarray(atom.old_values).reshape(-1)
        else:
            places, old = [np.asarray(axis) for axis in atom[0]], np.asarray(atom[1]).reshape(-1)
        t, y, x = np.broadcast_arrays(places[time], *places[-2:])
        flat = np.ravel_multi_index((y.reshape(-1), x.reshape(-1)), shape[-2:])
        for frame in np.unique(t):
            here = t.reshape(-1) == frame
            yield int(frame), flat[here], old[here]
