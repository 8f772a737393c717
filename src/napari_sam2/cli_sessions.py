"""The commands `napari-sam2 session ...`, and what `track` does about a session's folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sam2.cli_errors import errors_in_one_line
from napari_sam2.errors import SessionError

if TYPE_CHECKING:
    from napari_sam2.tracking_session import TrackingSession

app = typer.Typer(help="Sessions that were stored in a folder.", no_args_is_help=True)


@app.command()
def info(folder: Annotated[Path, typer.Argument(help="The folder that `--session` or `autosave` named.")]) -> None:
    """Tell what a session holds; neither its movie nor its model is needed."""
    with errors_in_one_line():
        from napari_sam2.session_files.info import describe

        rows = describe(folder)
    width = max(len(name) for name in rows)
    typer.echo("\n".join(f"{name:{width}s}  {value}" for name, value in rows.items()))


def open_or_go_on(folder: Path | None, movie: Path, *, model: str, device: str, **settings: Any) -> "TrackingSession":
    """A new session, stored if there is a folder for it; or the one that the folder holds already.

    That one goes on with the settings that it was begun with.

    Raises
    ------
    SessionError
        If it belongs to another movie or model, or is open elsewhere.
    """
    from napari_sam2 import api
    from napari_sam2.session_files.database import is_session

    if folder is None or not is_session(folder):
        return api.open_session(movie, model=model, device=device, autosave=folder, **settings)
    import warnings

    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        session = api.reopen_session(folder, movie, model=model, device=device)
    if notes:
        session.close()
        raise SessionError(f"{notes[0].message} Close it there, or name another folder")
    run = session.run
    done = "" if run is None or run.frame is None else f"; frame {run.frame} was the last that was done"
    typer.echo(f"Going on with the session in {folder} and its settings{done}")
    return session
