"""A movie of 10,000 frames of 2048 x 2048, 16 bit, in a zarr array whose chunks are made when they are read.

    python tests/benchmarks/long_movie.py [--objects 20] [--frames 200]
    python tests/benchmarks/long_movie.py --objects 500 --frames 200 --filled

Printed: seconds to open it, to the first mask after a click in the middle of the movie, and a frame; resident memory as
the propagation goes on; seconds until a propagation that is closed has ended. `--filled` begins with a mask of every
object on every frame. The script fails if memory grows by more than 5 % from a quarter of the frames on.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

NUM_FRAMES, SIZE, CHUNK = 10_000, 2048, 512
LIMIT = 1.05
STATUS = Path("/proc/self/status")


class Rendered(MemoryStore):
    """A store without chunks: each is made when it is asked for. Cells go round in a slow circle, in new noise."""

    def __init__(self, picture: np.ndarray) -> None:
        super().__init__()
        self.picture, self.reads = picture, 0

    def chunk(self, t: int, y: int, x: int) -> np.ndarray:
        moved = np.roll(self.picture, (round(60 * np.sin(t / 40)), round(60 * np.cos(t / 40))), (0, 1))
        noise = np.random.default_rng((t, y, x)).integers(0, 200, moved.shape, dtype=np.uint16)
        return moved + noise

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        parts = key.rsplit("c/", 1)
        if len(parts) == 1 or not parts[1][:1].isdigit():
            return await super().get(key, prototype or default_buffer_prototype(), byte_range)
        self.reads += 1
        pixels = await asyncio.to_thread(self.chunk, *(int(n) for n in parts[1].split("/")))
        return (prototype or default_buffer_prototype()).buffer.from_bytes(pixels.tobytes())

    async def exists(self, key: str) -> bool:
        return "c/" in key or await super().exists(key)


def rendered() -> tuple[zarr.Array, np.ndarray]:
    """The movie, and the labels (Y, X) of its first chunk on a frame without motion."""
    from napari_sam2.synthetic import MovieSpec, render_movie

    spec = MovieSpec(
        seed=91, num_frames=1, shape_yx=(CHUNK, CHUNK), cell_kind="nuclei", look="fluorescence", diameter=36.0,
        num_cells=60, dtype="uint16",
    )  # fmt: skip
    made = render_movie(spec)
    picture = (made.frames[0] // 2).astype(np.uint16)
    array = zarr.create_array(
        Rendered(picture), shape=(NUM_FRAMES, SIZE, SIZE), chunks=(1, CHUNK, CHUNK), dtype="uint16", compressors=None
    )
    return array, made.labels[0]


def resident() -> float:
    """Megabytes."""
    line = next(x for x in STATUS.read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def fill(session: Any, shape: tuple[int, int] = (36, 36)) -> None:
    """A mask of every object on every frame, such as a propagation leaves them."""
    from napari_sam2.masklets import FrameMask

    disc = np.hypot(*(np.indices(shape) - 17.5)) < 17
    for object_id, masklet in session.masklets.items():
        y, x = 40 * (object_id // 50), 40 * (object_id % 50)
        for t in range(NUM_FRAMES):
            masklet.add(FrameMask(t, object_id, (y, x, y + shape[0], x + shape[1]), disc, 5.0, 0.9))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=20)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--start", type=int, default=5000)
    parser.add_argument("--filled", action="store_true")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    given = parser.parse_args()
    array, labels = rendered()

    from napari_sam2.evaluation.overlap import true_clicks
    from napari_sam2.models import load_model
    from napari_sam2.prompts import PointPrompt
    from napari_sam2.tracking_session import TrackingSession
    from napari_sam2.video import Video

    model = load_model("cell", device="cpu", precision=given.precision)
    started = time.perf_counter()
    session = TrackingSession(Video(array), model)
    session.video.contrast  # noqa: B018 - it is read from some frames
    print(f"opened: {time.perf_counter() - started:.2f} s, {array.store.reads} chunks read")
    t = given.start
    dy, dx = round(60 * np.sin(t / 40)), round(60 * np.cos(t / 40))
    base = [(c.y, c.x) for c in true_clicks(labels, min_area=300)]
    places = [
        ((y + dy) % CHUNK + CHUNK * row, (x + dx) % CHUNK + CHUNK * column)
        for row in range(SIZE // CHUNK)
        for column in range(SIZE // CHUNK)
        for y, x in base
    ]
    chosen = [places[i] for i in np.linspace(0, len(places) - 1, given.objects).astype(int)]
    session.add_prompts(*(PointPrompt(t, i, y, x) for i, (y, x) in enumerate(chosen, start=1)))
    started = time.perf_counter()
    mask = session.segment(t, 1)
    print(f"first mask: {time.perf_counter() - started:.2f} s, {mask.area if mask else 0} pixels")
    if given.filled:
        started = time.perf_counter()
        fill(session)
        seconds = time.perf_counter() - started
        print(f"filled with {NUM_FRAMES * given.objects} masks in {seconds:.0f} s, {resident():.0f} MB")
    times, memory, present = [], [], 0
    run = session.propagate("forward", last=t + given.frames)
    for result in run:
        times.append(time.perf_counter() - started)
        memory.append(resident())
        present += len(result.masks)
        if result.frame % max(1, given.frames // 10) == 0:
            print(f"frame {result.frame}: {memory[-1]:.0f} MB, {len(result.masks)} masks", flush=True)
        started = time.perf_counter()
        if len(times) == given.frames:
            break
    started = time.perf_counter()
    run.close()
    print(f"closed in {time.perf_counter() - started:.3f} s; a frame takes {median(times[1:]):.2f} s")
    growth = max(memory) / memory[given.frames // 4]
    print(f"present: {present / given.frames / given.objects:.3f}; highest {max(memory):.0f} MB, growth {growth:.3f}")
    if growth > LIMIT:
        sys.exit(f"memory grew by more than {LIMIT}")


if __name__ == "__main__":
    main()
