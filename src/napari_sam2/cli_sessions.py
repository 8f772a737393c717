"""The commands `napari-sam2 session ...`, and what `track` does about a session's folder."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sam2.cli_errors import errors_in_one_line
from napari_sam2.errors import PromptError, SessionError
from napari_sam2.prompts import group_prompts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2.prompts import Prompt
    from napari_sam2.tracking_session import TrackingSession
    from napari_sam2.video import Video

app = typer.Typer(help="Sessions that were stored in a folder.", no_args_is_help=True)


@app.command()
def info(folder: Annotated[Path, typer.Argument(help="The folder that `--session` or `autosave` named.")]) -> None:
    """Tell what a session holds; neither its movie nor its model is needed."""
    with errors_in_one_line():
        from napari_sam2.session_files.info import describe

        rows = describe(folder)
    width = max(len(name) for name in rows)
    typer.echo("\n".join(f"{name:{width}s}  {value}" for name, value in rows.items()))


def read_prompts(points: Path | None, labels: Path | None, labels_frame: int) -> "list[Prompt]":
    """The clicks of a table, and the objects that are labelled on a frame; IDs that both have go to the clicks.

    Raises
    ------
    PromptError
        If neither is given, or one cannot be read.
    """
    from napari_sam2 import api
    from napari_sam2.label_prompts import prompts_from_labels

    if points is None and labels is None:
        raise PromptError("there is nothing to follow: give --points FILE, or --labels FILE")
    prompts = [] if points is None else api.read_points(points)
    if labels is not None:
        taken = {prompt.object_id for prompt in prompts}
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", UserWarning)
            prompts += prompts_from_labels(labels, labels_frame, taken=taken)
        for warning in told:
            typer.echo(f"Note: {warning.message}", err=True)
    return prompts


def open_or_go_on(
    folder: Path | None, movie: "Path | Video", *, model: str, device: str, **settings: Any
) -> "TrackingSession":
    """A new session, stored if there is a folder for it; or the one that the folder holds already.

    That one goes on with the settings that it was begun with.

    Raises
    ------
    SessionError
        If it belongs to another movie or model, or is open elsewhere.
    """
    from napari_sam2 import api
    from napari_sam2.session_files.database import is_session
    from napari_sam2.session_files.session_folder import open_stored

    if folder is None or not is_session(folder):
        return api.open_session(movie, model=model, device=device, autosave=folder, history_bytes=0, **settings)
    stored = open_stored(folder, movie, model=model, device=device, history_bytes=0)
    session = stored.session
    if stored.read_only_because is not None:
        session.close()
        raise SessionError(
            f"The session in {folder} can only be looked at, because {stored.read_only_because}: make that otherwise, "
            "or name another folder"
        )
    run = session.run
    done = "" if run is None or run.frame is None else f"; frame {run.frame} was the last that was done"
    typer.echo(f"Going on with the session in {folder} and its settings{done}")
    return session


def give_prompts(session: "TrackingSession", prompts: "Sequence[Prompt]") -> bool:
    """Let a session have these prompts and no others; returns whether that changes anything.

    Raises
    ------
    SessionError
        If it has boxes or masks that are not among them and would be lost; it is closed then.
    """
    given = group_prompts(prompts)
    lost = [
        key
        for key, group in session.prompts.items()
        if (group.box, group.mask) != (None, None)
        and (key not in given or (group.box, group.mask) != (given[key].box, given[key].mask))
    ]
    if lost:
        session.close()
        raise SessionError(
            "the session has boxes or masks as prompts, which a table of clicks would replace: go on with it in napari "
            "or with `napari_sam2.reopen_session`, or name another folder"
        )
    return bool(session.set_prompts(prompts))
