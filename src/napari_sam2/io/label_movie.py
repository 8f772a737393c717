"""Labels of a movie, true or found, read one frame at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sam2.errors import EvaluationError
from napari_sam2.io.track_lines import TrackLine


class Labels(Protocol):
    """(T, Y, X) labels, 0 for none, taken frame by frame: a numpy array, or a `LabelMovie`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """T, Y and X."""

    def __iter__(self) -> Iterator[Any]:
        """Go through the frames."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelMovie:
    """Labels of some frames of a movie, each read when it is asked for.

    Attributes
    ----------
    name
        How messages call it.
    numbers
        Which frames of the movie have labels, rising; T of them.
    shape_yx
        Of each frame.
    read
        The (Y, X) labels of the k-th of these frames.
    numbered
        Whether the files say which frames they are; if not, they are taken in order.
    lines
        Lineage, as the Cell Tracking Challenge has it; None if nothing is known of it.
    segmentation
        Labels with exact outlines, whose IDs mean nothing, of some of the frames; None if there are no others.
    """

    name: str
    numbers: tuple[int, ...]
    shape_yx: tuple[int, int]
    read: Callable[[int], NDArray[Any]]
    numbered: bool = False
    lines: tuple[TrackLine, ...] | None = None
    segmentation: "LabelMovie | None" = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(T, Y, X), T being the number of frames that have labels."""
        return len(self.numbers), *self.shape_yx

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        return (self.frame(k) for k in range(len(self)))

    def frame(self, k: int) -> NDArray[np.int64]:
        """Read the (Y, X) labels of the k-th frame.

        Raises
        ------
        EvaluationError
            If they cannot be read, are no whole numbers from 0 on, or have another shape than the first.
        """
        where = f"frame {self.numbers[k]} of {self.name}"
        try:
            labels = np.asarray(self.read(k))
        except Exception as exc:
            raise EvaluationError(f"cannot read {where}: {exc}; copy or export it again") from exc
        if labels.shape != self.shape_yx:
            raise EvaluationError(f"{where} has the shape {labels.shape}, expected {self.shape_yx} like the first one")
        if labels.dtype.kind not in "bui" or (labels.dtype.kind == "i" and labels.size and labels.min() < 0):
            raise EvaluationError(
                f"{where} holds {labels.dtype}, expected labels: whole numbers from 0 on; export it as a label image"
            )
        return labels.astype(np.int64)

    def at(self, numbers: Sequence[int]) -> "LabelMovie":
        """Take the labels of some frames of the movie, to compare with others that have just these.

        If the files do not say which frames they are, and are as many as asked for, they are taken in order.

        Raises
        ------
        EvaluationError
            If there are none of a frame.
        """
        if not self.numbered and len(self) == len(numbers):
            return replace(self, numbers=tuple(numbers))
        places = {number: k for k, number in enumerate(self.numbers)}
        if missing := [number for number in numbers if number not in places]:
            raise EvaluationError(
                f"{self.name} has labels of {len(self)} frames, but none of frame {missing[0]}, which the other side "
                f"has: {len(missing)} of {len(numbers)} are missing; track the whole movie, or cut the truth"
            )
        chosen, read = [places[number] for number in numbers], self.read
        return replace(self, numbers=tuple(numbers), read=lambda k: read(chosen[k]))

    def first(self, count: int | None) -> "LabelMovie":
        """Leave out all but the first frames; None leaves all."""
        return replace(self, numbers=self.numbers[:count])
