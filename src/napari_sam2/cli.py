"""The command `napari-sam2`."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Track cells through microscopy movies with SAM 2.", no_args_is_help=True, add_completion=False)


class DirectionOption(StrEnum):
    """Where to follow objects from their first prompt."""

    forward = "forward"
    backward = "backward"
    both = "both"


ModelOption = Annotated[str, typer.Option(help="Model: 'cell', or the path of a .safetensors or .pt file.")]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, mps, or auto.")]


@app.command()
def track(
    movie: Annotated[Path, typer.Argument(help="TIFF, .zarr folder, or folder of TIFFs, as (T, Y, X) or RGB.")],
    points: Annotated[Path, typer.Option(help="CSV with the header object_id,frame,y,x,positive.")],
    out: Annotated[Path, typer.Option(help="Folder for labels.tif and tracks.csv.")],
    direction: Annotated[DirectionOption, typer.Option(help="From each object's first click.")] = DirectionOption.both,
    model: ModelOption = "cell",
    diameter: Annotated[float | None, typer.Option(help="Typical diameter of a cell in pixels.")] = None,
    device: DeviceOption = "auto",
) -> None:
    """Follow clicked cells through a movie."""
    from napari_sam2 import api
    from napari_sam2.errors import CheckpointError, NapariSam2Error

    try:
        with _Progress("frames") as show:
            result = api.track(
                movie,
                points,
                direction=direction.value,
                model=model,
                diameter=diameter,
                device=device,
                progress=lambda _, done, total: show(done, total),
            )
        result.save(out)
    except (NapariSam2Error, CheckpointError, OSError) as error:
        _fail(error)
    typer.echo(f"Wrote labels.tif and tracks.csv of {len(result.masklets)} objects to {out}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demonstration writes.")] = Path("demo-output"),
    model: ModelOption = "cell",
    show: Annotated[bool, typer.Option(help="Open napari on the result if there is a display.")] = True,
) -> None:
    """Follow a few cells of a sample movie, and show how good it is."""
    from napari_sam2.demo import run_demo

    with _Progress("frames") as update:
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
    typer.echo(f"Written to {out}: labels.tif, tracks.csv, overlay.png, overlay.gif")
    if show and _has_display():
        _open_viewer(out / "movie.tif", out / "labels.tif")


@app.command()
def gui(
    movie: Annotated[Path | None, typer.Argument(help="A movie to open.")] = None,
) -> None:
    """Open napari with the tracking widget."""
    import importlib.util

    if importlib.util.find_spec("napari") is None:
        _fail(ModuleNotFoundError('napari is not installed. Install it with: pip install "napari-sam2[all]"'))
    _open_viewer(movie, None)


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="Folder of the run; a run that was stopped goes on.")],
    image_steps: Annotated[int | None, typer.Option(help="Steps on single images.")] = None,
    clip_steps: Annotated[int | None, typer.Option(help="Steps on clips.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, movies and clicks.")] = None,
    threads: Annotated[int, typer.Option(help="Threads of the network.")] = 2,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Train the bundled model on synthetic movies."""
    import torch

    from napari_sam2.training.loop import train as run
    from napari_sam2.training.settings import TrainSettings

    given = {"image_steps": image_steps, "clip_steps": clip_steps, "seed": seed}
    settings = TrainSettings(**{name: value for name, value in given.items() if value is not None})
    torch.set_num_threads(threads)
    for r in run(settings, out, device=device):
        typer.echo(
            f"step {r.step:6d}  {r.stage}  loss {r.loss:.3f}  IoU first {r.first_iou:.3f}  all {r.iou:.3f}  "
            f"{r.seconds:.2f} s a step"
        )


@app.command()
def sample(path: Annotated[Path, typer.Argument(help="The TIFF to write; its labels are written beside it.")]) -> None:
    """Write the sample movie and its true labels."""
    from napari_sam2.synthetic import write_sample

    for written in write_sample(path):
        typer.echo(f"Wrote {written}")


class _Progress:
    """A progress bar on the terminal whose length is known only with the first step."""

    def __init__(self, unit: str) -> None:
        from tqdm import tqdm

        self._bar = tqdm(unit=f" {unit}", disable=not sys.stderr.isatty(), dynamic_ncols=True)

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def __call__(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)


def _fail(error: Exception) -> None:
    typer.echo(f"Error: {error}", err=True)
    raise typer.Exit(1) from error


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
