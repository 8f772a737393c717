"""What an output layer takes over from the image, and which image layers are movies."""

from typing import Any

import numpy as np
from napari.layers import Image, Layer
from numpy.typing import NDArray

from napari_sam2.errors import MovieError


def movie_shape(image_layer: Image) -> tuple[int, int, int]:
    """Return (T, Y, X) of a movie: an image layer of the axes (T, Y, X), or (T, Y, X, 3 or 4) if it is in color.

    Raises
    ------
    MovieError
        If the layer has other axes or no pixels; the message says what to do.
    """
    # A color image has one axis more in its data than the layer has; the first of several resolutions is the full one.
    data = image_layer.data[0] if image_layer.multiscale else image_layer.data
    name, shape = image_layer.name, tuple(int(size) for size in data.shape)
    if image_layer.ndim < 3:
        raise MovieError(
            f"layer '{name}' is a single image of the shape {shape}, expected a movie (T, Y, X): open the frames as "
            "one stack, or merge layers of single frames with 'Merge to stack' in their context menu"
        )
    if image_layer.ndim > 3:
        raise MovieError(
            f"layer '{name}' has the shape {shape}, expected a movie (T, Y, X) or (T, Y, X, 3) in color: choose one "
            "plane or channel first, with 'Split stack' in the layer's context menu"
        )
    if 0 in shape:
        raise MovieError(f"layer '{name}' has the shape {shape} and thus no pixels: choose another layer")
    return shape[0], shape[1], shape[2]


def carried_over(image_layer: Image) -> dict[str, Any]:
    """Return the keywords that place a layer exactly over the image: transforms, units and axis labels.

    Units matter: beside a layer in micrometers, one without units is drawn at another scale.
    """
    return {
        "scale": np.array(image_layer.scale),
        "translate": np.array(image_layer.translate),
        "rotate": np.array(image_layer.rotate),
        "shear": np.array(image_layer.shear),
        "affine": np.array(image_layer.affine.affine_matrix),
        "units": tuple(image_layer.units),
        "axis_labels": tuple(image_layer.axis_labels),
    }


def to_image_pixels(coordinates: NDArray[Any], layer: Layer, image_layer: Image) -> NDArray[np.float64]:
    """Turn (N, D) data coordinates of a layer into (N, 3) coordinates t, y, x of the image, by way of the world's.

    The layer may lie elsewhere than the image; axes are matched from the last one, as napari does.
    """
    return _carried(coordinates, layer, image_layer)


def from_image_pixels(tyx: NDArray[Any], layer: Layer, image_layer: Image) -> NDArray[np.float64]:
    """Turn (N, 3) coordinates t, y, x of the image into (N, 3) data coordinates of a layer of three axes."""
    return _carried(tyx, image_layer, layer)


def _carried(coordinates: NDArray[Any], source: Layer, target: Layer) -> NDArray[np.float64]:
    """Data coordinates of one layer in those of another, by way of the world's."""
    ndim = source.ndim
    # The whole way is affine: four probes say what it does, however many points there are.
    probes = np.vstack([np.zeros(ndim), np.eye(ndim)])
    ends = np.array([target.world_to_data(source.data_to_world(probe)) for probe in probes], dtype=np.float64)
    if ends.shape == probes.shape and np.allclose(ends, probes, rtol=0, atol=1e-9):
        # They lie alike. The way there and back would change the last bits, and so make other prompts of old points.
        return np.array(coordinates, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        # Points at infinity come out as not a number.
        carried: NDArray[np.float64] = ends[0] + np.asarray(coordinates, np.float64) @ (ends[1:] - ends[0])
    return carried
