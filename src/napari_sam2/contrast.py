"""Intensities that become black and white."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.errors import MovieError

MAX_SAMPLED_FRAMES = 8
MAX_SAMPLED_PIXELS = 1_000_000
PERCENTILES = (0.1, 99.9)


def sample_contrast(sampled: Callable[[int], NDArray[Any]], num_frames: int, name: str) -> tuple[float, float]:
    """Percentiles of the finite pixels of a few frames, which `sampled` returns by number; see `Video.contrast`."""
    count = min(num_frames, MAX_SAMPLED_FRAMES)
    samples: list[NDArray[Any]] = []
    extremes: list[float] = []
    error: MovieError | None = None
    for t in np.linspace(0, num_frames - 1, count).round().astype(int):
        try:
            pixels = sampled(int(t))
        except MovieError as exc:
            # It may be far from the frames that are wanted; whoever asks for it will hear of it.
            error = exc
            continue
        values = _finite(pixels)
        if values.size and (low := float(values.min())) < (high := float(values.max())):
            samples.append(_finite(_thin_out(pixels)))
            extremes += [low, high]
    if not samples:
        if error is not None:
            raise error
        raise MovieError(
            f"nothing to segment in {name}: all {count} frames looked at are constant or hold no finite "
            "pixel; check the channel, or give `contrast`"
        )
    values = np.concatenate(samples)
    low, high = min(extremes), max(extremes)
    if values.size:
        p_low, p_high = PERCENTILES
        # No interpolation: between extreme floats it would overflow.
        limits = (np.percentile(values, p_low, method="lower"), np.percentile(values, p_high, method="higher"))
        if limits[0] < limits[1]:
            low, high = float(limits[0]), float(limits[1])
    return low, high


def rescale(pixels: NDArray[Any], contrast: tuple[float, float]) -> NDArray[np.float32]:
    """Map intensities linearly so that `contrast` becomes (0, 1), and clip; NaN and infinity become 0.

    Parameters
    ----------
    pixels
        Any shape, any real or bool type.
    contrast
        (low, high), finite, low < high.
    """
    low, high = contrast
    narrow = pixels.dtype.kind != "f" and pixels.dtype.itemsize <= 2 and 1 <= high - low <= 2**16
    values: NDArray[np.floating[Any]]
    with np.errstate(over="ignore"):
        values = pixels.astype(np.float32 if narrow else np.float64, order="C")
    if pixels.dtype.kind == "f":
        values[~np.isfinite(values)] = low
    np.clip(values, low, high, out=values)
    if not np.isfinite(high - low):
        values /= 2
        low, high = low / 2, high / 2
    values -= low
    values /= high - low
    return values.astype(np.float32, copy=False)


def checked_contrast(contrast: tuple[float, float]) -> tuple[float, float]:
    """Two finite numbers, the lower first. Raises MovieError if they are not."""
    low, high = float(contrast[0]), float(contrast[1])
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise MovieError(f"contrast ({low:g}, {high:g}) is no range: expected two finite numbers, the lower first")
    return low, high


def _finite(pixels: NDArray[Any]) -> NDArray[Any]:
    if pixels.dtype.kind != "f":
        return pixels.ravel()
    with np.errstate(over="ignore"):
        values = pixels.astype(np.float64)
    return values[np.isfinite(values)]


def _thin_out(pixels: NDArray[Any]) -> NDArray[Any]:
    step = int(np.ceil(np.sqrt(pixels.shape[0] * pixels.shape[1] / MAX_SAMPLED_PIXELS)))
    return pixels[::step, ::step]
