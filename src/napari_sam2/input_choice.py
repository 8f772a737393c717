"""Which part of an image of many axes is the movie."""

import string
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from napari_sam2.errors import MovieError

Projection = Literal["max", "mean"]
PROJECTIONS: tuple[Projection, ...] = ("max", "mean")
MAX_CHANNELS = 3
MOVIES = "TIFF, .zarr folder, or folder of TIFFs, JPEGs or PNGs"
"""What a movie may be on disk."""
_MEANINGS = {
    "T": ("t", "time", "frame", "frames"),
    "Z": ("z", "plane", "slice", "depth"),
    "C": ("c", "ch", "channel", "channels"),
    "Y": ("y",),
    "X": ("x",),
    "S": ("s", "rgb"),
}


@dataclass(frozen=True, slots=True)
class InputChoice:
    """What to take of an array as the movie (T, Y, X), or (T, Y, X, 3) of several channels or in color.

    Attributes
    ----------
    axes
        A letter for each axis of the array, in its order: T time, Z planes, C channels, Y, X, and S for the samples of
        color. By default what the file or the layer says of itself.
    plane
        Which plane of Z, counted from 0.
    projection
        "max" or "mean" over Z, in place of one plane.
    channels
        Which channel of C, counted from 0, or up to three, each with a contrast of its own: they go into the three
        inputs of the model; of two, the third is their mean.
    contrasts
        For each of several channels, the intensities that become 0 and 1; by default they are sampled.

    Raises
    ------
    MovieError
        If these make no sense together.
    """

    axes: str | None = None
    plane: int | None = None
    projection: Projection | None = None
    channels: int | Sequence[int] = ()
    contrasts: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        channels = (self.channels,) if isinstance(self.channels, int) else tuple(int(c) for c in self.channels)
        object.__setattr__(self, "channels", channels)
        object.__setattr__(self, "contrasts", tuple((float(low), float(high)) for low, high in self.contrasts))
        if self.axes is not None:
            object.__setattr__(self, "axes", _checked_axes(self.axes))
        if self.projection not in (None, *PROJECTIONS):
            raise MovieError(f"the projection is {self.projection!r}, expected one of {', '.join(PROJECTIONS)}")
        if self.projection is not None and self.plane is not None:
            raise MovieError(f"both plane {self.plane} and the projection {self.projection!r} are given: take one")
        if len(channels) > MAX_CHANNELS or len(set(channels)) < len(channels):
            raise MovieError(f"the channels are {list(channels)}, expected one to {MAX_CHANNELS} different ones")

    @property
    def channel_list(self) -> tuple[int, ...]:
        """The channels, however they were given."""
        return self.channels if isinstance(self.channels, tuple) else ()

    @property
    def is_blend(self) -> bool:
        """Whether several channels go into the inputs of the model."""
        return len(self.channel_list) > 1

    @property
    def is_plain(self) -> bool:
        """Whether the array is the movie as it is."""
        return self.axes in ("TYX", "TYXS")

    def of(self, shape: Sequence[int], known_axes: str | None, name: str) -> "InputChoice":
        """The same with all that is left open filled in, as far as there is no choice.

        Parameters
        ----------
        shape
            Of the array.
        known_axes
            What the source says of its axes.
        name
            How messages call the movie.

        Raises
        ------
        MovieError
            If axes, plane or channels do not fit the array, or one of them must be chosen.
        """
        axes = self.axes or known_axes
        if axes is None:
            raise MovieError(
                f"{name} has the shape {tuple(shape)}, and nothing says what its axes are: name them, for example "
                f"axes={'TCZYX'[-len(shape) :] if len(shape) > 4 else 'TZYX'!r}"
            )
        axes = _checked_axes(axes)
        if len(axes) != len(shape):
            raise MovieError(f"{name} has the shape {tuple(shape)} of {len(shape)} axes, but the axes given are {axes}")
        sizes = dict(zip(axes, (int(n) for n in shape), strict=True))
        if 0 in sizes.values():
            raise MovieError(f"{name} has the shape {tuple(shape)} and so no pixels")
        if sizes.get("S", 3) not in (3, 4):
            raise MovieError(f"{name} has {sizes['S']} samples of color along S, expected 3 or 4: is it C, channels?")
        return replace(self, axes=axes, plane=self._plane(sizes, name), channels=self._channels(sizes, name))

    def _plane(self, sizes: dict[str, int], name: str) -> int | None:
        count = sizes.get("Z")
        if count is None:
            if self.plane is not None or self.projection is not None:
                raise MovieError(f"{name} has no axis Z among {''.join(sizes)}, so there is no plane to choose")
            return None
        if self.projection is not None:
            return None
        if self.plane is None and count > 1:
            raise MovieError(
                f"{name} has {count} planes: choose one with plane=0 to {count - 1}, or projection='max' or 'mean'"
            )
        if not 0 <= (plane := self.plane or 0) < count:
            raise MovieError(f"{name} has no plane {plane}: it has the planes 0 to {count - 1}")
        return plane

    def _channels(self, sizes: dict[str, int], name: str) -> tuple[int, ...]:
        count, channels = sizes.get("C"), self.channel_list
        if count is None:
            if channels:
                raise MovieError(f"{name} has no axis C among {''.join(sizes)}, so there is no channel to choose")
            return ()
        if not channels and count > 1:
            raise MovieError(
                f"{name} has {count} channels: choose one with channels=0 to {count - 1}, or up to {MAX_CHANNELS} "
                "to be looked at together, channels=(0, 1)"
            )
        if any(not 0 <= c < count for c in channels):
            raise MovieError(f"{name} has no channel {max(channels)}: it has the channels 0 to {count - 1}")
        if len(channels) > 1 and "S" in sizes:
            raise MovieError(f"{name} is in color: choose one channel, not {len(channels)}")
        return channels or (0,)

    def __str__(self) -> str:
        said = [f"axes {self.axes}"] if self.axes else []
        if self.projection is not None:
            said.append(f"{self.projection} over Z")
        elif self.plane is not None:
            said.append(f"plane {self.plane}")
        if self.channel_list:
            said.append(f"channel{'s' * self.is_blend} {', '.join(map(str, self.channel_list))}")
        return ", ".join(said)

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> "InputChoice":
        """What `to_json` gave. Raises ValueError, TypeError or KeyError if it is no such thing."""
        plane, channels = values["plane"], [int(c) for c in values["channels"]]
        contrasts = [(float(low), float(high)) for low, high in values["contrasts"]]
        if not np.isfinite(contrasts).all() or any(low >= high for low, high in contrasts):
            raise ValueError("the contrast of a channel is no range")
        if contrasts and len(contrasts) != len(channels):
            raise ValueError("there are not as many contrasts as channels")
        try:
            return cls(
                str(values["axes"]),
                None if plane is None else int(plane),
                values["projection"],
                tuple(channels),
                tuple(contrasts),
            )
        except MovieError as error:
            raise ValueError(str(error)) from error


