"""Compare with SAM 2 in the transformers library on the same weights, filled by name, and print a table.

    python tests/parity/against_transformers.py [--size 1024] [--models tiny small base-plus large] [--threads 1]

Needs `transformers`, no checkpoint and no network. CI runs the same cases on small frames (test_transformers.py).
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from parity.comparison import compare
from parity.networks import REDUCED, filled_and_present
from parity.twin import video_twin
from sam2_torch.config import BASE_PLUS, LARGE, SMALL, TINY

MODELS = {"reduced": REDUCED, "tiny": TINY, "small": SMALL, "base-plus": BASE_PLUS, "large": LARGE}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1024, help="side of the frames in pixels, a multiple of 32")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=["tiny", "small", "base-plus", "large"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="leave the library its own decisions")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print("| model | case | compared | largest difference | largest value | IoU of masks |\n|---|---|---|---|---|---|")
    for name in arguments.models:
        started = time.perf_counter()
        model = filled_and_present(MODELS[name])
        for d in compare(model, video_twin(model, arguments.size, plain=arguments.plain), arguments.size):
            iou = "" if d.iou is None else f"{d.iou:.6f}"
            print(f"| {name} | {d.case} | {d.part} | {d.largest:.1e} | {d.scale:.3g} | {iou} |", flush=True)
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
