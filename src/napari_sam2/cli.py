"""The command `napari-sam2`."""

import os
import sys
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from napari_sam2 import cli_evaluate, cli_models, cli_sessions, cli_train
from napari_sam2.cleaning import Cleaning
from napari_sam2.cli_errors import errors_in_one_line, fail
from napari_sam2.cli_options import (
    AxesOption,
    ChannelOption,
    DeviceOption,
    ModelOption,
    PlaneOption,
    ProjectionOption,
    chosen_input,
    given_options,
    progress_bar,
)
from napari_sam2.input_choice import MOVIES
from napari_sam2.settings import EverythingSettings, help_of

app = typer.Typer(help="Track cells through microscopy movies with SAM 2.", no_args_is_help=True, add_completion=False)
app.add_typer(cli_models.app, name="models")
app.command()(cli_evaluate.evaluate)
app.command()(cli_evaluate.benchmark)
app.command()(cli_train.train)
app.add_typer(cli_sessions.app, name="session")


class DirectionOption(StrEnum):
    """Where to follow objects."""

    forward = "forward"
    backward = "backward"
    both = "both"


class PrecisionName(StrEnum):
    """Numbers to multiply in."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    auto = "auto"


PrecisionOption = Annotated[
    PrecisionName, typer.Option(help="float32 is exact; bfloat16 is faster where the device is made for it.")
]


@app.command()
def track(
    context: typer.Context,
    movie: Annotated[Path, typer.Argument(help=f"{MOVIES}.")],
    out: Annotated[Path, typer.Option(help="Folder for labels.tif, tracks.csv and res_track.txt.")],
    points: Annotated[Path | None, typer.Option(help="CSV with the header object_id,frame,y,x,positive.")] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Labels, as of Cellpose, whose objects are followed: TIFF, PNG, .npy file, or folder of results."
        ),
    ] = None,
    labels_frame: Annotated[int, typer.Option(help="The frame that the labels are of, counted from 0.")] = 0,
    axes: AxesOption = None,
    channel: ChannelOption = None,
    plane: PlaneOption = None,
    projection: ProjectionOption = None,
    direction: Annotated[
        DirectionOption, typer.Option(help="forward and both ways from the first click, backward from the last.")
    ] = DirectionOption.both,
    first: Annotated[int | None, typer.Option(help="Lowest frame to visit, counted from 0.")] = None,
    last: Annotated[int | None, typer.Option(help="Highest frame to visit, itself included.")] = None,
    model: ModelOption = "cell",
    diameter: Annotated[float | None, typer.Option(help="Typical diameter of a cell in pixels.")] = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = PrecisionName.float32,
    windows: Annotated[
        bool,
        typer.Option("--windows", help="Show a model for whole frames windows: many small objects cost little."),
    ] = False,
    memory_policy: Annotated[
        str | None, typer.Option(help="What is remembered: original or cells; by default what suits the model.")
    ] = None,
    fill_holes: Annotated[int, typer.Option(help=help_of(Cleaning, "fill_holes"))] = 0,
    remove_pieces: Annotated[int, typer.Option(help=help_of(Cleaning, "remove_pieces"))] = 0,
    separate: Annotated[bool, typer.Option("--separate/--overlapping", help=help_of(Cleaning, "separate"))] = True,
    changes: Annotated[
        bool,
        typer.Option("--changes", help="With --session: carry changed clicks only to the frames that they can change."),
    ] = False,
    session: Annotated[
        Path | None,
        typer.Option(help="Folder to store everything in at once; a run that was interrupted goes on there."),
    ] = None,
) -> None:
    """Follow cells through a movie that were clicked, or are labelled on one frame."""
    with errors_in_one_line():
        from napari_sam2 import api

        given = given_options(context)
        if changes:
            cli_sessions.check_changes(given)
        cleaning = Cleaning(fill_holes=fill_holes, remove_pieces=remove_pieces, separate=separate)
        prompts = cli_sessions.read_prompts(points, labels, labels_frame)
        tracking = cli_sessions.open_or_go_on(
            session,
            given,
            chosen_input(movie, axes, channel, plane, projection),
            model=model,
            diameter=diameter,
            device=device,
            precision=precision.value,
            windows=windows,
            memory_policy=memory_policy,
            cleaning=cleaning,
        )
        with closing(tracking), progress_bar() as show:
            with cli_sessions.given_prompts(tracking, prompts):
                if not changes:
                    tracking.plan(direction.value, first=first, last=last)
                out.mkdir(parents=True, exist_ok=True)
            try:
                if changes:
                    api.update(tracking, lambda _, done, total: show(done, total))
                else:
                    api.go_on(
                        tracking, direction.value, lambda _, done, total: show(done, total), first=first, last=last
                    )
            finally:
                # Whatever stopped it, hours of work are not thrown away.
                api.save_results(tracking, out)
                typer.echo(
                    f"Wrote labels.tif, tracks.csv and res_track.txt of {len(tracking.masklets)} objects to {out}"
                )


@app.command()
def everything(
    image: Annotated[Path, typer.Argument(help=f"A picture, or a movie: {MOVIES}.")],
    out: Annotated[Path, typer.Option(help="Folder for labels.tif and clicks.csv.")],
    frame: Annotated[int, typer.Option(help="Which frame of a movie, counted from 0.")] = 0,
    axes: AxesOption = None,
    channel: ChannelOption = None,
    plane: PlaneOption = None,
    projection: ProjectionOption = None,
    quality: Annotated[float, typer.Option(help=help_of(EverythingSettings, "quality"))] = 0.5,
    min_area: Annotated[int, typer.Option(help=help_of(EverythingSettings, "min_area"))] = 10,
    model: ModelOption = "cell",
    diameter: Annotated[float | None, typer.Option(help="Typical diameter of a cell in pixels.")] = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = PrecisionName.float32,
) -> None:
    """Find all cells of one frame, without a click; `track --points OUT/clicks.csv` follows them."""
    with errors_in_one_line():
        from napari_sam2 import api

        settings = EverythingSettings(quality=quality, min_area=min_area)
        with progress_bar(" points") as show:
            found = api.everything(
                chosen_input(image, axes, channel, plane, projection),
                frame=frame,
                model=model,
                diameter=diameter,
                device=device,
                precision=precision.value,
                settings=settings,
                progress=show,
            )
        found.save(out)
    scale = "" if found.diameter is None else f", at a diameter of {found.diameter:.0f} pixels"
    typer.echo(f"Wrote labels.tif and clicks.csv of {len(found.masks)} cells to {out}{scale}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demonstration writes.")] = Path("demo-output"),
    model: ModelOption = "cell",
    show: Annotated[bool, typer.Option(help="Open napari on the result if there is a display.")] = True,
) -> None:
    """Follow a few cells of a sample movie, and show how good it is."""
    with errors_in_one_line():
        from napari_sam2.demo import run_demo

        with progress_bar() as update:
            report = run_demo(out, model=model, progress=lambda _, done, total: update(done, total), say=typer.echo)
    rows = {
        "frames": f"{report.frames}",
        "objects": f"{report.objects}",
        "seconds per frame": f"{report.seconds_per_frame:.2f}",
        "mean IoU, first frame": f"{report.overlap.first_frame:.3f}",
        "mean IoU, movie": f"{report.overlap.movie:.3f}",
        "followed to the end": f"{report.overlap.followed:.0%}",
    }
    typer.echo("\n".join(f"{name:24s}{value:>8s}" for name, value in rows.items()))
    typer.echo(f"Written to {out}: labels.tif, tracks.csv, res_track.txt, overlay.png, overlay.gif")
    if show and _has_display():
        _open_viewer(out / "movie.tif", out / "labels.tif")


@app.command()
def gui(
    movie: Annotated[Path | None, typer.Argument(help="A movie to open.")] = None,
) -> None:
    """Open napari with the tracking widget."""
    import importlib.util

    if importlib.util.find_spec("napari") is None:
        fail('napari is not installed. Install it with: pip install "napari-sam2[all]"')
    _open_viewer(movie, None)


@app.command()
def sample(path: Annotated[Path, typer.Argument(help="The TIFF to write; its labels are written beside it.")]) -> None:
    """Write the sample movie and its true labels."""
    with errors_in_one_line():
        from napari_sam2.synthetic import write_sample

        for written in write_sample(path):
            typer.echo(f"Wrote {written}")


def _has_display() -> bool:
    import importlib.util

    shown = sys.platform in ("win32", "darwin") or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    return shown and importlib.util.find_spec("napari") is not None


def _open_viewer(movie: Path | None, labels: Path | None) -> None:
    if sys.platform == "win32":
        # There torch's libraries no longer load once Qt's have.
        import torch  # noqa: F401
    from napari_sam2.widget.launch import open_viewer

    open_viewer(movie, labels)
