"""What a session was told about how to follow objects."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from napari_sam2.cleaning import Cleaning
from napari_sam2.errors import PromptError
from napari_sam2.memory_policy import ORIGINAL, MemoryPolicy
from napari_sam2.tuning import AS_TRAINED, Tuning
from sam2_torch.memory_bank import MemoryRules

if TYPE_CHECKING:
    from sam2_torch.config import SAM2Config


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How objects are followed; see `TrackingSession` for what each setting does.

    Raises
    ------
    PromptError
        For a diameter or a number of prompted frames that is none.
    """

    diameter: float | None = None
    max_prompted: int | None = None
    restart_at_prompts: bool = False
    memory_policy: MemoryPolicy = ORIGINAL
    cleaning: Cleaning = field(default_factory=Cleaning)
    tuning: Tuning = AS_TRAINED

    def __post_init__(self) -> None:
        diameter, max_prompted = self.diameter, self.max_prompted
        if diameter is not None and not 1 <= diameter <= 10_000:
            raise PromptError(f"diameter is {diameter}, expected 1 to 10000 pixels; leave it out to have it estimated")
        if max_prompted is not None and max_prompted < 1:
            raise PromptError(f"max_prompted is {max_prompted}, expected 1 or more; leave it out to use all prompts")

    def answers_as(self, other: "SessionSettings") -> bool:
        """Whether prompts that were answered under other settings need not be answered anew under these."""
        kept = replace(self.tuning, cache_bytes=other.tuning.cache_bytes)
        return replace(self, cleaning=other.cleaning, tuning=kept) == other

    def rules(self, config: "SAM2Config") -> MemoryRules:
        """How far memory reaches with a model."""
        return replace(
            MemoryRules.of(config),
            max_prompted=self.max_prompted,
            restart_at_prompts=self.restart_at_prompts,
            max_recent=self.memory_policy.max_recent,
            anchors=self.memory_policy.anchors,
            anchor_every=self.memory_policy.anchor_every,
        )
