"""With what a session is opened, as somebody chose it before a model is there; importing it imports no torch."""

from dataclasses import dataclass, fields
from typing import Any

from napari_sam2.devices import Precision
from napari_sam2.memory_policy import MemoryPolicy
from napari_sam2.tuning import AS_TRAINED, Tuning


@dataclass(frozen=True, slots=True)
class SessionSetup:
    """What can be chosen of a session beside its movie and its model.

    Attributes
    ----------
    diameter, memory_policy, max_recent, tuning
        As of `TrackingSession`.
    precision, device
        As of `load_model`.
    """

    diameter: float | None = None
    memory_policy: str | MemoryPolicy | None = None
    max_recent: int | None = None
    tuning: Tuning = AS_TRAINED
    precision: Precision = "float32"
    device: str = "auto"

    def as_arguments(self) -> dict[str, Any]:
        """As `open_session` takes it."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
