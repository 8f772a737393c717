"""Time and memory against SAM 2 in the transformers library: same weights (filled by name), same frames, one run.

    python tests/benchmarks/against_transformers.py [--models tiny] [--objects 1 5 20] [--frames 12 10 9]
    python tests/benchmarks/against_transformers.py --device cuda --models tiny large --rate 200 --compile parts
    python tests/benchmarks/against_transformers.py --memory 20 200 --objects 1
    python tests/benchmarks/against_transformers.py --profile --threads 1

The contestants take turns, frame by frame, so that whatever else the machine does slows all of them. Seconds per frame
are medians over the frames after `--skip`. From a bare checkout set PYTHONPATH=src:model; needed are torch,
transformers, numpy, scipy, scikit-image, tifffile, pillow and safetensors.
"""

import argparse
import copy
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
import transformers
from torch import Tensor

from benchmarks.bare_functions import FULL, BareLoop
from benchmarks.contestants import Contestant, Ours, Textures, Theirs, clicks, normalized, synchronize
from benchmarks.peak_memory import SIDES, peak
from benchmarks.profiling import print_profile
from parity.networks import filled_and_present
from parity.twin import video_twin
from sam2_torch.config import BASE_PLUS, LARGE, SMALL, TINY, SAM2Config
from sam2_torch.network import SAM2

MODELS = {"tiny": TINY, "small": SMALL, "base-plus": BASE_PLUS, "large": LARGE}
BASELINE = "transformers"


def in_bfloat16(model: SAM2) -> SAM2:
    """Our network as it computes in bfloat16."""
    model = copy.deepcopy(model)
    model.use_bfloat16()
    return model


def contestants(model: SAM2, frames: int) -> list[Contestant]:
    """All that take part, on a movie of so many frames."""
    size, device = model.config.image_size, model.device
    movie = Textures(frames, size).in_memory()
    twin = video_twin(model, size, plain=True)
    pixels = normalized(movie, model, torch.float32)
    taking_part: list[Contestant] = [
        Theirs(BASELINE, twin, pixels),
        Ours("ours", model, movie),
        Ours("ours bfloat16", in_bfloat16(model), movie),
    ]
    if device.type == "cuda":
        half = copy.deepcopy(twin).to(torch.bfloat16)
        taking_part.insert(1, Theirs("transformers bfloat16", half, pixels.to(torch.bfloat16)))
    return taking_part


class Race:
    """Lets contestants do the same things in turn, and keeps the seconds that each took."""

    def __init__(self, runners: Sequence[Contestant], device: torch.device) -> None:
        self.names, self.runners, self.device = [r.name for r in runners], list(runners), device

    def each(self, action: Callable[[Contestant], object]) -> dict[str, float]:
        """Seconds of one action by name; the order turns round each time."""
        self.runners.reverse()
        seconds = {}
        for runner in self.runners:
            synchronize(self.device)
            started = time.perf_counter()
            action(runner)
            synchronize(self.device)
            seconds[runner.name] = time.perf_counter() - started
        return seconds

    def frames(self, num_frames: int, first: int = 0) -> list[dict[str, float]]:
        """Seconds of each frame of a propagation."""
        running = {runner.name: runner.frames(first) for runner in self.runners}
        return [self.each(lambda runner: next(running[runner.name])) for _ in range(num_frames)]


def measure(model: SAM2, given: argparse.Namespace) -> list[dict[str, Any]]:
    """All timings of one model: frames with so many objects, a click, propagation after a correction."""
    size, found = model.config.image_size, []
    race = Race(contestants(model, max(*given.frames, 1 + given.clicks)), model.device)

    def note(what: str, objects: int, seconds: list[dict[str, float]], add: Callable[[list[float]], float]) -> None:
        figures = {name: add([s[name] for s in seconds]) for name in race.names}
        found.append({"what": what, "objects": objects, "seconds": figures})
        print_row(model.config, found[-1])

    for objects, frames in zip(given.objects, given.frames, strict=True):
        race.each(lambda runner, n=objects: runner.start(clicks(n, size)))
        note("a frame", objects, race.frames(frames)[min(given.skip, frames - 1) :], median)
        if objects == 1:
            middle = frames // 2
            race.each(lambda runner, t=middle: runner.ask(t, 1, (0.4 * size, 0.6 * size)))
            note(f"{frames - middle} frames after a correction", 1, race.frames(frames - middle, middle), sum)
    cold, warm = [], []
    for t in range(1, 1 + given.clicks):
        race.each(lambda runner: runner.start(()))
        for times, place in ((cold, 0.5), (warm, 0.6)):
            race.each(lambda runner, t=t, p=place: runner.ask(t, 1, (p * size, p * size)))
            times.append(race.each(lambda runner, t=t: runner.answer(t, 1)))
    note("click to mask, new frame", 1, cold[1:] or cold, median)
    note("click to mask, same frame", 1, warm[1:] or warm, median)
    return found


