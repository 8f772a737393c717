"""Write beside the file, then rename: a crash or a full disk never leaves half a file under the final name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def part_path(path: str | os.PathLike[str]) -> Path:
    """Name, in the same folder and of the same suffix, for a file that is still being written."""
    path = Path(path)
    return path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path that takes the name `path` when the block ends well, and is removed when it does not."""
    part = part_path(path)
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
