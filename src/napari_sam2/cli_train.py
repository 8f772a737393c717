"""The command `napari-sam2 train`."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_sam2.cli_errors import errors_in_one_line


class OptimizerOption(StrEnum):
    """What is kept of the optimizer's numbers."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    none = "none"


class LearnsOption(StrEnum):
    """Which parts of the network learn."""

    all = "all"
    heads = "heads"


def train(
    out: Annotated[Path, typer.Option(help="Folder of the run; a run that was stopped goes on.")],
    dense_steps: Annotated[int | None, typer.Option(help="Steps on what a cell is.")] = None,
    image_steps: Annotated[int | None, typer.Option(help="Steps on objects in single images.")] = None,
    clip_steps: Annotated[int | None, typer.Option(help="Steps on clips.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, movies and clicks.")] = None,
    images: Annotated[int | None, typer.Option(help="Images in a step on images.")] = None,
    frames: Annotated[int | None, typer.Option(help="Frames in a step on clips.")] = None,
    clip_rate: Annotated[float | None, typer.Option(help="Peak learning rate on clips.")] = None,
    ema: Annotated[float | None, typer.Option(help="Decay of the running average of the weights.")] = None,
    correction_share: Annotated[float | None, typer.Option(help="How often one more click follows.")] = None,
    corrections: Annotated[int | None, typer.Option(help="At most so many clicks follow the first.")] = None,
    idle_share: Annotated[float | None, typer.Option(help="Of these, how many tell nothing new.")] = None,
    learns: Annotated[LearnsOption | None, typer.Option(help="Which parts learn.")] = None,
    objects: Annotated[int | None, typer.Option(help="Objects clicked in each image or clip.")] = None,
    surroundings: Annotated[
        int | None,
        typer.Option(help="Pixels around the window: larger frames are encoded, and windows cut from their features."),
    ] = None,
    layer_decay: Annotated[float | None, typer.Option(help="Factor on the rate for each block of the trunk.")] = None,
    save_every: Annotated[int | None, typer.Option(help="Steps between two states on disk.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that render movies.")] = None,
    start: Annotated[Path | None, typer.Option(help="Weights to begin a new run with.")] = None,
    minutes: Annotated[float, typer.Option(help="Stop after so long, in a state to go on from.")] = float("inf"),
    shards: Annotated[bool, typer.Option("--shards", help="Keep the state in files of at most 15 MB.")] = False,
    optimizer_state: Annotated[
        OptimizerOption, typer.Option(help="What of the optimizer is kept; bfloat16 takes half, none is not exact.")
    ] = OptimizerOption.float32,
    validate: Annotated[
        int | None, typer.Option(help="Every so many steps track synthetic movies and keep the best weights.")
    ] = None,
    movies: Annotated[Path | None, typer.Option(help="Movies with truth that are tracked as well.")] = None,
    threads: Annotated[int, typer.Option(help="Threads of the network.")] = 2,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Train the bundled model on synthetic movies."""
    with errors_in_one_line():
        import torch

        from napari_sam2.training.loop import train as run
        from napari_sam2.training.settings import TrainSettings
        from napari_sam2.training.validation import Validation

        given: dict[str, Any] = {
            "dense_steps": dense_steps,
            "image_steps": image_steps,
            "clip_steps": clip_steps,
            "seed": seed,
            "images": images,
            "frames_per_step": frames,
            "clip_rate": clip_rate,
            "ema": ema,
            "correction_share": correction_share,
            "corrections": corrections,
            "idle_share": idle_share,
            "learns": None if learns is None else learns.value,
            "objects": objects,
            "surroundings": surroundings,
            "layer_decay": layer_decay,
            "save_every": save_every,
            "validate_every": validate,
            "workers": workers,
        }
        settings = replace(TrainSettings(), **{name: value for name, value in given.items() if value is not None})
        torch.set_num_threads(threads)
        reports = run(
            settings,
            out,
            device=device,
            start=start,
            minutes=minutes,
            shards=shards,
            optimizer_state=optimizer_state.value,
            validation=Validation(movies=movies),
        )
        for r in reports:
            typer.echo(
                f"step {r.step:6d}  {r.stage:6s}  loss {r.loss:.3f}  IoU first {r.first_iou:.3f}  all {r.iou:.3f}  "
                f"{r.seconds:.2f} s a step"
            )