def rates(model: SAM2, given: argparse.Namespace) -> list[dict[str, Any]]:
    """Frames a second of the bare functions, one object, memory full; compiled too if a mode is given.

    Each way is also given the same frame and memories once, to see that its mask is the same.
    """
    images = pictures(model, 8)
    found: list[dict[str, Any]] = []
    memories, mask = None, torch.empty(0)
    for name, network in (("ours", model), ("ours bfloat16", in_bfloat16(model))):
        loop = BareLoop(network, images)
        loop.run(FULL)
        memories = memories or loop.bank.select(loop.frame + 1)
        for mode in ("", *given.compile):
            label, step = (f"{name}, {mode}", loop.compiled(mode)) if mode else (name, loop.step)
            with torch.inference_mode():
                seen = step(images[:1], memories)[0].logits.float().clone() > 0
            mask = mask if len(mask) else seen
            iou = float((mask & seen).sum() / (mask | seen).sum())
            loop.run(5, step)
            found.append(
                {"what": "bare functions", "way": label, "frames a second": loop.run(given.rate, step), "iou": iou}
            )
            rate = f"{found[-1]['frames a second']:.1f} frames/s"
            print(f"| {model.config.name} | bare functions, 1 object | {label} | {rate} | IoU {iou:.4f} |", flush=True)
    return found


def pictures(model: SAM2, count: int) -> Tensor:
    """Frames (T, 3, H, W) 0..1 on the model's device."""
    movie = torch.from_numpy(Textures(count, model.config.image_size).in_memory())
    return movie.permute(0, 3, 1, 2).to(model.device).float() / 255


def print_row(config: SAM2Config, entry: dict[str, Any]) -> None:
    """One line of the table: seconds, and in brackets the share of the baseline's."""
    base = entry["seconds"][BASELINE]
    cells = [f"{name} {s:.4g} s ({s / base:.2f})" for name, s in entry["seconds"].items()]
    print(f"| {config.name} | {entry['what']}, {entry['objects']} objects | {' | '.join(cells)} |", flush=True)


def memories(config: SAM2Config, given: argparse.Namespace) -> list[dict[str, Any]]:
    """Peak memory for movies of several lengths, each in a fresh process."""
    found = []
    for side in SIDES:
        for frames in given.memory:
            command = [sys.executable, __file__, "--peak", side, "--models", _short(config), "--memory", str(frames)]
            command += ["--objects", str(given.objects[0]), "--device", given.device, "--size", str(config.image_size)]
            out = subprocess.run([*command, "--threads", str(given.threads)], check=True, stdout=subprocess.PIPE)
            megabytes = float(out.stdout)
            found.append({"what": "peak memory", "side": side, "frames": frames, "megabytes": megabytes})
            print(f"| {config.name} | {side} | {frames} frames | {megabytes:.0f} MB above the model |", flush=True)
    return found


def _short(config: SAM2Config) -> str:
    return next(name for name, known in MODELS.items() if known.name == config.name)


def processor() -> str:
    """What /proc says, on Linux."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), platform.machine())


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=["tiny"])
    parser.add_argument("--size", type=int, default=1024, help="side of the frames in pixels")
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 5, 20])
    parser.add_argument(
        "--frames", type=int, nargs="+", default=[12], help="for each number of objects, or one for all"
    )
    parser.add_argument("--skip", type=int, default=8, help="frames that do not count; the last always does")
    parser.add_argument("--clicks", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rate", type=int, default=0, help="so many frames for the rate of the bare functions")
    parser.add_argument("--compile", nargs="*", default=[], help="for the rate: parts, and modes of torch.compile")
    parser.add_argument("--memory", type=int, nargs="+", help="instead: peak memory for movies of so many frames")
    parser.add_argument("--profile", action="store_true", help="instead: where the time of one frame goes")
    parser.add_argument("--bfloat16", action="store_true", help="for --profile")
    parser.add_argument("--out", type=Path, help="write all figures as JSON")
    parser.add_argument("--peak", choices=SIDES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.frames = given.frames * len(given.objects) if len(given.frames) == 1 else given.frames
    return given


def main() -> None:
    given = parsed()
    torch.set_num_threads(given.threads)
    torch.set_grad_enabled(False)
    device = torch.device(given.device)
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
        "threads": given.threads,
        "size": given.size,
    }
    for name in given.models:
        config = replace(MODELS[name], image_size=given.size)
        if given.peak:
            print(peak(given.peak, config, device, frames=given.memory[0], objects=given.objects[0]))
        elif given.profile:
            model = filled_and_present(config).to(device)
            print_profile(in_bfloat16(model) if given.bfloat16 else model, pictures(model, 2))
        elif given.memory:
            found[name] = memories(config, given)
        else:
            model = filled_and_present(config).to(device)
            found[name] = measure(model, given)
            found[name] += rates(model, given) if given.rate else []
    if given.out:
        given.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
