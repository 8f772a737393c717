"""What the command line says when something fails."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer


def fail(message: str) -> None:
    """Say what is wrong in a line and end the command."""
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(1)


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Say what the user can mend in a line, without a traceback; anything else is a mistake of ours and shows one."""
    from napari_sam2.errors import CheckpointError, NapariSam2Error

    try:
        yield
    except (NapariSam2Error, CheckpointError, OSError) as error:
        fail(str(error))
