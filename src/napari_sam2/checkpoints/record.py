"""What is written down about weights on this machine."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from napari_sam2.io.atomic import replacing


@dataclass(frozen=True, slots=True)
class Record:
    """Where a file of weights came from, and what it was when it was written.

    Attributes
    ----------
    source, source_sha256
        The address, and the hash of what it sent.
    fetched
        When, in ISO format.
    sha256
        Of the file on this machine, pinned.
    size, mtime_ns
        Of the file when its hash was last found right, so that a file that nobody touched is not read twice.
    """

    source: str
    source_sha256: str
    fetched: str
    sha256: str
    size: int = 0
    mtime_ns: int = 0

    @classmethod
    def read(cls, path: Path) -> "Record | None":
        """The record in a file; None if there is none, or no readable one."""
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Write the record as JSON."""
        with replacing(path) as part:
            part.write_text(json.dumps(asdict(self), indent=1))

    def untouched(self, weights: Path) -> bool:
        """Whether size and date of the file are still those of the record."""
        status = weights.stat()
        return (status.st_size, status.st_mtime_ns) == (self.size, self.mtime_ns)


def sha256(path: Path) -> str:
    """The hash of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
