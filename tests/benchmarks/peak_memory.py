"""Peak memory of one propagation, to be run in a process of its own."""

import ctypes
import gc
from pathlib import Path

import torch

from benchmarks.contestants import Contestant, Ours, Textures, Theirs, clicks, normalized
from parity.networks import filled_and_present
from parity.twin import video_twin
from sam2_torch.config import SAM2Config

FIGURES = Path("/proc/self/status")
SIDES = ("transformers", "ours")


def peak(side: str, config: SAM2Config, device: torch.device, *, frames: int, objects: int) -> float:
    """Megabytes that following objects takes above the loaded model: of the GPU if it is one, else of the process.

    Our movie is made frame by frame, and masks are dropped as they come; theirs holds all frames, as it always does.
    """
    size, model = config.image_size, filled_and_present(config).to(device)
    movie = Textures(frames, size)
    twin = video_twin(model, size, plain=True) if side == "transformers" else None
    before = _from_here(device)
    contestant: Contestant
    if twin is None:
        contestant = Ours(side, model, movie, keep=False)
    else:
        contestant = Theirs(side, twin, normalized(movie, model, torch.float32))
    contestant.start(clicks(objects, size))
    for _ in contestant.frames():
        pass
    return _highest(device) - before


def _from_here(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device) / 2**20
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # else what was freed while loading would be used again, and not be seen
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here on
    return _resident("VmRSS")


def _highest(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return _resident("VmHWM")


def _resident(name: str) -> float:
    line = next(x for x in FIGURES.read_text().splitlines() if x.startswith(name))
    return int(line.split()[1]) / 1024
