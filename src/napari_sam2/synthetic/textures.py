"""A bank of periodic textures, made once, from which every cell and background is cut."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

TILE = 256
FEATURE = 16.0
"""Typical feature size in a tile, in its own pixels."""


def _filtered(rng: np.random.Generator, feature: float, slope: float) -> NDArray[np.float32]:
    """Periodic Gaussian noise of unit variance with features of the given size."""
    frequency = np.hypot(np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None, :]) * feature
    spectrum = np.fft.rfft2(rng.standard_normal((TILE, TILE)))
    noise = np.fft.irfft2(spectrum * np.exp(-(frequency**2) * 2) / (0.3 + frequency) ** slope, s=(TILE, TILE))
    result: NDArray[np.float32] = ((noise - noise.mean()) / noise.std()).astype(np.float32)
    return result


def _standardized(tile: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = tile - tile.mean()
    result: NDArray[np.float32] = np.clip(centred / centred.std(), -3, 3).astype(np.float32).ravel()
    return result


@cache
def texture_bank() -> tuple[NDArray[np.float32], ...]:
    """Flat tiles of ``TILE * TILE`` values, zero mean and unit variance: clouds, ridges, blotches and spots in turn."""
    rng = np.random.Generator(np.random.PCG64(7))
    tiles: list[NDArray[np.float32]] = []
    for _ in range(3):
        tiles.append(_standardized(_filtered(rng, FEATURE, 0.0)))
        tiles.append(_standardized(_filtered(rng, FEATURE * 0.6, 1.5)))
        tiles.append(_standardized(-np.abs(_filtered(rng, FEATURE, 0.0))))
        tiles.append(_standardized(np.tanh(3 * _filtered(rng, FEATURE, 0.0))))
        tiles.append(_standardized(np.maximum(_filtered(rng, FEATURE * 0.7, 0.0) - 1.2, 0)))
    return tuple(tiles)


def sample_tile(
    tile: NDArray[np.float32],
    u: NDArray[np.float32],
    v: NDArray[np.float32],
    feature: float,
    offset: tuple[float, float],
) -> NDArray[np.float32]:
    """Look a texture up at coordinates in pixels, scaled so that its features are `feature` pixels wide."""
    scale = np.float32(FEATURE / feature)
    # Shifted far into the positive range, so that the truncation by astype is a floor.
    iu = (u * scale + np.float32(offset[0] + 64 * TILE)).astype(np.int32) & (TILE - 1)
    iv = (v * scale + np.float32(offset[1] + 64 * TILE)).astype(np.int32) & (TILE - 1)
    return tile.take(iu * TILE + iv)
