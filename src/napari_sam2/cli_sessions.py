"""The commands `napari-sam2 session ...`, and what `track` does about a session's folder."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sam2.cli_errors import errors_in_one_line
from napari_sam2.errors import PromptError, SessionError
from napari_sam2.prompts import group_prompts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2.prompts import Prompt
    from napari_sam2.session_files.session_folder import StoredSession
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


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="The folder that `--session` or `autosave` named.")],
    out: Annotated[Path, typer.Option(help="Folder for labels.tif, tracks.csv and res_track.txt.")],
    movie: Annotated[
        Path | None, typer.Option(help="The movie, if it is neither where it was nor beside the session.")
    ] = None,
) -> None:
    """Write the masks, tracks and lineage that a session holds, which may be open elsewhere."""
    with errors_in_one_line():
        from napari_sam2 import api

        with closing(api.reopen_session(folder, movie, read_only=True, history_bytes=0)) as session:
            api.save_results(session, out)
            count = len(session.masklets)
        typer.echo(f"Wrote labels.tif, tracks.csv and res_track.txt of {count} objects to {out}")


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


def check_changes(given: Mapping[str, Any]) -> None:
    """Refuse options, by name, that make no sense with `--changes`.

    Raises
    ------
    PromptError
        With what to leave out or to add.
    """
    if "session" not in given:
        raise PromptError(
            "--changes needs --session FOLDER, with the masks that are there already: add it, or leave out --changes"
        )
    limits = [f"--{name}" for name in ("direction", "first", "last") if name in given]
    if limits:
        raise PromptError(
            f"--changes goes wherever clicks have changed something, so leave out {' and '.join(limits)}, or --changes"
        )


def open_or_go_on(
    folder: Path | None,
    given: Mapping[str, Any],
    movie: "Path | Video",
    *,
    model: str,
    device: str,
    **settings: Any,
) -> "TrackingSession":
    """A new session, stored if there is a folder for it; or the one that the folder holds already.

    That one goes on with the settings that it was begun with.

    Parameters
    ----------
    given
        The options that the user has given, by name.

    Raises
    ------
    SessionError
        If it belongs to another movie or model, has other settings than were given, or is open elsewhere.
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
    differing = _differing(stored, given)
    if differing:
        session.close()
        raise SessionError(
            f"The session in {folder} has other settings than {', '.join(differing)}: leave these options out to go on "
            "with those of the session, or name another folder"
        )
    run = session.run
    done = "" if run is None or run.frame is None else f"; frame {run.frame} was the last that was done"
    typer.echo(f"Going on with the session in {folder} and its settings{done}")
    return session


@contextmanager
def given_prompts(session: "TrackingSession", prompts: "Sequence[Prompt]") -> Iterator[None]:
    """Let a session have these prompts and no others, unless an error inside says that it should not.

    If that changes anything, whatever was propagated from those before does not count as done, from the same step on.

    Raises
    ------
    SessionError
        If it has boxes or masks that are not among them and would be lost.
    """
    given = group_prompts(prompts)
    lost = [
        key
        for key, group in session.prompts.items()
        if (group.box, group.mask) != (None, None)
        and (key not in given or (group.box, group.mask) != (given[key].box, given[key].mask))
    ]
    if lost:
        raise SessionError(
            "the session has boxes or masks as prompts, which a table of clicks would replace: go on with it in napari "
            "or with `napari_sam2.reopen_session`, or name another folder"
        )
    with session.one_step("prompts"):
        has_changed = bool(session.set_prompts(prompts))
        yield
        session.run = None if has_changed else session.run


def _differing(stored: "StoredSession", given: Mapping[str, Any]) -> list[str]:
    """The options given that a stored session has other settings for, in words."""
    from napari_sam2.memory_policy import find_policy

    settings, model = stored.session.settings, stored.model
    there = {
        "diameter": settings.diameter,
        "precision": model.precision,
        "windows": model.windows,
        "memory_policy": settings.memory_policy,
        **asdict(settings.cleaning),
    }
    asked = {name: given[name] for name in there if name in given}
    if asked.get("memory_policy") is not None:
        asked["memory_policy"] = find_policy(asked["memory_policy"], max_recent=None)
    return [_in_words(name, given[name], there[name]) for name, value in asked.items() if value != there[name]]


def _in_words(name: str, value: Any, there: Any) -> str:
    """An option as it was given, and what a session has instead, where that can be said in a word."""
    option = "--overlapping" if (name, value) == ("separate", False) else f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return option
    has = "none" if there is None else f"{there:g}" if isinstance(there, float) else f"{there}"
    value = f"{value:g}" if isinstance(value, float) else f"{value}"
    return f"{option} {value}" + ("" if name == "memory_policy" else f" (it has {has})")
