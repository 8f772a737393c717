"""Settings that the form, the command line and scripts share, declared once; importing them imports no torch."""

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from napari_sam2.cleaning import WHOLE, Cleaning
from napari_sam2.errors import PromptError

if TYPE_CHECKING:
    from sam2_torch.mask_generator import GeneratorSettings


@dataclass(frozen=True, slots=True)
class EverythingSettings:
    """Which masks count as objects.

    Attributes
    ----------
    quality
        Predicted IoU times stability of a mask, at least; higher finds fewer and surer ones.
    min_area
        Pixels that a mask must have.
    cleaning
        What is done to each mask; by default its largest piece is left, without holes.
    generator
        How models that see whole frames look for masks; by default as the original does.

    Raises
    ------
    PromptError
        For a quality or an area that is none.
    """

    quality: float = field(
        default=0.5,
        metadata={"label": "Quality", "help": "0 to 1, how sure of a mask to be; higher finds fewer and surer ones."},
    )
    min_area: int = field(default=10, metadata={"label": "Area", "help": "Pixels that an object must have."})
    cleaning: Cleaning = WHOLE
    generator: "GeneratorSettings | None" = None

    def __post_init__(self) -> None:
        if not 0 <= self.quality <= 1:
            raise PromptError(f"quality is {self.quality}, expected 0 (take all masks) to 1 (none is that good)")
        if self.min_area < 1:
            raise PromptError(f"min_area is {self.min_area}, expected 1 pixel or more")


def help_of(settings: type[Any], name: str) -> str:
    """What a setting is, as its dataclass says."""
    return next(str(known.metadata["help"]) for known in fields(settings) if known.name == name)
