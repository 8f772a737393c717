"""What a synthetic movie is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

CellKind = Literal["nuclei", "amoeboid", "rods", "yeast"]
Look = Literal["fluorescence", "dark", "phase", "dic", "brightfield"]
Contact = Literal["divide", "overlap"]

CELL_KINDS: tuple[CellKind, ...] = get_args(CellKind)
LOOKS: tuple[Look, ...] = get_args(Look)

TRAINING_SEEDS_FROM = 10_000
"""Training draws `MovieSpec.seed` at or above this number; samples and tests use seeds below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MovieSpec:
    """Everything that determines a synthetic movie, bit for bit.

    Lengths called *relative* are fractions of `diameter` unless the field says otherwise; intensities are relative
    to the contrast between a typical cell and the background.

    Parameters
    ----------
    seed
        Seed of the PCG64 generator. Below `TRAINING_SEEDS_FROM` for samples and tests.
    num_frames, shape_yx
        Size of the movie: frames, and (Y, X) in pixels.
    cell_kind, look
        Shape and behaviour of the cells; kind of microscope.
    diameter
        Diameter in pixels (8 to 200) of the disc that has a typical cell's area; for rods too.
    num_cells
        Cells in view, roughly: more are simulated around the view, and may enter.
    size_spread, elongation
        Standard deviation of log size; length over width (rods: 2.5 to 6, filaments up to 16, others 1 to 1.8).
    clustering
        Share of the cells that sit in colonies, 0 to 1.
    spacing
        Distance kept between the centres of neighbours, relative to the sum of their radii.
        Below 1 they press on each other.
    contact
        ``"divide"``: touching cells meet in a straight seam; ``"overlap"``: the later cell lies on top in the labels.
    seam
        How far the seam between touching cells is filled in, relative to the radius: 0 leaves it fully visible.
    speed, persistence, rotation
        Relative step per frame; memory of the direction (0 to 1); turning in radians per frame.
    stage_drift, stage_jitter
        Relative common motion of everything per frame: constant, and random.
    jump_rate, jump
        Chance per frame that the stage jumps; relative length of a jump.
    tissue_drift, tissue_shear
        Relative step per frame of all cells together, over a background that stays; how much that step varies over the
        view (0: all alike; 1: as much again from the middle to the border).
    deformation, deformation_rate
        Amplitude of outline harmonics relative to the radius; share renewed per frame (0 to 1).
    growth, division_rate
        Relative growth of the area per frame; chance per cell and frame to divide (yeast: to bud).
    condensation, neck
        How far a nucleus shrinks to a bright plate before it divides (0 to 1), whose daughters swell again over some
        frames; how thin the neck is by which a young bud hangs on its mother (0: none).
    brightness_spread, interior, rim, rim_width, halo, halo_width, dome
        Spread of log brightness between cells; interior against the background (-1 to 1, signed); strength (signed)
        and width (pixels) of rims and fringes; strength (signed) and width (relative) of the halo; 0 flat to 1 domed.
    texture, texture_scale, vesicles, vacuole, shade
        Contrast and relative size of the cell's own texture; mean number of granules or nucleoli; share of cells
        with one large vacuole, negative for dark ones; spread of the slope of brightness across a cell.
    organelles, shells
        Mean number of small bright or dark bodies inside a cell, whatever its texture; contrast of the rings and lobes
        that run along its outline inside (transmitted light only).
    label_margin
        How far the true outline lies outside the rim's zero line, in units of 0.1 radius (signed).
    inverted
        Bright and dark exchanged.
    blur, defocus, focus_drift
        Standard deviation of the point spread in pixels; how much of it swings over time; pixels that it gains a frame.
    noise, shot_noise, pattern_noise, grain
        Standard deviations of readout noise, photon noise and fixed-pattern (rows, columns, pixels) noise;
        how wide the noise is in pixels, as in movies that were scaled up.
    unevenness, background_texture, bleaching
        Uneven illumination; contrast of what lies in the background; loss of signal per frame (0 to 0.1).
    debris, dead, walls
        Number of unlabelled blobs, of unlabelled dead cells (clumps of fragments), of outlines of channels.
    compression, interlace
        Strength of JPEG-like quantization (0 none); pixels by which odd rows lag behind, as in interlaced video.
    dtype
        ``"uint8"`` or ``"uint16"``.
    """

    seed: int
    num_frames: int = 12
    shape_yx: tuple[int, int] = (256, 256)
    cell_kind: CellKind = "nuclei"
    look: Look = "fluorescence"
    diameter: float = 32.0
    num_cells: int = 16
    size_spread: float = 0.12
    elongation: float = 1.2
    clustering: float = 0.3
    spacing: float = 0.95
    contact: Contact = "divide"
    seam: float = 0.05
    speed: float = 0.05
    persistence: float = 0.6
    rotation: float = 0.03
    stage_drift: float = 0.0
    stage_jitter: float = 0.01
    jump_rate: float = 0.0
    jump: float = 1.0
    tissue_drift: float = 0.0
    tissue_shear: float = 0.0
    deformation: float = 0.04
    deformation_rate: float = 0.1
    growth: float = 0.01
    division_rate: float = 0.01
    condensation: float = 0.0
    neck: float = 0.0
    brightness_spread: float = 0.25
    interior: float = 0.8
    rim: float = 0.0
    rim_width: float = 2.0
    halo: float = 0.0
    halo_width: float = 0.3
    dome: float = 0.4
    texture: float = 0.15
    texture_scale: float = 0.2
    vesicles: float = 1.0
    vacuole: float = 0.0
    shade: float = 0.0
    organelles: float = 0.0
    shells: float = 0.0
    label_margin: float = 0.0
    inverted: bool = False
    blur: float = 0.8
    defocus: float = 0.1
    focus_drift: float = 0.0
    noise: float = 0.04
    shot_noise: float = 0.04
    pattern_noise: float = 0.005
    grain: float = 0.0
    unevenness: float = 0.1
    background_texture: float = 0.03
    bleaching: float = 0.0
    debris: int = 2
    dead: int = 0
    walls: int = 0
    compression: float = 0.0
    interlace: int = 0
    dtype: Literal["uint8", "uint16"] = "uint8"

    def __post_init__(self) -> None:
        if self.cell_kind not in CELL_KINDS or self.look not in LOOKS:
            raise ValueError(f"{self.cell_kind!r} in {self.look!r} is unknown: choose from {CELL_KINDS} and {LOOKS}")
        if not 8 <= self.diameter <= 200:
            raise ValueError(f"diameter is {self.diameter} px, expected 8 to 200; crop or scale the movie instead")
        if self.num_frames < 1 or min(self.shape_yx) < 16 or self.num_cells < 1:
            raise ValueError(
                f"{self.num_frames} frames of {self.shape_yx} with {self.num_cells} cells: "
                "expected at least 1 frame of 16 x 16 pixels with 1 cell"
            )
        if self.dtype not in ("uint8", "uint16"):
            raise ValueError(f"dtype is {self.dtype!r}, expected 'uint8' or 'uint16'")

    @property
    def radius(self) -> float:
        """Half the diameter, in pixels."""
        return self.diameter / 2
