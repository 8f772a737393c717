"""What is done to a mask before it is shown and stored; what the network remembers is never touched."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_sam2.errors import PromptError

MOST_PIXELS = 2**31 - 1
_EIGHT_NEIGHBORS = np.ones((3, 3), bool)


@dataclass(frozen=True, slots=True)
class Cleaning:
    """How masks are tidied up; sizes are areas in source pixels, and 0 leaves masks as the network made them.

    Source: the original fills holes of at most 8 pixels of its masks at a quarter of 1024 x 1024, and leaves overlaps;
    both after its memory was made, as here, but for prompted frames.

    Attributes
    ----------
    fill_holes
        Holes of at most this size are filled. Pixels that touch only at a corner are one hole.
    remove_pieces
        Pieces of at most this size are removed, but for an object's largest one.
    separate
        Whether a pixel belongs to one object at most.

    Raises
    ------
    PromptError
        For a size that is none.
    """

    fill_holes: int = field(
        default=0,
        metadata={"label": "Fill holes", "help": "Fill holes in masks of at most so many pixels; 0 fills none."},
    )
    remove_pieces: int = field(
        default=0,
        metadata={
            "label": "Remove pieces",
            "help": "Remove loose pieces of masks of at most so many pixels; 0 removes none, the largest always stays.",
        },
    )
    separate: bool = field(
        default=True,
        metadata={"label": "No overlaps", "help": "Give a pixel to one object at most, the one that is surest of it."},
    )

    def __post_init__(self) -> None:
        for name in ("fill_holes", "remove_pieces"):
            value = getattr(self, name)
            if not 0 <= value <= MOST_PIXELS:
                raise PromptError(f"{name} is {value}, expected an area of 0 to {MOST_PIXELS} pixels; 0 is off")

    def apply(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A clean copy of a mask (h, w) bool. What reaches the border of the array is no hole."""
        if not (self.fill_holes or self.remove_pieces) or not mask.any():
            return mask.copy()
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        place = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        cleaned = mask.copy()
        cleaned[place] = self._pieces(self._holes(mask[place]))
        return cleaned

    def _holes(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        if not self.fill_holes:
            return mask
        holes, areas = label_pieces(~mask)
        fill = areas <= self.fill_holes
        # Whatever lies around the mask is no hole; a hole does not reach the smallest box around it.
        fill[np.unique(np.concatenate([holes[0], holes[-1], holes[:, 0], holes[:, -1]]))] = False
        fill[0] = False
        return mask | fill[holes]

    def _pieces(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        if not self.remove_pieces:
            return mask
        pieces, areas = label_pieces(mask)
        keep = areas > self.remove_pieces
        keep[1 + int(areas[1:].argmax())] = True
        keep[0] = False
        return keep[pieces]


WHOLE = Cleaning(fill_holes=MOST_PIXELS, remove_pieces=MOST_PIXELS)
"""One piece without holes."""


def label_pieces(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Connected pixels, at a corner too, get the same number, 0 outside of the mask; and the area of each number."""
    from scipy import ndimage

    numbers, count = ndimage.label(mask, _EIGHT_NEIGHBORS)
    return numbers, np.bincount(numbers.ravel(), minlength=count + 1)
