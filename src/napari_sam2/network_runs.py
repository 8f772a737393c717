"""Running the network on what a device has room for, and not believing one that gets its sums wrong."""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from napari_sam2.devices import give_back_memory, is_out_of_memory
from napari_sam2.errors import DeviceError, NapariSam2Warning
from sam2_torch.network import SAM2
from sam2_torch.outputs import FrameMemory, MaskPrediction

OBJECTS_PER_BATCH = 32

A = TypeVar("A")
R = TypeVar("R")
Made = TypeVar("Made", MaskPrediction, FrameMemory)


class NetworkRuns:
    """Runs work with a model in batches that shrink when memory is short.

    Parameters
    ----------
    forget
        Drops what is kept on the device, if that is given up.
    """

    def __init__(self, model: SAM2, *, forget: Callable[[], None]) -> None:
        self._model = model
        self._forget = forget
        self._objects_per_batch = OBJECTS_PER_BATCH

    def in_batches(self, items: Sequence[A], work: Callable[[Sequence[A]], list[R]]) -> list[R]:
        """The results for all items, so many at a time as there is memory for."""
        results: list[R] = []
        waiting = items
        while waiting:
            batch = waiting[: self._objects_per_batch]
            try:
                results += self.on_a_sound_device(partial(work, batch))
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or len(batch) == 1:
                    raise
                self._objects_per_batch = len(batch) // 2
                give_back_memory(self._model.device)
            else:
                waiting = waiting[len(batch) :]
        return results

    def on_a_sound_device(self, work: Callable[[], R]) -> R:
        """Do the work; if Apple's GPU gets it wrong, once more on the CPU, where the model stays from then on."""
        try:
            return work()
        except DeviceError:
            if self._model.device.type != "mps":
                raise
        text = "The device mps gave numbers that are not finite: the CPU goes on in its place, slower."
        warnings.warn(text, NapariSam2Warning, stacklevel=2)
        self._model.to("cpu")
        self._forget()
        return work()


def checked(made: Made) -> Made:
    """What the network made, if all its numbers are numbers. Raises DeviceError otherwise."""
    if not made.is_finite:
        raise DeviceError(
            f"The network gave numbers that are not finite on the device {made.pointer.device}. "
            "Choose another device, or float32 instead of bfloat16."
        )
    return made
