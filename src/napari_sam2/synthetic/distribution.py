"""The training distribution of synthetic movies."""

from __future__ import annotations

import numpy as np

from .specs import TRAINING_SEEDS_FROM, CellKind, Look, MovieSpec

_KIND_LOOK_WEIGHTS: dict[tuple[CellKind, Look], float] = {
    ("nuclei", "fluorescence"): 22,
    ("nuclei", "dark"): 4,
    ("nuclei", "phase"): 3,
    ("nuclei", "dic"): 3,
    ("nuclei", "brightfield"): 2,
    ("amoeboid", "fluorescence"): 9,
    ("amoeboid", "dark"): 2,
    ("amoeboid", "phase"): 9,
    ("amoeboid", "dic"): 4,
    ("amoeboid", "brightfield"): 3,
    ("rods", "fluorescence"): 4,
    ("rods", "dark"): 2,
    ("rods", "phase"): 10,
    ("rods", "dic"): 1,
    ("rods", "brightfield"): 2,
    ("yeast", "fluorescence"): 2,
    ("yeast", "dark"): 1,
    ("yeast", "phase"): 17,
    ("yeast", "dic"): 2,
    ("yeast", "brightfield"): 10,
}


_WINDOW = 256 * 256
"""Pixels of a view in which there are at most 44 cells; a larger one holds more."""


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _draw_diameter(rng: np.random.Generator, shortest_side: int) -> float:
    """16 to 70 px in a 256 px window as a rule, 8 to 140 at times; smaller windows hold smaller cells at most."""
    diameter = _log_uniform(rng, 8, 140) if rng.random() < 0.14 else _log_uniform(rng, 16, 70)
    return float(np.clip(diameter, 8, max(10.0, 0.55 * shortest_side)))


def _fitting(diameter: float, shape_yx: tuple[int, int]) -> int:
    """How many cells fill the view."""
    return max(1, round(0.8 * shape_yx[0] * shape_yx[1] / diameter**2))


def _draw_numbers(rng: np.random.Generator, diameter: float, shape_yx: tuple[int, int]) -> dict[str, float]:
    """Draw how many cells there are and how close they sit."""
    fits = _fitting(diameter, shape_yx)
    filled = rng.uniform(0.03, 0.8) if rng.random() < 0.75 else rng.uniform(0.8, 1.1)
    most = rng.choice([20, 30, 44], p=[0.5, 0.35, 0.15]) * max(1.0, shape_yx[0] * shape_yx[1] / _WINDOW)
    num_cells = int(np.clip(round(filled * fits), 1, most))
    return {"num_cells": num_cells, "clustering": float(np.clip(rng.uniform(-0.8, 1.3), 0, 1))}


def _draw_spacing(rng: np.random.Generator, *, overlapping: bool) -> float:
    """Pressed on each other or just touching as a rule; at times crowded and yet apart."""
    if overlapping:
        return float(rng.uniform(0.6, 0.9))
    return float(rng.uniform(0.82, 1.05) if rng.random() < 0.75 else rng.uniform(1.05, 1.35))


def _draw_motion(rng: np.random.Generator, kind: CellKind) -> dict[str, float]:
    """Draw motion: mostly slow, at times with jumps of up to 0.7 diameters."""
    speed = _log_uniform(rng, 0.01, 0.15) if rng.random() < 0.75 else rng.uniform(0.15, 0.6)
    drift = 0.0 if rng.random() < 0.5 else rng.choice([_log_uniform(rng, 0.02, 0.3), rng.uniform(0.2, 0.7)])
    if kind in ("rods", "yeast"):
        speed *= 0.5
    amplitude = {"nuclei": (0.01, 0.07), "amoeboid": (0.06, 0.22), "rods": (0.02, 0.12), "yeast": (0.005, 0.03)}[kind]
    elongation = {"nuclei": (1.0, 1.7), "amoeboid": (1.0, 2.2), "rods": (2.3, 6.5), "yeast": (1.0, 1.35)}[kind]
    return {
        "speed": speed,
        "persistence": rng.uniform(0.0, 0.95),
        "rotation": _log_uniform(rng, 0.005, 0.2),
        "stage_drift": float(drift),
        "stage_jitter": _log_uniform(rng, 0.002, 0.1) if rng.random() < 0.75 else rng.uniform(0.1, 0.5),
        "deformation": rng.uniform(*amplitude),
        "deformation_rate": rng.uniform(0.03, 0.5),
        "elongation": rng.uniform(*elongation),
        "growth": rng.uniform(0.0, 0.05),
        "division_rate": 0.0 if rng.random() < 0.4 else _log_uniform(rng, 0.003, 0.04),
        "size_spread": rng.uniform(0.04, 0.3) if kind != "rods" else rng.uniform(0.03, 0.15),
    }


