"""All cells of one frame on one canvas: who owns each pixel, how deep it lies, and its texture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .cells import Cell
from .outlines import Field, radial_field, radius_tables, rod_field
from .specs import MovieSpec
from .textures import sample_tile, texture_bank

_FAR = np.float32(-1e3)


@dataclass(frozen=True, slots=True)
class Canvas:
    """What the cells of one frame leave on the pixels, each map (Y, X) float32 unless said otherwise.

    `owner` (int16) indexes `cells`, and equals their number where no cell is near. `depth` is the signed distance in
    pixels to the owner's edge, positive inside, seams with neighbours counted as edges. `outline` is the same without
    seams. `texture` is the owner's (about unit variance), `halo` the sum over cells of a bump that falls from 1 at
    the edge to 0 at the halo's width, `light` the summed light of cells that overlap (zero in the ``"divide"`` mode).
    """

    cells: list[Cell]
    owner: NDArray[np.int16]
    depth: NDArray[np.float32]
    outline: NDArray[np.float32]
    texture: NDArray[np.float32]
    halo: NDArray[np.float32]
    light: NDArray[np.float32]

    def gather(self, values: list[float], outside: float = 0.0) -> NDArray[np.float32]:
        """One value per cell, spread over the pixels it owns."""
        return np.array([*values, outside], np.float32).take(self.owner)


def edge_radius(cell: Cell) -> float:
    """Distance in pixels from the edge to the middle of a cell."""
    return cell.rod_width if cell.is_rod else cell.radius


def cell_texture(spec: MovieSpec, cell: Cell, u: NDArray[np.float32], v: NDArray[np.float32]) -> NDArray[np.float32]:
    """Texture and vesicles in the cell's own coordinates."""
    bank, look = texture_bank(), cell.appearance
    u, v = u + np.float32(cell.flow[0]), v + np.float32(cell.flow[1])
    fine = max(spec.texture_scale * spec.diameter, 1.5)
    texture = sample_tile(bank[look.tiles[0]], u, v, fine, look.offset)
    texture += np.float32(0.7) * sample_tile(bank[look.tiles[1]], u, v, max(0.4 * spec.diameter, 4.0), look.offset)
    long, short = (cell.rod_half_length, cell.rod_width) if cell.is_rod else (cell.radius, cell.radius)
    for at_u, at_v, size, strength in look.vesicles.tolist():
        radius = max(size * short, 1.2)
        du, dv = u - np.float32(at_u * long), v - np.float32(at_v * short)
        # 1 inside, 0 from 1.4 radii outward: a soft disc.
        disc = np.clip(np.float32(2.0) - (du * du + dv * dv) * np.float32(1 / radius**2), 0, 1)
        texture += np.float32(1.5 * strength) * disc
    slope = 1 / (max(spec.texture, 0.05) * cell.radius)
    texture += np.float32(look.shade[0] * slope) * u + np.float32(look.shade[1] * slope) * v
    return texture


def paint(spec: MovieSpec, cells: list[Cell], *, margin: float) -> Canvas:
    """Paint cells in order onto a canvas; `margin` in pixels is how far a cell's halo and fringes reach."""
    shape = spec.shape_yx
    overlap = spec.contact == "overlap"
    first, second = np.full(shape, _FAR), np.full(shape, _FAR)
    owner = np.full(shape, len(cells), np.int16)
    texture, halo, light = (np.zeros(shape, np.float32) for _ in range(3))
    tables, cosines = radius_tables(cells)
    for index, cell in enumerate(cells):
        field = (
            rod_field(cell, margin, shape)
            if cell.is_rod
            else radial_field(cell, tables[index], cosines[index], margin, shape)
        )
        if field is None:
            continue
        box, depth = (field.rows, field.columns), field.depth
        nearest = first[box]
        better = depth > (np.minimum(nearest, 0) if overlap else nearest)
        if not overlap:
            second[box] = np.maximum(second[box], np.minimum(nearest, depth))
        np.copyto(nearest, depth, where=better)
        np.copyto(owner[box], np.int16(index), where=better)
        if spec.halo:
            bump = np.clip(1 + np.minimum(depth, 0) * np.float32(1 / margin), 0, 1)
            halo[box] += bump * bump
        _paint_inside(spec, cell, field, better, texture[box], light[box] if overlap else None)
    if overlap:
        depth = first
    else:
        seam = np.float32(spec.seam * np.mean([edge_radius(cell) for cell in cells]))
        depth = np.where(first > 0, np.minimum(first, (first - second) * np.float32(0.5) + seam), first)
    return Canvas(cells, owner, depth, first, texture, halo, light)


def _paint_inside(
    spec: MovieSpec,
    cell: Cell,
    field: Field,
    better: NDArray[np.bool_],
    texture: NDArray[np.float32],
    light: NDArray[np.float32] | None,
) -> None:
    """Write a cell's texture, and its light where cells shine through each other, into views of the canvas."""
    inner = field.inner
    depth = field.depth[inner]
    if depth.size == 0:
        return
    own = cell_texture(spec, cell, field.u[inner], field.v[inner])
    np.copyto(texture[inner], own, where=better[inner])
    if light is not None:
        thickness = domed(depth, np.float32(1 / edge_radius(cell)), spec.dome)
        light[inner] += np.float32(cell.brightness) * thickness * np.maximum(1 + spec.texture * own, 0.1)


def domed(
    depth: NDArray[np.float32], inverse_radius: NDArray[np.float32] | np.float32, dome: float
) -> NDArray[np.float32]:
    """Thickness over depth: 0 outside, 1 in the middle, between a flat disc (dome 0) and a ball (dome 1)."""
    inside: NDArray[np.float32] = np.clip(depth * np.float32(0.7) + np.float32(0.5), 0, 1)
    if dome <= 0:
        return inside
    x = np.clip(depth * inverse_radius, 0, 1)
    thickness: NDArray[np.float32] = inside * ((1 - np.float32(dome)) + np.float32(dome) * np.sqrt(x * (2 - x)))
    return thickness
