"""Where the masks of one movie are shown, from the first one on, and again after that was removed. No Qt here."""

import time
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import replace
from typing import Any

from napari.layers import Labels

from napari_sam2.errors import PropagationError
from napari_sam2.layers import MaskLayers
from napari_sam2.prompts import MaskPrompt
from napari_sam2.widget.answers import FrameAnswer

_BETWEEN_S = 0.1


class MaskOutput:
    """The Labels layers of one session, made when they are needed.

    Parameters
    ----------
    make_labels
        Makes an empty Labels layer of the name given and shows it.
    shown_frame
        The frame on screen, None if several are.

    Attributes
    ----------
    layers
        None as long as there are none, or none any more.
    """

    def __init__(self, make_labels: Callable[[str], Labels], shown_frame: Callable[[], int | None]) -> None:
        self.layers: MaskLayers | None = None
        self._make_labels = make_labels
        self._shown_frame = shown_frame
        self._is_due, self._drawn = False, 0.0
        self.ensure()

    def ensure(self) -> MaskLayers:
        """Return the layers; the main one is made if it is not there."""
        if self.layers is None:
            self.layers = MaskLayers(self._make_labels("masks"))
        return self.layers

    def add_single(self, object_id: int) -> None:
        """Show an object in an empty layer of its own, too, unless it has one."""
        layers = self.ensure()
        if object_id not in layers.single:
            layers.add_single(object_id, self._make_labels(f"object {object_id}"))

    def write(self, answer: FrameAnswer, *, copy: bool) -> bool:
        """Write the masks of a frame, if there are layers; only into those of single objects if it is a `copy`.

        Raises
        ------
        PropagationError
            If they cannot be written.
        """
        return self.layers is not None and self._write(self.layers, answer, copy, self._is_shown(answer.frame))

    def writing(
        self, answers: Iterator[Any], *, copy: bool, is_wanted: Callable[[FrameAnswer], bool]
    ) -> Generator[Any, None, None]:
        """Write the masks of frames as they come, in the thread that asks for them, and leave `show` to the GUI's.

        What could meet with a brush in somebody's hand is left for the GUI's thread to `write`, as `is_written` tells,
        and so is what is not wanted any more. Raises as `write` does.
        """
        try:
            for answer in answers:
                yield self._written(answer, copy) if isinstance(answer, FrameAnswer) and is_wanted(answer) else answer
        finally:
            if isinstance(answers, Generator):
                answers.close()

    def show(self, frame: int, *, at_once: bool) -> bool:
        """Draw a frame that was written elsewhere, if it is on screen; returns whether there are layers.

        Unless it is wanted `at_once`, layers are drawn ten times a second at most, and `finish` draws what is left.
        """
        self._is_due |= self._is_shown(frame)
        if self._is_due and (at_once or time.monotonic() - self._drawn > _BETWEEN_S):
            self.finish()
        return self.layers is not None

    def finish(self) -> None:
        """Draw what was not drawn yet."""
        if self._is_due and self.layers is not None:
            self.layers.refresh()
            self._drawn = time.monotonic()
        self._is_due = False

    def _written(self, answer: FrameAnswer, copy: bool) -> FrameAnswer:
        layers = self.layers
        if layers is None:
            return answer
        with layers.written_aside() as may_write:
            return replace(answer, is_written=may_write and self._write(layers, answer, copy, False))

    def _write(self, layers: MaskLayers, answer: FrameAnswer, copy: bool, shown: bool) -> bool:
        try:
            if copy:
                layers.write_singles(answer.frame, answer.labels, shown=shown)
            else:
                layers.write(answer.frame, answer.labels, answer.replaced, shown=shown)
        except OSError as error:
            raise PropagationError(
                f"Frame {answer.frame} could not be written ({error}): make room on disk."
            ) from error
        return True

    def _is_shown(self, frame: int) -> bool:
        return self._shown_frame() in (None, frame)

    def clicked(self, object_id: int, frame: int) -> None:
        """See `MaskLayers.clicked`."""
        if self.layers is not None:
            self.layers.clicked(object_id, frame)

    def give_prompts(self, erased: Collection[tuple[int, int]]) -> list[MaskPrompt]:
        """See `MaskLayers.give_prompts`."""
        return [] if self.layers is None else self.layers.give_prompts(erased)

    @property
    def given(self) -> Collection[tuple[int, int]]:
        """(object ID, frame) of what was painted as far as the session was told of it."""
        return () if self.layers is None else self.layers.given.keys()

    def take_erased(self, before: Collection[tuple[int, int]]) -> set[tuple[int, int]]:
        """See `MaskLayers.take_erased`."""
        return set(before) if self.layers is None else self.layers.take_erased(before)

    def lock(self) -> None:
        """Keep the brush off, and empty the undo histories of the layers."""
        if self.layers is not None:
            self.layers.lock()

    def unlock(self) -> None:
        """Let the brush on again."""
        if self.layers is not None:
            self.layers.unlock()

    def forget(self, layer: Labels) -> bool:
        """Leave a layer alone because it was removed; returns whether it was the main one, so that all are."""
        if self.layers is None:
            return False
        self.layers.forget(layer)
        if self.layers.main.layer != layer:
            return False
        self.close()
        return True

    def close(self) -> None:
        """Leave all of them alone; they stay as ordinary layers."""
        if self.layers is not None:
            self.layers.disconnect()
            self.layers = None

    def from_here(self, frame: int) -> int:
        """How far a frame is from the one on screen."""
        here = self._shown_frame()
        return frame if here is None else abs(frame - here)