def _draw_haste(rng: np.random.Generator, kind: CellKind) -> dict[str, float]:
    """Draw what a low frame rate does: tissue that goes on by up to most of a cell a frame, and jumps of the stage."""
    hasty: dict[str, float] = {}
    if rng.random() < {"nuclei": 0.2, "amoeboid": 0.12}.get(kind, 0.02):
        hasty["tissue_drift"] = rng.uniform(0.25, 0.95)
        hasty["tissue_shear"] = rng.uniform(0.0, 0.6)
        hasty["stage_drift"] = 0.0
        hasty["deformation_rate"] = rng.uniform(0.2, 0.7)
    if rng.random() < 0.06:
        hasty["jump_rate"] = rng.uniform(0.1, 0.4)
        hasty["jump"] = rng.uniform(0.3, 1.5)
    return hasty


def _draw_filaments(rng: np.random.Generator, kind: CellKind) -> dict[str, float]:
    """At times rods are filaments, few and bent."""
    if kind != "rods" or rng.random() > 0.12:
        return {}
    bent = {"deformation": rng.uniform(0.05, 0.2), "deformation_rate": rng.uniform(0.01, 0.1)}
    return {"elongation": rng.uniform(7, 15), "clustering": 0.0} | bent


def _draw_mitosis(rng: np.random.Generator, kind: CellKind) -> dict[str, float]:
    """At times nuclei condense before they divide, and buds hang by a neck."""
    if kind == "nuclei" and rng.random() < 0.4:
        return {"condensation": rng.uniform(0.3, 1.0), "division_rate": _log_uniform(rng, 0.005, 0.06)}
    if kind == "yeast" and rng.random() < 0.5:
        return {"neck": rng.uniform(0.1, 0.6)}
    return {}


def _draw_insides(rng: np.random.Generator, look: Look, diameter: float) -> dict[str, float]:
    """At times cells hold small bodies, and in transmitted light rings along their outline."""
    inside: dict[str, float] = {}
    if rng.random() < 0.15:
        inside["organelles"] = rng.uniform(0.5, 3.5)
    if look not in ("fluorescence", "dark") and diameter >= 24 and rng.random() < 0.3:
        inside["shells"] = rng.uniform(0.05, 0.5)
    return inside


def _draw_dirt(rng: np.random.Generator, look: Look) -> dict[str, float]:
    """At times there are dead cells, walls, a drifting focus, interlaced rows."""
    dirt: dict[str, float] = {}
    if rng.random() < 0.15:
        dirt["dead"] = int(rng.integers(1, 5))
    if look != "fluorescence" and rng.random() < 0.08:
        dirt["walls"] = int(rng.integers(1, 4))
    if rng.random() < 0.1:
        dirt["focus_drift"] = rng.uniform(0.02, 0.25)
    if rng.random() < 0.04:
        dirt["interlace"] = int(rng.integers(1, 3))
    return dirt


def _draw_vacuole(rng: np.random.Generator, kind: CellKind) -> float:
    if rng.random() > {"yeast": 0.55, "rods": 0.05}.get(kind, 0.2):
        return 0.0
    return float(rng.uniform(0.2, 1.0) * (1 if rng.random() < 0.7 else -1))


