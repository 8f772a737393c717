"""The errors that napari-sam2 raises on purpose; each message gives the value, what was expected and the way out."""

from collections.abc import Iterator
from contextlib import contextmanager

from sam2_torch.errors import CheckpointError as CheckpointError

__all__ = [
    "AutosaveError",
    "CheckpointError",
    "DeviceError",
    "DownloadError",
    "EvaluationError",
    "HistoryError",
    "MissingExtraError",
    "MovieError",
    "NapariSam2Error",
    "NapariSam2Warning",
    "PromptError",
    "PropagationError",
    "SessionError",
    "explained",
]


class NapariSam2Error(Exception):
    """Base of the errors of this package; `CheckpointError` stands apart, it belongs to the network package."""


class NapariSam2Warning(UserWarning):
    """Something that went wrong and was made good without stopping; the widget shows it: one may want to act."""


class MovieError(NapariSam2Error, ValueError):
    """A movie that cannot be read, or not as (T, Y, X) or (T, Y, X, 3)."""


class DeviceError(NapariSam2Error):
    """A device that cannot be used, or that gets its sums wrong."""


class DownloadError(NapariSam2Error):
    """Weights that are not on this machine and cannot be had."""


class EvaluationError(NapariSam2Error, ValueError):
    """Truth or results that cannot be read, or that do not fit one another."""


class HistoryError(NapariSam2Error):
    """There is nothing to undo or to do again, or not at this moment."""


class MissingExtraError(NapariSam2Error, ImportError):
    """A library that this needs is not installed; the message names the extra that brings it."""


class PromptError(NapariSam2Error, ValueError):
    """A click, box or mask that makes no sense on this movie, or a file of clicks with a mistake in it."""


class PropagationError(NapariSam2Error):
    """Propagation stopped on a frame.

    Not a RuntimeError: superqt swallows those when a generator worker raises them, and the worker would never end.
    """


class SessionError(NapariSam2Error, ValueError):
    """A session folder that cannot be opened or changed, or does not belong to the movie or the model."""


class AutosaveError(SessionError, PropagationError):
    """What was done cannot be written to the session's folder. It is kept in memory, and written with the next step."""


class TrainingError(NapariSam2Error, ValueError):
    """A training run that cannot be started or gone on with."""


@contextmanager
def explained(frame: int) -> Iterator[None]:
    """Say of a failure of the network, nearly always a RuntimeError, where it was and what can be done."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise PropagationError(
            f"The model failed on frame {frame} ({text}). The masks found so far are kept. If memory ran out, follow "
            "fewer objects at a time, use a smaller model or another device, and go on from there."
        ) from error
