"""What storing a session costs a frame, and how soon a large one opens: `python tests/benchmarks/store_sessions.py`.

Masks are discs 30 pixels across; no network is run.
"""

import sqlite3
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from napari_sam2.api import open_session, reopen_session
from napari_sam2.masklets import FrameMask
from napari_sam2.prompts import PointPrompt
from napari_sam2.session_files.rows import pack
from toy_model import ToyModel

NUM_FRAMES, SIZE = 10_000, 512
CROP = np.hypot(*np.mgrid[-15:15, -15:15]) < 15


class Movie:
    shape, dtype = (NUM_FRAMES, SIZE, SIZE), np.dtype("uint8")

    def __getitem__(self, t):
        return np.full((SIZE, SIZE), t % 250, np.uint8)


def begin(folder, objects):
    session = open_session(Movie(), model=ToyModel(), contrast=(0, 255), diameter=30, autosave=folder)
    session.set_prompts([PointPrompt(0, i, 100 + i % 300, 100) for i in range(1, objects + 1)])
    return session


def store(session, frames):
    """Milliseconds that each frame takes to be stored."""
    took = []
    for t in frames:
        with session.logs.step("frame", t):
            for known in session.objects.values():
                session.logs.touching(known, (t,))
                known.masklet.add(FrameMask(t, known.object_id, (10, 10, 40, 40), CROP, 5.0, 0.9))
                known.leave(t, 1)
            begun = time.perf_counter()
        took.append(1000 * (time.perf_counter() - begun))
    return took


def timed(what, work):
    begun = time.perf_counter()
    result = work()
    print(f"{what:32s}{1000 * (time.perf_counter() - begun):9.1f} ms")
    return result


def main(folder):
    session = begin(folder / "small.sam2", 50)
    took = store(session, range(300))
    print(f"a frame of 50 objects: median {np.median(took):.2f} ms, mean {np.mean(took):.2f}, most {max(took):.1f}")
    session.close()
    begin(folder / "large.sam2", 500).close()
    with sqlite3.connect(folder / "large.sam2" / "session.sqlite") as connection:
        for i in range(1, 501):
            rows = ((i, t, pack(CROP)) for t in range(NUM_FRAMES - 10))
            connection.executemany("INSERT INTO frames VALUES (?, ?, 1, 0, 0, 10, 10, 40, 40, 5.0, 0.9, ?)", rows)
    connection.close()
    print(
        f"500 objects, {NUM_FRAMES} frames: {(folder / 'large.sam2' / 'session.sqlite').stat().st_size / 2**20:.0f} MiB"
    )
    session = timed("opening it", lambda: reopen_session(folder / "large.sam2", Movie(), model=ToyModel()))
    timed("labels of a frame", lambda: session.labels(5000))
    timed("which frames one object is on", lambda: session.masklets[7].frames)
    print(f"a frame of 500 objects: median {np.median(store(session, range(NUM_FRAMES - 9, NUM_FRAMES))):.0f} ms")
    session.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(folder))