def _draw_optics(rng: np.random.Generator, look: Look, kind: CellKind, diameter: float) -> dict[str, float]:
    """Draw how a cell looks inside and at its rim, by microscope."""
    sign = 1.0 if rng.random() < 0.8 else -1.0
    rim_width = float(np.clip(diameter * _log_uniform(rng, 0.03, 0.16), 1.0, 7.5))
    textured = _log_uniform(rng, 0.03, 0.5)
    if look in ("fluorescence", "dark"):
        rim = rng.uniform(-0.5, 1.0) if rng.random() < 0.3 else 0.0
        halo = rng.uniform(0, 0.2) if rng.random() < 0.3 else 0.0
        interior = rng.uniform(0.6, 1.0) if rng.random() < 0.85 else rng.uniform(0.1, 0.5)
    elif look == "phase":
        rim = sign * _log_uniform(rng, 0.08, 0.9)
        halo = (1.0 if rng.random() < 0.9 else -1.0) * _log_uniform(rng, 0.15, 1.2)
        dark = {"rods": 0.92, "yeast": 0.75}.get(kind, 0.6)
        interior = -rng.uniform(0.15, 1.0) if rng.random() < dark else rng.uniform(-0.15, 0.5)
        if kind == "yeast" and rng.random() < 0.45:
            # Dark band inside a bright rim, interior close to the background.
            rim, halo, interior = rng.uniform(0.3, 1.1), rng.uniform(0.3, 1.2), rng.uniform(-0.5, 0.05)
        textured *= 0.8
    elif look == "brightfield":
        rim = (1.0 if rng.random() < 0.65 else -1.0) * _log_uniform(rng, 0.3, 1.2)
        halo, interior = rng.uniform(-0.1, 0.3), rng.uniform(-0.35, 0.3)
        textured *= 0.8
    else:
        rim, halo, interior = rng.uniform(-0.2, 0.2), 0.0, rng.uniform(-0.15, 0.15)
    return {
        "rim": rim,
        "rim_width": rim_width,
        "halo": halo,
        "halo_width": _log_uniform(rng, 0.1, 0.5),
        "interior": interior,
        "dome": rng.uniform(0.0, 1.0),
        "texture": textured,
        "texture_scale": _log_uniform(rng, 0.05, 0.5),
        "vesicles": float(rng.choice([0.0, 0.5, 1.5, 4.0], p=[0.25, 0.3, 0.3, 0.15])),
        "vacuole": _draw_vacuole(rng, kind),
        "shade": 0.0 if rng.random() < 0.5 else rng.uniform(0.02, 0.25),
        "brightness_spread": rng.uniform(0.03, 0.6) if look in ("fluorescence", "dark") else rng.uniform(0.02, 0.3),
    }


def _typical(rng: np.random.Generator, kind: CellKind, look: Look, shape_yx: tuple[int, int]) -> dict[str, float]:
    """What is common in the commonest kinds of movies, to be laid over the wide draws; empty for the others."""
    if (kind, look) == ("rods", "phase"):
        return {
            "interior": -rng.uniform(0.7, 1.1),
            "halo": rng.uniform(0.2, 0.8),
            "halo_width": rng.uniform(0.15, 0.45),
            "rim": rng.uniform(-0.1, 0.3),
            "texture": rng.uniform(0.02, 0.15),
            "brightness_spread": rng.uniform(0.02, 0.12),
            "elongation": rng.uniform(2.4, 4.5),
            "dome": rng.uniform(0.5, 1.0),
        }
    if (kind, look) == ("yeast", "phase"):
        return {
            "interior": -rng.uniform(0.1, 0.9),
            "rim": rng.uniform(0.1, 0.8),
            "halo": rng.uniform(0.4, 1.3),
            "halo_width": rng.uniform(0.12, 0.4),
            "shade": rng.uniform(0.05, 0.3),
            "texture": rng.uniform(0.05, 0.25),
            "brightness_spread": rng.uniform(0.02, 0.15),
            "vacuole": rng.uniform(0.0, 0.9),
            "shells": rng.choice([0.0, rng.uniform(0.05, 0.35)]),
        }
    if (kind, look) == ("nuclei", "fluorescence"):
        return {
            "clustering": 0.0,
            "spacing": rng.uniform(0.95, 1.3),
            "num_cells": round(44 * max(1.0, shape_yx[0] * shape_yx[1] / _WINDOW)),
            "texture": rng.uniform(0.08, 0.3),
            "texture_scale": rng.uniform(0.06, 0.2),
            "vesicles": rng.uniform(0.0, 0.6),
            "vacuole": 0.0,
            "brightness_spread": rng.uniform(0.2, 0.9),
            "noise": rng.uniform(0.02, 0.12),
        }
    return {}