def axes_of_names(names: Sequence[str]) -> str | None:
    """Letters for axes of these names, such as those of an OME-Zarr or a layer; None if they do not say."""
    letters = [next((k for k, said in _MEANINGS.items() if str(name).lower() in said), "?") for name in names]
    axes = "".join(letters)
    return axes if "?" not in axes and len(set(axes)) == len(axes) and {*"TYX"} <= {*axes} else None


def axes_of_tiff(letters: str) -> str | None:
    """The same of the letters of a TIFF, in which series of pages without a name are taken for time."""
    unnamed = [letter for letter in letters if letter not in _MEANINGS]
    if "T" not in letters and len(unnamed) == 1:
        letters = letters.replace(unnamed[0], "T")
    return axes_of_names([*letters])


def _checked_axes(axes: str) -> str:
    axes = str(axes).upper()
    strange = [letter for letter in axes if letter not in _MEANINGS]
    if strange or len(set(axes)) < len(axes) or not {*"TYX"} <= {*axes}:
        shown = "".join(letter for letter in axes if letter in string.printable)
        raise MovieError(
            f"the axes are {shown!r:.40}, expected T, Y and X, and Z, C or S, each once, such as TZYX or TCYX; to go "
            "through the planes of a stack as if they were frames, call them T"
        )
    return axes
