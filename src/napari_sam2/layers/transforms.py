"""What an output layer takes over from the image, and which image layers are movies."""

from typing import Any
from weakref import WeakSet

import numpy as np
from napari.layers import Image, Layer
from numpy.typing import NDArray

from napari_sam2.errors import MovieError
from napari_sam2.layers.chosen_input import (
    TIME_AXIS,
    chosen_input,
    layer_axes,
    layer_shape,
    needs_choice,
    other_axes,
    slab,
    time_axis,
)

_PLACES = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")


def movie_shape(image_layer: Image) -> tuple[int, int, int]:
    """Return (T, Y, X) of a movie: an image layer of the axes (T, Y, X), in color or not, or what was chosen of more.

    Raises
    ------
    MovieError
        If the layer has other axes and nothing was chosen, or no pixels; the message says what to do.
    """
    name, shape = image_layer.name, layer_shape(image_layer)
    if image_layer.ndim < 3:
        raise MovieError(
            f"layer '{name}' is a single image of the shape {shape}, expected a movie (T, Y, X): open the frames as "
            "one stack, or merge layers of single frames with 'Merge to stack' in their context menu"
        )
    if needs_choice(image_layer) and chosen_input(image_layer) is None:
        raise MovieError(
            f"layer '{name}' has the shape {shape}, more axes than a movie (T, Y, X): choose a plane or a channel in "
            "the box 'Input' of the widget"
        )
    if 0 in shape:
        raise MovieError(f"layer '{name}' has the shape {shape} and thus no pixels: choose another layer")
    return shape[layer_axes(image_layer).index("T")], shape[-2], shape[-1]


def carried_over(image_layer: Image) -> dict[str, Any]:
    """Return the keywords that place a layer exactly over the movie in an image: transforms, units and axis labels.

    The layer has as many axes as the image, and one pixel along those that are not T, Y or X: on the chosen plane, or
    as thick as all planes or channels. Units matter: beside a layer in micrometers, one without units is drawn at
    another scale.
    """
    scale, translate = np.array(image_layer.scale), np.array(image_layer.translate)
    middle, thickness = slab(image_layer)
    if middle.any():
        translate = np.array(image_layer.affine.inverse(image_layer.data_to_world(middle)))
        scale = scale * thickness
    axis = time_axis(image_layer)
    return {
        "scale": scale,
        "translate": translate,
        "rotate": np.array(image_layer.rotate),
        "shear": np.array(image_layer.shear),
        "affine": np.array(image_layer.affine.affine_matrix),
        "units": tuple(image_layer.units),
        "axis_labels": tuple(image_layer.axis_labels),
        "metadata": {TIME_AXIS: axis} if axis else {},
    }


class Alignment:
    """Keeps layers over the movie: when its scale, position, units or axis labels change, they follow."""

    def __init__(self, image_layer: Image) -> None:
        self._image = image_layer
        self._layers: WeakSet[Layer] = WeakSet()
        for name in _PLACES:
            getattr(image_layer.events, name).connect(self._follow)

    def add(self, layer: Layer) -> None:
        """Let a layer follow from now on."""
        self._layers.add(layer)

    def close(self) -> None:
        """Let all layers stay where they are from now on."""
        for name in _PLACES:
            getattr(self._image.events, name).disconnect(self._follow)

    def _follow(self, _event: Any) -> None:
        placed = carried_over(self._image)
        for layer in self._layers:
            for name in _PLACES:
                setattr(layer, name, placed[name])


def to_image_pixels(coordinates: NDArray[Any], layer: Layer, image_layer: Image) -> NDArray[np.float64]:
    """Turn (N, D) data coordinates of a layer into (N, 3) coordinates t, y, x of the movie, by way of the world's.

    The layer may lie elsewhere than the image; axes are matched from the last one, as napari does. What is on another
    plane than that of the movie comes out as not a number.
    """
    middle, thickness = slab(image_layer)
    ways = _ends(layer, image_layer)
    ways = (ways - middle) / thickness
    places = _carried(coordinates, layer.ndim, ways)
    tyx = places[:, _tyx(image_layer)]
    others = places[:, other_axes(image_layer)]
    tyx[~((others >= -0.5 - 1e-6) & (others < 0.5 + 1e-6)).all(axis=1)] = np.nan
    return tyx


def from_image_pixels(tyx: NDArray[Any], layer: Layer, image_layer: Image) -> NDArray[np.float64]:
    """Turn (N, 3) coordinates t, y, x of the movie into (N, D) data coordinates of a layer of the image's axes."""
    middle, thickness = slab(image_layer)
    places = np.zeros((len(tyx), image_layer.ndim))
    places[:, _tyx(image_layer)] = tyx
    ways = np.vstack([np.zeros(image_layer.ndim), np.eye(image_layer.ndim)]) * thickness + middle
    ends = [layer.world_to_data(image_layer.data_to_world(place)) for place in ways]
    return _carried(places, image_layer.ndim, np.array(ends, dtype=np.float64))


def frame_key(layer: Layer, frame: int) -> tuple[Any, ...]:
    """Where a frame (Y, X) is in the data of a layer over a movie."""
    key: list[Any] = [0] * (layer.ndim - 2)
    key[time_axis(layer)] = frame
    return *key, slice(None), slice(None)


def _tyx(image_layer: Image) -> list[int]:
    return [layer_axes(image_layer).index("T"), image_layer.ndim - 2, image_layer.ndim - 1]


def _ends(source: Layer, target: Layer) -> NDArray[np.float64]:
    """Where the origin of one layer and a step along each of its axes come to lie in the data of another."""
    probes = np.vstack([np.zeros(source.ndim), np.eye(source.ndim)])
    return np.array([target.world_to_data(source.data_to_world(probe)) for probe in probes], dtype=np.float64)


def _carried(coordinates: NDArray[Any], ndim: int, ends: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coordinates (N, ndim) carried to where their origin and axes end; the whole way is affine."""
    probes = np.vstack([np.zeros(ndim), np.eye(ndim)])
    if ends.shape == probes.shape and np.allclose(ends, probes, rtol=0, atol=1e-9):
        # They lie alike. The way there and back would change the last bits, and so make other prompts of old points.
        return np.array(coordinates, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        # Points at infinity come out as not a number.
        carried: NDArray[np.float64] = ends[0] + np.asarray(coordinates, np.float64) @ (ends[1:] - ends[0])
    return carried
