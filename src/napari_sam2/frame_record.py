"""All that a session knows of one object on one frame, as a value: to be stored, and to be put back."""

from dataclasses import dataclass

from napari_sam2.followed_object import PromptedFrame
from napari_sam2.masklets import FrameMask
from napari_sam2.prompts import ObjectPrompts
from napari_sam2.trail import Origin


@dataclass(frozen=True, slots=True)
class Answer:
    """Which prompts of a frame were answered, and what of the object's memories had part in it.

    Attributes
    ----------
    step
        The direction (1 or -1) in which tracking came to the frame, if the prompts correct what it found there.
    sources
        The prompted frames that those memories came from.
    was_tracked
        Whether the mask took the place of a tracked one.
    """

    prompts: ObjectPrompts
    step: int | None = None
    sources: frozenset[int] = frozenset()
    was_tracked: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class FrameRecord:
    """One object on one frame; an empty one, of which all is as by default, says that nothing is known.

    Attributes
    ----------
    prompts
        The object's prompts on the frame.
    answer, prompted
        Which of them were answered, and what the network said; both or neither.
    diameter
        That of the object in source pixels, if it was told by the prompts on this frame.
    mask
        The mask shown.
    is_absent
        Whether the object was looked for and is not there.
    origin
        How the object was tracked to the frame, if it was.
    is_doubtful
        Whether the memory policy did not trust what was tracked.
    is_approved
        Whether a person has approved the mask.
    outdated
        The directions (1, -1) in which the masks beyond this frame are older than what is known here.
    """

    prompts: ObjectPrompts | None = None
    answer: Answer | None = None
    prompted: PromptedFrame | None = None
    diameter: float | None = None
    mask: FrameMask | None = None
    is_absent: bool = False
    origin: Origin | None = None
    is_doubtful: bool = False
    is_approved: bool = False
    outdated: frozenset[int] = frozenset()
