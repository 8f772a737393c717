"""Options and the progress bar that commands have in common."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sam2.input_choice import InputChoice

if TYPE_CHECKING:
    from napari_sam2.video import Video

ModelOption = Annotated[
    str, typer.Option(help="A name from `napari-sam2 models list`, or the path of a .safetensors or .pt file.")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, mps, cuda, or one of several such as cuda:1.")]

AxesOption = Annotated[
    str | None,
    typer.Option(help="A letter for each axis, such as TCZYX, if the file does not say: T, Z, C, Y, X, or S of RGB."),
]
ChannelOption = Annotated[
    list[int] | None,
    typer.Option(help="Which channel, counted from 0; up to three times, to look at several together."),
]
PlaneOption = Annotated[int | None, typer.Option(help="Which plane of Z, counted from 0.")]
ProjectionOption = Annotated[str | None, typer.Option(help="max or mean over Z, in place of a plane.")]


def chosen_input(
    movie: Path, axes: str | None, channels: Sequence[int] | None, plane: int | None, projection: Any
) -> "Path | Video":
    """The movie as these options want it; as it is if there are none.

    Raises
    ------
    MovieError
        If they do not fit it.
    """
    choice = InputChoice(axes, plane, projection, tuple(channels or ()))
    if choice == InputChoice():
        return movie
    from napari_sam2.video import Video

    return Video.open(movie, choice)


def given_options(context: typer.Context) -> dict[str, Any]:
    """By name, the values of the parameters of a command that were given to it, in the order of its help."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name: context.params[name] for name, source in sources.items() if source and source.name == "COMMANDLINE"}


@contextmanager
def progress_bar(unit: str = " frames") -> Iterator[Callable[[int, int], None]]:
    """A bar on the terminal whose length is known only with the first step."""
    from tqdm import tqdm

    with tqdm(unit=unit, disable=not sys.stderr.isatty(), dynamic_ncols=True) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