def _draw_camera(rng: np.random.Generator, look: Look, diameter: float) -> dict[str, float]:
    """Draw blur, noise and background."""
    noisy = _log_uniform(rng, 0.006, 0.16)
    return {
        "blur": _log_uniform(rng, 0.5, float(np.clip(0.08 * diameter, 0.9, 3.5))),
        "defocus": rng.uniform(0, 0.5) if rng.random() < 0.4 else 0.05,
        "noise": noisy * rng.uniform(0.3, 1.0),
        "shot_noise": noisy * rng.uniform(0.0, 1.0),
        "grain": rng.uniform(0.4, 1.2) if rng.random() < 0.4 else 0.0,
        "pattern_noise": 0.0 if rng.random() < 0.5 else _log_uniform(rng, 0.003, 0.03),
        "unevenness": 0.0 if rng.random() < 0.2 else _log_uniform(rng, 0.02, 0.4),
        "background_texture": 0.0 if rng.random() < 0.2 else _log_uniform(rng, 0.005, 0.15),
        "bleaching": rng.uniform(0, 0.08) if look == "fluorescence" and rng.random() < 0.3 else 0.0,
        "debris": int(rng.integers(1, 12)) if rng.random() < 0.55 else 0,
        "compression": rng.uniform(0.004, 0.04) if rng.random() < 0.15 else 0.0,
        "label_margin": rng.normal(0, 0.35),
    }


def random_spec(rng: np.random.Generator, *, num_frames: int, shape_yx: tuple[int, int]) -> MovieSpec:
    """Draw a specification from the training distribution.

    Parameters
    ----------
    rng
        Source of all choices; the drawn seed is at least `TRAINING_SEEDS_FROM`.
    num_frames, shape_yx
        Size of the movie: frames, and (Y, X) in pixels.
    """
    pairs = list(_KIND_LOOK_WEIGHTS)
    weights = np.array([_KIND_LOOK_WEIGHTS[pair] for pair in pairs])
    kind, look = pairs[int(rng.choice(len(pairs), p=weights / weights.sum()))]
    diameter = _draw_diameter(rng, min(shape_yx))
    drawn: dict[str, float] = {}
    drawn |= _draw_numbers(rng, diameter, shape_yx)
    drawn |= _draw_motion(rng, kind)
    drawn |= _draw_optics(rng, look, kind, diameter)
    drawn |= _draw_camera(rng, look, diameter)
    drawn |= _draw_insides(rng, look, diameter)
    drawn |= _draw_dirt(rng, look)
    drawn |= _draw_mitosis(rng, kind)
    drawn["spacing"] = _draw_spacing(rng, overlapping=False)
    if rng.random() < 0.35:
        drawn |= _typical(rng, kind, look, shape_yx)
        drawn["num_cells"] = min(int(drawn["num_cells"]), _fitting(diameter, shape_yx))
    drawn |= _draw_filaments(rng, kind)
    drawn |= _draw_haste(rng, kind)
    overlapping = look in ("fluorescence", "dark") and rng.random() < 0.3
    if overlapping:
        drawn["spacing"] = _draw_spacing(rng, overlapping=True)
    return MovieSpec(
        seed=int(rng.integers(TRAINING_SEEDS_FROM, 2**62)),
        num_frames=num_frames,
        shape_yx=(int(shape_yx[0]), int(shape_yx[1])),
        cell_kind=kind,
        look=look,
        diameter=diameter,
        contact="overlap" if overlapping else "divide",
        seam=rng.uniform(0.0, 0.25),
        inverted=bool(rng.random() < 0.08),
        dtype="uint8" if rng.random() < 0.6 else "uint16",
        **drawn,  # type: ignore[arg-type]
    )
