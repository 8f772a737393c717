"""Work for another thread, as values: what to do, and what to do with the answers. No Qt here."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from napari_sam2.errors import CheckpointError, NapariSam2Error, PropagationError

EXPECTED_ERRORS = (NapariSam2Error, CheckpointError, OSError)
"""Errors whose text is for the user; anything else is a mistake in the program."""


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a job ended: with an error, or canceled, or (neither) at its end."""

    error: Exception | None = None
    canceled: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """Something that takes long.

    Attributes
    ----------
    name
        Shown beside the progress bar.
    steps
        Makes the generator that runs in the other thread; a job can be stopped at each of its yields.
    on_step
        Called in the GUI thread with each value yielded, in their order.
    on_end
        Called in the GUI thread, once, after the last `on_step`.
    total
        Number of steps for the progress bar, 0 for no bar.
    position
        How many of `total` are done with a value yielded; by default each is one more.
    gives_way
        Whether it stops as soon as another job is submitted.
    """

    name: str
    steps: Callable[[], Iterator[Any]]
    on_step: Callable[[Any], None]
    on_end: Callable[[JobEnd], None]
    total: int = 0
    position: Callable[[Any], int] | None = None
    gives_way: bool = False


class JobRunner(Protocol):
    """Runs jobs one after another, so that one thread at a time uses a session and the device."""

    def submit(self, job: Job) -> None:
        """Run the job as soon as those before it are done, or have given way."""

    def cancel(self, job: Job) -> None:
        """Stop the job at its next yield, or drop it if it has not begun; `on_end` is called either way."""


def guarded(steps: Callable[[], Iterator[Any]]) -> Generator[Any, None, None]:
    """Yield from the steps, with errors of the computation turned into `PropagationError`.

    Nearly all errors of torch are RuntimeErrors, which say nothing to a user.
    """
    try:
        yield from steps()
    except (NapariSam2Error, CheckpointError):
        raise
    except (MemoryError, RuntimeError) as error:
        raise PropagationError(_explain(error)) from error


def _explain(error: Exception) -> str:
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    if isinstance(error, MemoryError) or "out of memory" in text.lower() or "OutOfMemory" in type(error).__name__:
        return (
            f"The model ran out of memory ({text}). The frames done so far are kept. Close other programs that use the "
            "device, or track fewer objects at once, and propagate again."
        )
    return f"The model stopped with an error ({text}). The frames done so far are kept; you can propagate again."
