"""Pictures of a result: outlines, a translucent fill and the object IDs over the movie."""

import colorsys
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from skimage.measure import regionprops
from skimage.segmentation import find_boundaries

from napari_sam2.io.atomic import replacing

_GOLDEN_RATIO = 0.618033988749895
_FILL = 0.25


def object_color(object_id: int) -> tuple[float, float, float]:
    """Color of an object, RGB 0 to 1: the same on every frame, and far from those of the neighboring IDs."""
    hue = object_id * _GOLDEN_RATIO % 1.0
    # Hues alone get close after a dozen IDs; three levels of brightness tell those apart.
    return colorsys.hsv_to_rgb(hue, 0.85, (1.0, 0.8, 0.9)[object_id % 3])


def draw_overlay(
    image: NDArray[Any], labels: NDArray[Any], *, numbers: bool = True, zoom: int = 1
) -> NDArray[np.uint8]:
    """Draw labels over a frame.

    Parameters
    ----------
    image
        (Y, X, 3) float, 0 to 1.
    labels
        (Y, X) integers, 0 for none.
    numbers
        Write each object's ID at its center.
    zoom
        Whole number by which pixels are repeated first, so that outlines and numbers stay fine on small frames.

    Returns
    -------
    (Y * zoom, X * zoom, 3) uint8.
    """
    picture = np.clip(image, 0.0, 1.0).repeat(zoom, axis=0).repeat(zoom, axis=1).astype(np.float32)
    labels = labels.repeat(zoom, axis=0).repeat(zoom, axis=1)
    ids, places = np.unique(labels, return_inverse=True)
    places = places.reshape(labels.shape)
    colors = np.array([object_color(int(object_id)) for object_id in ids], np.float32)[places]
    inside = labels > 0
    picture[inside] = (1 - _FILL) * picture[inside] + _FILL * colors[inside]
    outline = find_boundaries(labels, mode="inner")  # type: ignore[no-untyped-call]
    picture[outline] = colors[outline]
    pixels = np.round(picture * 255).astype(np.uint8)
    return _write_numbers(pixels, ids, places) if numbers else pixels


def write_overlay(path: str | os.PathLike[str], image: NDArray[Any], labels: NDArray[Any], *, zoom: int = 1) -> None:
    """Write a PNG of one frame with its labels drawn over it, see `draw_overlay`."""
    picture = Image.fromarray(draw_overlay(image, labels, zoom=zoom))
    with replacing(path) as part:
        picture.save(part, format="PNG")


def write_animation(
    path: str | os.PathLike[str], frames: Iterable[NDArray[np.uint8]], *, frames_per_second: float = 10.0
) -> None:
    """Write an animated GIF that repeats for ever.

    Parameters
    ----------
    path
        The GIF to write.
    frames
        (Y, X, 3) uint8 each, such as `draw_overlay` returns; they are taken one by one.
    frames_per_second
        At most 50, which is as fast as browsers go.

    Raises
    ------
    ValueError
        If there are no frames.
    """
    pictures = _quantized(frames)
    first = next(pictures, None)
    if first is None:
        raise ValueError("no frames to animate: expected at least one")
    duration = max(20, round(1000 / frames_per_second))
    with replacing(path) as part:
        first.save(part, format="GIF", save_all=True, append_images=pictures, duration=duration, loop=0)


def _quantized(frames: Iterable[NDArray[np.uint8]]) -> Iterator[Image.Image]:
    for frame in frames:
        yield Image.fromarray(frame).quantize(256, dither=Image.Dither.NONE)


def _write_numbers(pixels: NDArray[np.uint8], ids: NDArray[Any], places: NDArray[np.intp]) -> NDArray[np.uint8]:
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=max(10, min(places.shape) // 40))
    # Not the labels themselves: regionprops takes memory by the largest of them.
    for region in regionprops(places + 1):  # type: ignore[no-untyped-call]
        object_id = ids[region.label - 1]
        if object_id == 0:
            continue
        y, x = region.centroid
        style: dict[str, Any] = {"font": font, "anchor": "mm", "stroke_width": 1, "stroke_fill": (0, 0, 0)}
        draw.text((x, y), str(object_id), fill=(255, 255, 255), **style)
    return np.asarray(picture)
