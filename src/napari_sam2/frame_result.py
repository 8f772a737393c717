"""What a propagation yields for each frame."""

from dataclasses import dataclass

from napari_sam2.masklets import FrameMask


@dataclass(frozen=True, slots=True)
class FrameResult:
    """One frame of a propagation.

    Attributes
    ----------
    frame
        Its number.
    masks
        Of the objects that were found, as the session keeps them.
    absent
        IDs of the objects that are not there, their object score being 0 or less.
    empty
        IDs of the objects that should be there, but got no pixel: other objects have them all.
    doubtful
        IDs of the objects whose masks the memory policy does not trust; they are shown, but not remembered.
    """

    frame: int
    masks: tuple[FrameMask, ...]
    absent: tuple[int, ...]
    empty: tuple[int, ...] = ()
    doubtful: tuple[int, ...] = ()
