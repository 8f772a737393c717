"""A download that is not complete yet, on disk."""

import json
from pathlib import Path

from napari_sam2.io.atomic import replacing

ZIP_MAGIC = b"PK\x03\x04"
"""How each file begins that PyTorch has saved since 1.6."""


class PartFile:
    """The beginning of a file, and which version of it that is.

    What is on disk is always a beginning of one version, whenever the process is killed: bytes are appended only after
    the version was written down, and another version starts from nothing.

    Parameters
    ----------
    target
        Name of the complete file; the incomplete one lies beside it.
    url
        Where the file comes from.
    """

    def __init__(self, target: Path, url: str) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")
        self._url = url

    @property
    def size(self) -> int:
        """Bytes that are here."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def version(self) -> str:
        """The ETag or date that the server gave the version that is here; empty if it gave none, or nothing is here."""
        try:
            note = json.loads(self._note.read_text())
            return str(note["version"]) if note["url"] == self._url else ""
        except (OSError, ValueError, LookupError, TypeError):
            return ""

    @property
    def begins_well(self) -> bool:
        """Whether what is here begins as PyTorch's files do; too few bytes to tell are well."""
        with self.path.open("rb") as file:
            return ZIP_MAGIC.startswith(file.read(len(ZIP_MAGIC)))

    def begin(self, version: str) -> None:
        """Drop what is here for another version."""
        self.discard()
        with replacing(self._note) as note:
            note.write_text(json.dumps({"url": self._url, "version": version}))
        self.path.touch()

    def complete(self) -> None:
        """Give the file its name."""
        self.path.replace(self.target)
        self._note.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove what is here."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
