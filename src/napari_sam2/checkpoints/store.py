"""The weights on this machine, and whether they are what they should be."""

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from platformdirs import user_cache_path

from napari_sam2.checkpoints.part_file import PartFile
from napari_sam2.checkpoints.record import Record, sha256
from napari_sam2.checkpoints.registry import Checkpoint, megabytes
from napari_sam2.errors import CheckpointError, DownloadError
from napari_sam2.io.atomic import replacing

if TYPE_CHECKING:
    from torch import Tensor

State = Literal["bundled", "downloaded", "partial", "absent"]


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of weights that were downloaded and converted to safetensors, each with a record.

    Attributes
    ----------
    folder
        It need not exist yet.
    """

    folder: Path

    @classmethod
    def default(cls) -> "Store":
        """The folder `models` in NAPARI_SAM2_CACHE, or else in the platform's cache of this user."""
        given = os.environ.get("NAPARI_SAM2_CACHE", "")
        folder = Path(given).expanduser() if given else user_cache_path("napari-sam2", appauthor=False)
        return cls(folder / "models")

    def path(self, checkpoint: Checkpoint) -> Path:
        """Where the weights are, or will be."""
        return checkpoint.bundled or self.folder / f"{checkpoint.name}.safetensors"

    def original(self, checkpoint: Checkpoint) -> Path:
        """Where the file as published is until it is converted, and where one got by other means is looked for."""
        return self.folder / checkpoint.file_name

    def part(self, checkpoint: Checkpoint) -> PartFile:
        """What there is of the file as published while it is being downloaded."""
        return PartFile(self.original(checkpoint), checkpoint.url)

    def record(self, checkpoint: Checkpoint) -> Record | None:
        """What is written down about weights that were downloaded."""
        return Record.read(self._record_path(checkpoint))

    def state(self, checkpoint: Checkpoint) -> State:
        """What there is of the weights; content is not looked at."""
        if checkpoint.bundled is not None:
            return "bundled"
        if self.path(checkpoint).is_file() and self.record(checkpoint) is not None:
            return "downloaded"
        return "partial" if self.part(checkpoint).size else "absent"

    def weights(self, checkpoint: Checkpoint) -> Path | None:
        """The file to load; None if it has to be fetched first.

        Raises
        ------
        CheckpointError
            If the file was changed since it was fetched.
        """
        path, record = self.path(checkpoint), self.record(checkpoint)
        if checkpoint.bundled is not None:
            return path
        if record is None or not path.is_file():
            return None
        if not record.untouched(path):
            _check_hash(checkpoint, path, record.sha256)
            with suppress(OSError):  # a cache that cannot be written to is hashed again next time
                self._write(checkpoint, record)
        return path

    def is_verified(self, checkpoint: Checkpoint) -> bool:
        """Whether the weights were made from a file that had the hash published for it."""
        record = self.record(checkpoint)
        return checkpoint.bundled is not None or (record is not None and record.source_sha256 == checkpoint.sha256)

    def verify(self, checkpoint: Checkpoint) -> None:
        """Read the weights whole and compare them with their hash and with the network they belong to.

        Raises
        ------
        CheckpointError
            If they are not here, were changed since they were fetched, or do not fit the network.
        """
        path, record = self.path(checkpoint), self.record(checkpoint)
        if checkpoint.bundled is None and (record is None or not path.is_file()):
            raise CheckpointError(
                f"{checkpoint.name} is not on this machine. Get it with: napari-sam2 models download {checkpoint.name}"
            )
        _check_hash(checkpoint, path, checkpoint.sha256 if record is None else record.sha256)
        _read(checkpoint, path)

    def keep(self, checkpoint: Checkpoint, source_sha256: str) -> Path:
        """Convert the file as published to safetensors, in which no code can hide, and pin its hash.

        Raises
        ------
        CheckpointError
            If it does not hold the weights that it should, all of them finite.
        DownloadError
            If the result cannot be written.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        path = self.path(checkpoint)
        weights = _read(checkpoint, self.original(checkpoint))
        try:
            with replacing(path) as part:
                save_file(_apart(weights), part, {"source": checkpoint.url, "sha256": source_sha256})
                part.chmod(0o644)  # safetensors lets only the owner read
            now = datetime.now(UTC).isoformat(timespec="seconds")
            self._write(checkpoint, Record(checkpoint.url, source_sha256, now, sha256(path)))
        except (SafetensorError, OSError) as error:
            raise DownloadError(
                f"{checkpoint.name} cannot be written to {path} ({error}). Make room there "
                f"({megabytes(checkpoint.size)} are needed), or name another folder in NAPARI_SAM2_CACHE."
            ) from error
        return path

    def _write(self, checkpoint: Checkpoint, record: Record) -> None:
        status = self.path(checkpoint).stat()
        replace(record, size=status.st_size, mtime_ns=status.st_mtime_ns).write(self._record_path(checkpoint))

    def _record_path(self, checkpoint: Checkpoint) -> Path:
        return self.folder / f"{checkpoint.name}.json"


def _check_hash(checkpoint: Checkpoint, path: Path, pinned: str | None) -> None:
    found = sha256(path)
    if found == pinned:
        return
    name = checkpoint.name
    way_out = f"Delete it and choose {name} again, or: napari-sam2 models download --again {name}"
    raise CheckpointError(
        f"{path} was changed or is damaged: its SHA-256 is {found}, and it was {pinned}. "
        + ("Install napari-sam2 again." if checkpoint.bundled is not None else way_out)
    )


def _read(checkpoint: Checkpoint, path: Path) -> "dict[str, Tensor]":
    """The weights of a file, float32; strictly those of the checkpoint's network, and finite."""
    from sam2_torch.build import load

    model = load(path)
    if model.config.name != checkpoint.config:
        raise CheckpointError(
            f"{path} holds the weights of {model.config.name}, not those of {checkpoint.name} ({checkpoint.config}). "
            "Load it by its path, under another name."
        )
    return model.state_dict()


def _apart(weights: "dict[str, Tensor]") -> "dict[str, Tensor]":
    """Copy tensors that share memory with others, as a file may let them, since safetensors refuses those."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in weights.items():
        memory = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.clone() if memory in seen else tensor
        seen.add(memory)
    return {name: tensor.contiguous() for name, tensor in apart.items()}
