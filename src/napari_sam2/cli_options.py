"""Options and the progress bar that commands have in common."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

ModelOption = Annotated[
    str, typer.Option(help="A name from `napari-sam2 models list`, or the path of a .safetensors or .pt file.")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


@contextmanager
def progress_bar(unit: str = " frames") -> Iterator[Callable[[int, int], None]]:
    """A bar on the terminal whose length is known only with the first step."""
    from tqdm import tqdm

    with tqdm(unit=unit, disable=not sys.stderr.isatty(), dynamic_ncols=True) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
