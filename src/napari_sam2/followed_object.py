"""What the network is given of one object: its memories, where it was last seen, what was made of its prompts."""

from dataclasses import dataclass, field

from napari_sam2.overlaps import SeenMask
from sam2_torch.memory_bank import MemoryBank
from sam2_torch.outputs import MaskPrediction
from sam2_torch.windows import Window


@dataclass(frozen=True, slots=True)
class PromptedFrame:
    """What the prompts on one frame gave: the window looked at, and the prediction (N = 1)."""

    window: Window
    prediction: MaskPrediction


@dataclass(slots=True)
class FollowedObject:
    """One object's state: its memories, where it was last seen, what was made of its prompts.

    Attributes
    ----------
    diameter
        In source pixels; None until known.
    diameter_from
        The frame whose prompts told the diameter; None if the user did.
    window
        Where the object is looked for next.
    prompted
        By frame; kept until the prompts change.
    last
        Its mask on the last tracked frame that was remembered, if that was in this run.
    distrusted
        Tracked frames that were not to be remembered.
    """

    object_id: int
    bank: MemoryBank
    diameter: float | None = None
    diameter_from: int | None = None
    window: Window | None = None
    prompted: dict[int, PromptedFrame] = field(default_factory=dict)
    last: SeenMask | None = None
    distrusted: set[int] = field(default_factory=set)

    @property
    def place(self) -> tuple[float, float] | None:
        """The middle (y, x) of the window."""
        return None if self.window is None else center_of(self.window)


def center_of(window: Window) -> tuple[float, float]:
    """The middle (y, x) of a window."""
    return window.y0 + window.height / 2, window.x0 + window.width / 2
