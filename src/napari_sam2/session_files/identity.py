"""Which movie and which model a session was made with."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_sam2.errors import MovieError
from napari_sam2.input_choice import InputChoice
from napari_sam2.video import Video

if TYPE_CHECKING:
    from sam2_torch.network import SAM2


@dataclass(frozen=True, slots=True)
class MovieIdentity:
    """A movie as a session knows it.

    Attributes
    ----------
    path
        Of the file or folder, absolute; None for an array.
    beside
        The same as seen from the session's folder, for both being moved together.
    shape
        (T, Y, X) in pixels, and whether it is in color.
    dtype
        Type of its pixels, whatever their byte order.
    frames
        SHA-256 of the pixels of the first, the middle and the last frame by number; None of one that cannot be read.
        Of frames larger than 2048 x 2048 that are read in parts, some blocks count.
    contrast
        Intensities that are shown to the model as black and white.
    transforms
        `scale`, `translate`, `rotate`, `shear` and `affine` (as matrices), `units` and `axis_labels` of the layer it
        came from, as far as there were any.
    choice
        Which axes, plane and channels of the source it is; None if the source has no others.
    """

    path: str | None
    beside: str | None
    shape: tuple[int, int, int]
    color: bool
    dtype: str
    frames: Mapping[int, str | None]
    contrast: tuple[float, float]
    transforms: Mapping[str, Any]
    choice: InputChoice | None = None

    @classmethod
    def of(cls, source: Any, video: Video, folder: Path, file: Path | None = None) -> "MovieIdentity":
        """That of a movie that was opened from a path, an array or a layer, for a session in a folder.

        An array or a layer may have come from a `file`.
        """
        source = source.source if isinstance(source, Video) else source
        path = beside = None
        if file is not None or isinstance(source, (str, os.PathLike)):
            path = str(Path(file or source).absolute())
            try:
                beside = Path(os.path.relpath(path, folder.absolute())).as_posix()
            except ValueError:  # another drive
                beside = None
        return cls(
            path,
            beside,
            (video.num_frames, *video.shape_yx),
            video.rgb,
            video.dtype.name,
            {t: _hash(video, t) for t in sorted({0, video.num_frames // 2, video.num_frames - 1})},
            video.contrast,
            _transforms(source),
            video.choice,
        )

    def or_else(self, before: "MovieIdentity") -> "MovieIdentity":
        """The same with path and transforms as they were known before, where there are none now."""
        known = self if self.path is not None else replace(self, path=before.path, beside=before.beside)
        return known if known.transforms else replace(known, transforms=before.transforms)

    def differences(self, video: Video) -> list[str]:
        """What of another movie is not as it was, in words; empty if it is the same."""
        found = []
        shape, kind = (video.num_frames, *video.shape_yx), {True: "color", False: "gray"}
        if shape != self.shape:
            found.append(f"its shape is {shape}, and was {self.shape}")
        if video.rgb != self.color:
            found.append(f"it is in {kind[video.rgb]}, and was in {kind[self.color]}")
        if video.dtype.name != self.dtype:
            found.append(f"its pixels are {video.dtype.name}, and were {self.dtype}")
        if video.choice != self.choice:
            found.append(f"it is {video.choice or 'all of its source'}, and was {self.choice or 'all of it'}")
        if video.contrast != self.contrast:
            (low, high), (was_low, was_high) = video.contrast, self.contrast
            found.append(f"its contrast is {low:g} to {high:g}, and was {was_low:g} to {was_high:g}")
        if found:
            return found
        changed = [t for t, known in self.frames.items() if known is not None and _hash(video, t) != known]
        return [f"other pixels are on frame {t}" for t in changed]

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> "MovieIdentity":
        """What `to_json` gave. Raises ValueError, TypeError or KeyError if it is no such thing."""
        # Sessions that were stored before there was a choice have none.
        choice = values.get("choice")
        given = {field.name: values[field.name] for field in fields(cls) if field.name != "choice"}
        frames = {int(t): None if known is None else str(known) for t, known in values["frames"].items()}
        num_frames, height, width = (int(n) for n in values["shape"])
        low, high = (float(n) for n in values["contrast"])
        if min(num_frames, height, width) < 1 or not all(0 <= t < num_frames for t in frames):
            raise ValueError("the movie has no such frames")
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            raise ValueError(f"the contrast of the movie is {low:g} to {high:g}")
        if not all(isinstance(given[name], str | None) for name in ("path", "beside")):
            raise ValueError("the path of the movie is none")
        shape = num_frames, height, width
        known = None if choice is None else InputChoice.from_json(choice)
        return cls(**given | {"frames": frames, "shape": shape, "contrast": (low, high), "choice": known})

    def find(self, folder: Path) -> Path | None:
        """The file where it was, or where it is if it was moved together with the session's folder.

        A path on another machine's share is not looked at: whoever opens a session from elsewhere would log in there.
        """
        for name in (self.path, None if self.beside is None else os.path.normpath(folder.absolute() / self.beside)):
            if name is not None and not is_on_a_share(name) and Path(name).exists():
                return Path(name)
        return None


def is_on_a_share(path: str) -> bool:
    """Whether a path is on another machine, as Windows writes that, with slashes of either kind."""
    return path.replace("/", "\\").startswith("\\\\")


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """A model as a session knows it.

    Attributes
    ----------
    name
        As `load_model` takes it, a name or an absolute path; None if it was given as a loaded model.
    sha256
        Of the weights, in the precision they are in.
    precision, windows
        As `load_model` takes them.
    """

    name: str | None
    sha256: str
    precision: str = "float32"
    windows: bool = False

    @classmethod
    def of(cls, given: Any, model: "SAM2", *, precision: str, windows: bool) -> "ModelIdentity":
        """That of a model that was given by name or path, or loaded already."""
        name = None
        if isinstance(given, (str, os.PathLike)):
            name = str(Path(given).absolute()) if Path(given).is_file() else os.fspath(given)
        return cls(name, weights_hash(model), precision, windows)

    @classmethod
    def from_json(cls, values: Any) -> "ModelIdentity":
        """What `dataclasses.asdict` gave. Raises ValueError, TypeError or KeyError if it is no such thing."""
        name, precision = values["name"], str(values["precision"])
        if not isinstance(name, str | None) or precision not in ("float32", "bfloat16", "auto"):
            raise ValueError("the model is none")
        return cls(name, str(values["sha256"]), precision, bool(values["windows"]))


def weights_hash(model: "SAM2") -> str:
    """SHA-256 of a model's weights with their names and types; about a second for the largest."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}\n".encode())
        digest.update(weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _hash(video: Video, t: int) -> str | None:
    try:
        pixels = video.sampled(t)
    except MovieError:
        return None
    return hashlib.sha256(np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<")).data).hexdigest()


def _transforms(source: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("scale", "translate", "rotate", "shear", "affine"):
        value = getattr(source, name, None)
        value = getattr(value, "affine_matrix", value)
        if value is not None and not callable(value):
            found[name] = np.asarray(value, np.float64).tolist()
    for name in ("units", "axis_labels"):
        value = getattr(source, name, None)
        if isinstance(value, (list, tuple)):
            found[name] = [str(x) for x in value]
    return found
