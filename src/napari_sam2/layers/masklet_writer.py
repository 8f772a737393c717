"""The Labels layer that shows masks: a zarr store on disk, one chunk a frame, so that memory stays flat."""

import shutil
import tempfile
import weakref
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_sam2.layers.chosen_input import time_axis
from napari_sam2.layers.transforms import carried_over, frame_key, movie_shape

_LARGEST_TABLE = 1 << 24


def create_labels_layer(
    image_layer: Image,
    name: str = "masks",
    num_frames: int | None = None,
    shape: tuple[int, int] | None = None,
) -> Labels:
    """Return an empty Labels layer over the movie, uint32, in which a label is an object ID.

    It has as many axes as the image, with one pixel along those that are not T, Y or X.

    The store lies in a folder for temporary files and goes when the layer goes, at the latest when Python ends.

    Parameters
    ----------
    image_layer
        The movie; the layer gets its transforms, units and axis labels.
    name
        Name of the layer.
    num_frames, shape
        T and (Y, X), by default those of the movie.

    Raises
    ------
    MovieError
        If the image layer is no movie.
    """
    frames, height, width = movie_shape(image_layer)
    num_frames = frames if num_frames is None else num_frames
    height, width = (height, width) if shape is None else shape
    leading = [1] * (image_layer.ndim - 2)
    leading[time_axis(image_layer)] = num_frames
    folder = tempfile.mkdtemp(prefix="napari-sam2-")
    store = zarr.create_array(
        store=str(Path(folder) / "masks.zarr"),
        shape=(*leading, height, width),
        chunks=(*[1] * len(leading), height, width),
        dtype=np.uint32,
        fill_value=0,
        # An empty frame takes no room.
        config={"write_empty_chunks": False},
    )
    layer = Labels(store, name=name, opacity=0.5, **carried_over(image_layer))
    weakref.finalize(layer, shutil.rmtree, folder, ignore_errors=True)
    return layer


def read_frame(labels_layer: Labels, frame: int) -> NDArray[np.uint32]:
    """Return a copy of one frame, (Y, X)."""
    return np.array(labels_layer.data[frame_key(labels_layer, frame)])


def write_frame(labels_layer: Labels, frame: int, labels: NDArray[Any], *, shown: bool = True) -> None:
    """Write (Y, X) labels into one frame, and draw it anew if it is the one on screen.

    Undo knows nothing of it: call `reset_undo` once after a batch, or it brings back stale pixels.
    """
    labels_layer.data[frame_key(labels_layer, frame)] = labels
    if shown:
        refresh_pixels(labels_layer)


def refresh_pixels(labels_layer: Labels) -> None:
    """Draw a layer anew whose pixels have changed."""
    # Without the extras it takes a third of the time, and none of them changes with the pixels.
    labels_layer.refresh(thumbnail=False, extent=False, highlight=False)


def reset_undo(labels_layer: Labels) -> None:
    """Empty the undo history; mode and the rest stay as they are.

    `editable` is the only public way to it: Labels forget their history when it is taken away.
    """
    if not labels_layer.editable:
        return
    mode = labels_layer.mode
    labels_layer.editable = False
    labels_layer.editable = True
    labels_layer.mode = mode


def merge_labels(present: NDArray[np.uint32], new: NDArray[np.uint32], replaced: Collection[int]) -> NDArray[np.uint32]:
    """Lay new labels over those present, both (Y, X), and keep every object that the new ones do not speak of.

    Parameters
    ----------
    present
        What the layer holds.
    new
        The masks of the session on this frame.
    replaced
        IDs whose present pixels go, even if `new` has none of them: an object that left, a click taken back.
    """
    # A table of all IDs is ten times as fast as sorting the pixels of a large frame, unless IDs go into billions.
    size = 1 + max(int(present.max(initial=0)), int(new.max(initial=0)), *replaced, 0)
    if size > _LARGEST_TABLE:
        gone = np.union1d(np.fromiter(replaced, dtype=np.uint32), np.unique(new))
        return np.where((new == 0) & ~np.isin(present, gone), present, new)
    kept = np.ones(size, dtype=bool)
    kept[[0, *replaced]] = False
    kept[new.reshape(-1)] = False
    return np.where((new == 0) & kept[present], present, new)
