"""Track cells through microscopy movies with SAM 2, in napari and from Python.

The names below are looked up at first use, so ``import napari_sam2`` costs neither torch nor napari nor Qt.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam2.api import everything, open_session, reopen_session, save_results, track
    from napari_sam2.cleaning import Cleaning
    from napari_sam2.input_choice import InputChoice
    from napari_sam2.label_prompts import prompts_from_labels
    from napari_sam2.live import session
    from napari_sam2.memory_policy import MemoryPolicy
    from napari_sam2.models import load_model
    from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt
    from napari_sam2.settings import EverythingSettings
    from napari_sam2.tracking_session import TrackingSession
    from napari_sam2.tuning import Tuning
    from napari_sam2.video import Video

    __version__: str

__all__ = [
    "BoxPrompt",
    "Cleaning",
    "EverythingSettings",
    "InputChoice",
    "MaskPrompt",
    "MemoryPolicy",
    "PointPrompt",
    "TrackingSession",
    "Tuning",
    "Video",
    "__version__",
    "everything",
    "load_model",
    "open_session",
    "prompts_from_labels",
    "reopen_session",
    "save_results",
    "session",
    "track",
]

_HOMES = {
    "BoxPrompt": "napari_sam2.prompts",
    "Cleaning": "napari_sam2.cleaning",
    "EverythingSettings": "napari_sam2.settings",
    "InputChoice": "napari_sam2.input_choice",
    "MaskPrompt": "napari_sam2.prompts",
    "MemoryPolicy": "napari_sam2.memory_policy",
    "PointPrompt": "napari_sam2.prompts",
    "TrackingSession": "napari_sam2.tracking_session",
    "Tuning": "napari_sam2.tuning",
    "Video": "napari_sam2.video",
    "everything": "napari_sam2.api",
    "load_model": "napari_sam2.models",
    "open_session": "napari_sam2.api",
    "prompts_from_labels": "napari_sam2.label_prompts",
    "reopen_session": "napari_sam2.api",
    "save_results": "napari_sam2.api",
    "session": "napari_sam2.live",
    "track": "napari_sam2.api",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = import_module("importlib.metadata").version("napari-sam2")
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
