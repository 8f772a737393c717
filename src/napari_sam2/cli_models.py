"""The commands `napari-sam2 models ...`."""

from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam2.checkpoints.registry import CHECKPOINTS, Checkpoint, find, megabytes
from napari_sam2.cli_errors import errors_in_one_line, fail
from napari_sam2.errors import CheckpointError

if TYPE_CHECKING:
    from napari_sam2.checkpoints.store import Store

app = typer.Typer(help="The models known by name: list, download, look at, verify.", no_args_is_help=True)

Names = Annotated[list[str], typer.Argument(help="Names from `napari-sam2 models list`.", metavar="NAME...")]


@app.command("list")
def list_models() -> None:
    """List the models and what there is of them on this machine."""
    from napari_sam2.checkpoints.fetch import is_offline

    store = _store()
    rows = [(c.name, megabytes(c.size), describe(store, c)) for c in CHECKPOINTS.values()]
    width = max(len(name) for name, _, _ in rows)
    typer.echo("\n".join(f"{name:{width}s} {size:>8s}  {state}" for name, size, state in rows))
    typer.echo(f"\nDownloads are kept in {store.folder} (NAPARI_SAM2_CACHE names another folder).")
    if is_offline():
        typer.echo("Nothing will be downloaded, because NAPARI_SAM2_OFFLINE is set.")


@app.command()
def download(
    names: Names,
    again: Annotated[bool, typer.Option("--again", help="Download anew what is there already.")] = False,
) -> None:
    """Download models, or go on with downloads that were interrupted."""
    with errors_in_one_line():
        from napari_sam2.models import download_model

        checkpoints, store = [find(name) for name in names], _store()
        for checkpoint in checkpoints:
            if again or store.state(checkpoint) in ("partial", "absent"):
                typer.echo(f"{checkpoint.name}: {megabytes(checkpoint.size)} from {checkpoint.url}")
            path = download_model(checkpoint.name, again=again)
            typer.echo(f"{checkpoint.name}: {describe(store, checkpoint)}, in {path}")


@app.command()
def info(name: Annotated[str, typer.Argument(help="A name from `napari-sam2 models list`.")]) -> None:
    """Show where a model comes from, and what there is of it on this machine."""
    with errors_in_one_line():
        checkpoint, store = find(name), _store()
        record = store.record(checkpoint)
        rows = {
            "name": checkpoint.name,
            "network": checkpoint.config,
            "licence": checkpoint.licence,
            "published at": checkpoint.url or "comes with napari-sam2",
            "published size": f"{checkpoint.size} bytes",
            "published SHA-256": checkpoint.sha256 or "not known",
            "state": describe(store, checkpoint),
            "file": str(store.path(checkpoint)),
        }
        if record is not None:
            rows |= {
                "downloaded": record.fetched,
                "SHA-256 downloaded": record.source_sha256,
                "SHA-256 of the file": record.sha256,
            }
        typer.echo("\n".join(f"{label:20s}{value}" for label, value in rows.items()))


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Default: all that are on this machine.")] = None,
) -> None:
    """Read models whole, and compare them with their hashes and with the network they belong to."""
    store = _store()
    with errors_in_one_line():
        here = [c for c in CHECKPOINTS.values() if store.state(c) in ("bundled", "downloaded")]
        checkpoints = [find(name) for name in names] if names else here
    damaged = []
    for checkpoint in checkpoints:
        try:
            store.verify(checkpoint)
        except (CheckpointError, OSError) as error:
            damaged.append(checkpoint.name)
            typer.echo(f"{checkpoint.name}: {error}", err=True)
        else:
            typer.echo(f"{checkpoint.name}: good, {describe(store, checkpoint)}")
    if damaged:
        fail(f"{', '.join(damaged)} cannot be used")


def _store() -> "Store":
    # What downloads takes a moment to import, which other commands need not wait for.
    from napari_sam2.checkpoints.store import Store

    return Store.default()


def describe(store: "Store", checkpoint: Checkpoint) -> str:
    """What there is of a model on this machine, in a few words."""
    state = store.state(checkpoint)
    if state == "bundled":
        return "comes with napari-sam2"
    if state == "downloaded":
        known = "verified by its" if store.is_verified(checkpoint) else "not verified by a"
        return f"downloaded, {known} published hash"
    if state == "partial":
        return f"{megabytes(store.part(checkpoint).size)} of it downloaded"
    return "not downloaded"
