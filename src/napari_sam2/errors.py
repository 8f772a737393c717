"""The errors that napari-sam2 raises on purpose; each message gives the value, what was expected and the way out."""

from sam2_torch.errors import CheckpointError as CheckpointError

__all__ = [
    "CheckpointError",
    "DeviceError",
    "DownloadError",
    "EvaluationError",
    "MissingExtraError",
    "MovieError",
    "NapariSam2Error",
    "PromptError",
    "PropagationError",
]


class NapariSam2Error(Exception):
    """Base of the errors of this package; `CheckpointError` stands apart, it belongs to the network package."""


class MovieError(NapariSam2Error, ValueError):
    """A movie that cannot be read, or not as (T, Y, X) or (T, Y, X, 3)."""


class DeviceError(NapariSam2Error):
    """A device that cannot be used, or that gets its sums wrong."""


class DownloadError(NapariSam2Error):
    """Weights that are not on this machine and cannot be had."""


class EvaluationError(NapariSam2Error, ValueError):
    """Truth or results that cannot be read, or that do not fit one another."""


class MissingExtraError(NapariSam2Error, ImportError):
    """A library that this needs is not installed; the message names the extra that brings it."""


class PromptError(NapariSam2Error, ValueError):
    """A click, box or mask that makes no sense on this movie, or a file of clicks with a mistake in it."""


class PropagationError(NapariSam2Error):
    """Propagation stopped on a frame.

    Not a RuntimeError: superqt swallows those when a generator worker raises them, and the worker would never end.
    """
