"""Background, illumination, blur, noise and digitization."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .debris import draw_rubbish
from .specs import MovieSpec
from .textures import sample_tile, texture_bank

_SMOOTH_TILES = [0, 1, 2, 5, 6, 7, 10, 11, 12]


class Camera:
    """What lies between the cells' light and the stored frame, drawn once per movie.

    Illumination and fixed pattern stay with the camera; background texture and debris move with the stage.
    """

    def __init__(self, spec: MovieSpec, rng: np.random.Generator) -> None:
        self.spec = spec
        self._rng = rng
        self._illumination = _uneven(rng, spec)
        self._tiles = rng.choice(_SMOOTH_TILES, 2)
        self._scales = np.exp(rng.uniform(np.log(3), np.log(40), 2))
        self._offsets = rng.uniform(0, 256, (2, 2))
        self._debris = draw_rubbish(spec, rng)
        self._pattern = _fixed_pattern(rng, spec) if spec.pattern_noise else None
        self._base = float(np.exp(rng.uniform(np.log(0.02), np.log(0.6)))) if spec.look == "fluorescence" else 0.0
        self._phase = rng.uniform(0, 2 * np.pi)
        self._levels: tuple[float, float] | None = None
        self._contrast = 0.0

    def expose(self, light: NDArray[np.float32], frame: int, stage: NDArray[np.float64]) -> NDArray[np.float32]:
        """Light (Y, X) to an image with camera noise, still in units of contrast."""
        spec, rng = self.spec, self._rng
        if not self._contrast:
            self._contrast = _contrast(light)
        image: NDArray[np.float32] = light * np.float32((1 - spec.bleaching) ** frame) + self._background(stage)
        for thing in self._debris:
            thing.draw(image, self._contrast, frame, stage)
        swing = 1 + spec.defocus * (1 + np.sin(self._phase + 0.7 * frame))
        image = ndimage.gaussian_filter(image, spec.blur * swing + spec.focus_drift * frame, truncate=2.5)
        if spec.interlace:
            image[1::2, spec.interlace :] = image[1::2, : -spec.interlace].copy()
        if self._illumination is not None:
            image *= self._illumination
        noise = rng.standard_normal(spec.shape_yx, dtype=np.float32)
        if spec.grain:
            noise = ndimage.gaussian_filter(noise, spec.grain, truncate=2.0)
            noise *= np.float32(min(1 / max(float(noise[::4, ::4].std()), 1e-3), 2.0))
        readout, shot = spec.noise * self._contrast, spec.shot_noise * self._contrast
        image += noise * np.sqrt(np.maximum(image, 0) * np.float32(shot**2) + np.float32(readout**2))
        if self._pattern is not None:
            image += np.float32(self._contrast) * self._pattern
        return image

    def digitize(self, image: NDArray[np.float32]) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """Scale to integers; black and white levels are set on the first frame and kept."""
        if self.spec.inverted:
            image = -image
        if self._levels is None:
            self._levels = self._draw_levels(image)
        gain, offset = self._levels
        scaled = image * np.float32(gain) + np.float32(offset)
        if self.spec.compression:
            scaled = compress(scaled, self.spec.compression * gain)
        stored: NDArray[np.uint8] | NDArray[np.uint16]
        if self.spec.dtype == "uint8":
            stored = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
        else:
            stored = np.clip(np.rint(scaled), 0, 65535).astype(np.uint16)
        return stored

    def _draw_levels(self, image: NDArray[np.float32]) -> tuple[float, float]:
        rng = self._rng
        low, high = (float(value) for value in np.percentile(image[::2, ::2], [0.1, 99.8]))
        if self.spec.dtype == "uint8":
            black, span = rng.uniform(0, 60), rng.uniform(90, 195)
        else:
            black, span = rng.uniform(50, 2000), float(np.exp(rng.uniform(np.log(400), np.log(50_000))))
        gain = span / max(high - low, 0.15)
        return gain, black - low * gain

    def _background(self, stage: NDArray[np.float64]) -> NDArray[np.float32]:
        """What lies behind the cells, moved by the stage."""
        spec = self.spec
        background = np.full(spec.shape_yx, self._base, np.float32)
        if not spec.background_texture:
            return background
        y = (np.arange(spec.shape_yx[0]) - stage[0]).astype(np.float32)[:, None]
        x = (np.arange(spec.shape_yx[1]) - stage[1]).astype(np.float32)[None, :]
        bank = texture_bank()
        for tile, scale, offset in zip(self._tiles, self._scales, self._offsets, strict=True):
            texture = sample_tile(bank[int(tile)], x, y, float(scale), (float(offset[0]), float(offset[1])))
            background += np.float32(0.6 * self._contrast * spec.background_texture) * texture
        return background


def _contrast(light: NDArray[np.float32]) -> float:
    """How far the cells stand out of the background of level 0 or 1: a high percentile of the change, within limits."""
    changed = np.abs(light - np.median(light))
    return float(np.clip(np.percentile(changed[::2, ::2], 97), 0.1, 1.0))


def _uneven(rng: np.random.Generator, spec: MovieSpec) -> NDArray[np.float32] | None:
    """Illumination over the view: a quadratic surface around 1; None where it is even."""
    if not spec.unevenness:
        return None
    y = np.linspace(-1, 1, spec.shape_yx[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, spec.shape_yx[1], dtype=np.float32)[None, :]
    weights = rng.normal(0, 0.5 * spec.unevenness, 5).astype(np.float32)
    surface = weights[0] * y + weights[1] * x + weights[2] * y * x + weights[3] * y * y + weights[4] * x * x
    result: NDArray[np.float32] = np.clip(1 + surface - surface.mean(), 0.3, 2.0).astype(np.float32)
    return result


def _fixed_pattern(rng: np.random.Generator, spec: MovieSpec) -> NDArray[np.float32]:
    """Rows, columns and pixels that read high or low all movie long."""
    rows, columns = spec.shape_yx
    pattern = 0.5 * rng.standard_normal((rows, columns), dtype=np.float32)
    pattern += 0.6 * rng.standard_normal((rows, 1), dtype=np.float32)
    pattern += 0.6 * rng.standard_normal((1, columns), dtype=np.float32)
    return np.asarray(np.float32(spec.pattern_noise) * pattern, np.float32)


def _cosines() -> NDArray[np.float32]:
    order, place = np.arange(8)[:, None], np.arange(8)[None, :]
    matrix = np.sqrt(0.25) * np.cos(np.pi * (2 * place + 1) * order / 16)
    matrix[0] /= np.sqrt(2)
    return np.asarray(matrix, np.float32)


_COSINES = _cosines()
_COARSENESS = (1 + np.add.outer(np.arange(8), np.arange(8))).astype(np.float32)


def compress(image: NDArray[np.float32], step: float) -> NDArray[np.float32]:
    """Quantize the cosine transform of 8 x 8 blocks as JPEG does; a ragged border is left as it is."""
    rows, columns = (size // 8 * 8 for size in image.shape)
    blocks = image[:rows, :columns].reshape(rows // 8, 8, columns // 8, 8).transpose(0, 2, 1, 3)
    quantum = _COARSENESS * np.float32(step)
    coefficients = np.rint(_COSINES @ blocks @ _COSINES.T / quantum) * quantum
    restored = (_COSINES.T @ coefficients @ _COSINES).transpose(0, 2, 1, 3).reshape(rows, columns)
    result = image.copy()
    result[:rows, :columns] = restored
    return result
