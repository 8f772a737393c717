"""What the history costs a propagation: time a frame, and bytes.

    python tests/benchmarks/history_cost.py [OBJECTS] [FRAMES]

The network is left out; objects get masks of about 50 x 50 pixels as a propagation gives them, twice, so that the
second time there are masks to be kept. Times are of the history alone.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from napari_sam2.history import History
from napari_sam2.masklets import FrameMask
from toy_model import ToyModel
from toy_scene import NUM_FRAMES, STILL, click, open_scene


def timed(spent, method):
    def call(*args):
        start = time.perf_counter()
        try:
            return method(*args)
        finally:
            spent[-1] += time.perf_counter() - start

    return call


def main(num_objects=50, num_frames=NUM_FRAMES):
    spent = []
    for name in ("begin", "touching", "end"):
        setattr(History, name, timed(spent, getattr(History, name)))
    session = open_scene(ToyModel())
    spent.append(0.0)
    session.add_prompts(*(click(0, i, STILL) for i in range(1, num_objects + 1)))
    crop = np.ones((50, 50), bool)
    for score, what in enumerate(("first", "again"), start=1):
        spent.clear()
        with session.history.propagation():
            for t in range(num_frames):
                spent.append(0.0)
                with session.logs.step("frame", t):
                    for known in session.objects.values():
                        known._logs.touching(known, (t,))
                        known.masklet.add(FrameMask(t, known.object_id, (0, 0, 50, 50), crop, score, 0.9))
                        known._trail.mark(t, 1, {0})
        milliseconds = 1000 * np.array(spent)
        print(f"{what}: {np.median(milliseconds):.2f} ms a frame, at most {milliseconds.max():.2f}; ", end="")
        print(f"{session.history.nbytes / num_frames / num_objects:.0f} bytes a frame and object in all")
    start = time.perf_counter()
    session.undo()
    print(f"undo: {time.perf_counter() - start:.2f} s for {num_frames} frames of {num_objects} objects")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
