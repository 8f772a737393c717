"""How soon a click is answered, and for how long the window is stuck, with the dock widget and the bundled model.

    python tests/benchmarks/latency.py [--part clicks propagation stored] [--profile]

Needs a display that can draw the canvas: QT_QPA_PLATFORM=xcb xvfb-run -a -s "-screen 0 1600x1200x24" python ...
The movie is synthetic, 1024 x 1024 pixels with 50 nuclei; clicks are events of the mouse. A click is answered when the
canvas has been drawn with its mask. A gap is the time beyond 2 ms between two rounds of Qt's event loop: for so long
neither mouse nor keyboard is heeded; those of 1 ms and less are left out. "CPU" is how long the thread of the GUI
worked meanwhile; the rest it waited, for Python, a lock or another program. --profile says where the GUI was in gaps
of more than 50 ms.
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import napari
import numpy as np
from hand import Hand, pause, settle, wait_until
from napari.layers import Image
from qtpy.QtCore import Qt, QTimer

from napari_sam2.masklets import FrameMask
from napari_sam2.prompts import PointPrompt
from napari_sam2.synthetic import MovieSpec, SyntheticMovie, render_movie

FRAMES, SIZE, CELLS, DIAMETER = 12, 1024, 50, 36.0
TICK_S, LONG_S = 0.002, 0.05
STORED_OBJECTS, STORED_FRAMES = 500, 100
CROP = np.hypot(*np.mgrid[-12:12, -12:12]) < 12


def make_movie() -> SyntheticMovie:
    return render_movie(
        MovieSpec(
            seed=77, shape_yx=(SIZE, SIZE), cell_kind="nuclei", look="fluorescence", diameter=DIAMETER,
            num_cells=CELLS, dtype="uint16", num_frames=FRAMES,
        )
    )  # fmt: skip


def places(labels: np.ndarray) -> list[tuple[int, int]]:
    """A pixel (y, x) well inside each cell, the largest first."""
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    found = []
    for label in np.argsort(areas)[::-1][: np.count_nonzero(areas > 200)]:
        yx = np.argwhere(labels == label)
        found.append(tuple(yx[np.argmin(((yx - yx.mean(0)) ** 2).sum(1))].tolist()))
    return found


class Gaps:
    """Measures how long the event loop of this thread is stuck."""

    def __init__(self, *, profiles: bool = False) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self.stacks: Counter[str] = Counter()
        self._seen: list[str] = []
        self._last, self._busy = time.perf_counter(), time.thread_time()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(int(1000 * TICK_S))
        self._timer.timeout.connect(self._tick)
        self._profiles = profiles
        self._gui = threading.get_ident()

    @contextmanager
    def measured(self) -> Iterator["Gaps"]:
        stop = threading.Event()
        watch = threading.Thread(target=self._watch, args=(stop,), daemon=True)
        self._last, self._busy = time.perf_counter(), time.thread_time()
        self._timer.start()
        if self._profiles:
            watch.start()
        try:
            yield self
        finally:
            self._timer.stop()
            stop.set()
            if self._profiles:
                # Else it may be the last to hold this, and the timer goes in a thread that is not its own.
                watch.join()

    def _tick(self) -> None:
        now, busy = time.perf_counter(), time.thread_time()
        if (gap := now - self._last - TICK_S) > 0.001:
            self.wall.append(1000 * gap)
            self.cpu.append(1000 * (busy - self._busy))
        if gap > LONG_S:
            self.stacks.update(self._seen)
        self._seen = []
        self._last, self._busy = now, busy

    def _watch(self, stop: threading.Event) -> None:
        while not stop.wait(0.01):
            if time.perf_counter() - self._last > TICK_S:
                self._seen.append(" < ".join(f"{Path(file).stem}:{line} {name}" for file, line, name in self._where()))

    def _where(self, depth: int = 8) -> list[tuple[str, int, str]]:
        """Where the GUI is, the innermost call first."""
        # Nothing in here waits, as reading lines of source does: else the GUI goes on meanwhile, what it leaves is
        # held by these frames and goes in this thread, and a timer of Qt that goes in another thread is a crash.
        found: list[tuple[str, int, str]] = []
        frame = sys._current_frames().get(self._gui)
        while frame is not None and len(found) < depth:
            found.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
            frame = frame.f_back
        return found


def row(what: str, values: list[float]) -> None:
    if values:
        print(
            f"| {what} | {len(values)} | {np.median(values):.0f} | {np.percentile(values, 95):.0f} | "
            f"{max(values):.0f} |",
            flush=True,
        )
    else:
        print(f"| {what} | 0 | - | - | - |", flush=True)


def show(what: str, gaps: Gaps) -> None:
    row(f"{what}: gaps", gaps.wall)
    row(f"{what}: CPU in them", gaps.cpu)
    row(f"{what}: gaps of more than 50 ms", [gap for gap in gaps.wall if gap > 1000 * LONG_S])
    for stack, times in gaps.stacks.most_common(12):
        print(f"    {10 * times:5d} ms  {stack}")


def answer_ms(hand: Hand, image: Image, y: int, x: int) -> float:
    """Milliseconds from the button of the mouse to a canvas that was drawn with the mask."""
    seen: list[float] = []
    written: list[int] = []
    scene = hand.viewer.window._qt_viewer.canvas._scene_canvas
    hand.widget.controller.frame_written.connect(written.append)

    def drawn(_event: object) -> None:
        if written:
            seen.append(time.perf_counter())

    scene.events.draw.connect(drawn, position="last")
    began = time.perf_counter()
    hand.press(image, y, x)
    wait_until(lambda: bool(seen))
    scene.events.draw.disconnect(drawn)
    hand.widget.controller.frame_written.disconnect(written.append)
    hand.wait()
    return 1000 * (seen[0] - began)


def start(movie: SyntheticMovie) -> tuple[Hand, Image]:
    hand = Hand()
    image = hand.viewer.add_image(movie.frames, name="nuclei")
    hand.dock()
    hand.go_to(0)
    return hand, image


def new_object(hand: Hand) -> None:
    hand.push(hand.widget.form.new_object)


def clicks(movie: SyntheticMovie) -> None:
    hand, image = start(movie)
    cells = places(movie.labels[0])
    hand.click(image, *cells[-1])  # loads the model
    first, again = [], []
    for y, x in cells[:15]:
        new_object(hand)
        first.append(answer_ms(hand, image, y, x))
        again.append(answer_ms(hand, image, y + 3, x + 3))
    row("first click on an object, its size unknown", first)
    row("further click, part of the frame encoded", again)
    known, elsewhere = [], []
    for t in range(1, 8):
        hand.go_to(t)
        y, x = np.argwhere(movie.labels[t] == movie.labels[0][cells[0]]).mean(0).astype(int)
        hand.widget._movie.tool.object_id = 2
        known.append(answer_ms(hand, image, y, x))
        elsewhere.append(answer_ms(hand, image, y + 3, x + 3))
    row("click on a frame not encoded, size known", known)
    row("further click there", elsewhere)
    hand.viewer.close()


def alone(movie: SyntheticMovie) -> None:
    """What going through frames costs napari itself."""
    viewer = napari.Viewer(show=True)
    viewer.window._qt_window.resize(1400, 900)
    viewer.add_image(movie.frames)
    viewer.add_labels(movie.labels)
    settle()
    gaps = Gaps()
    with gaps.measured():
        step_through(viewer, range(FRAMES))
    show("napari without the plugin, going through frames", gaps)
    viewer.close()


def step_through(viewer: napari.Viewer, frames: Iterable[int]) -> None:
    for t in frames:
        viewer.dims.set_current_step(0, t)
        pause(0.1)


def propagation(movie: SyntheticMovie, *, profiles: bool) -> None:
    hand, image = start(movie)
    points = hand.widget.controller.prompts.points
    cells = places(movie.labels[0])[:CELLS]
    hand.widget.form.diameter.setValue(int(DIAMETER))
    hand.widget.form.diameter.editingFinished.emit()
    hand.click(image, *cells[0])
    for i, (y, x) in enumerate(cells[1:], start=2):
        hand.widget._movie.tool.object_id = i
        points.add([0, y, x])
    hand.wait()
    gaps = Gaps(profiles=profiles)
    hand.widget.form.direction.setCurrentText("Forward")
    began = time.perf_counter()
    with gaps.measured():
        hand.widget.runs.propagate()
        wait_until(lambda: not hand.widget.runner.is_busy)
    print(f"{len(cells)} objects: {(time.perf_counter() - began) / FRAMES:.2f} s a frame")
    show(f"propagation, {len(cells)} objects", gaps)
    rest = Gaps(profiles=profiles)
    with rest.measured():
        step_through(hand.viewer, range(FRAMES))
    show("going through frames afterwards", rest)
    hand.viewer.close()


def store(folder: Path, data: np.ndarray) -> None:
    """A session of many objects, each a disc on each frame."""
    from napari_sam2.api import open_session

    rng = np.random.default_rng(0)
    session = open_session(data, autosave=folder, diameter=24)
    at = [(16 + 42 * (i // 24), 16 + 42 * (i % 24)) for i in range(STORED_OBJECTS)]
    session.set_prompts([PointPrompt(0, i + 1, *yx) for i, yx in enumerate(at)])
    for t in range(STORED_FRAMES):
        with session.logs.step("frame", t):
            for known in session.objects.values():
                y, x = at[known.object_id - 1]
                session.logs.touching(known, (t,))
                iou = 0.5 if rng.random() < 0.01 else 0.95
                known.masklet.add(FrameMask(t, known.object_id, (y - 12, x - 12, y + 12, x + 12), CROP, 5.0, iou))
                known.leave(t, 1)
    session.close()


def stored(movie: SyntheticMovie, *, profiles: bool) -> None:
    folder = Path(tempfile.mkdtemp()) / "many.sam2"
    data = np.broadcast_to(movie.frames[0], (STORED_FRAMES, SIZE, SIZE))
    store(folder, data)
    hand = Hand()
    image = hand.viewer.add_image(data, name="many")
    hand.dock()
    hand.widget.form.saved.ask = lambda _start: folder
    what = f"{STORED_OBJECTS} objects stored, "
    gaps = Gaps(profiles=profiles)
    with gaps.measured():
        hand.push(hand.widget.form.saved.button)
        pause(2)
    show(f"{what}opened", gaps)
    gaps = Gaps(profiles=profiles)
    with gaps.measured():
        step_through(hand.viewer, range(0, STORED_FRAMES, 4))
    show(f"{what}going through frames", gaps)
    hand.go_to(0)
    gaps = Gaps(profiles=profiles)
    with gaps.measured():
        for _ in range(10):
            hand.key("N")
    show(f"{what}ten times to the next in doubt", gaps)
    hand.go_to(50)
    hand.widget._movie.tool.object_id = 7
    gaps = Gaps(profiles=profiles)
    with gaps.measured():
        took = [answer_ms(hand, image, 16, 16 + 42 * 6 + d) for d in (0, 3, -3, 5)]
    row(f"{what}clicks on one", took)
    show(f"{what}clicks", gaps)
    hand.widget.form.direction.setCurrentText("Next frames")
    hand.widget.form.count.setValue(5)
    hand.widget.form.whose.setCurrentText("Selected objects")
    hand.widget.form.objects.select_objects(range(20, 30))
    gaps = Gaps(profiles=profiles)
    with gaps.measured():
        hand.widget.runs.propagate()
        wait_until(lambda: not hand.widget.runner.is_busy)
    show(f"{what}propagation of ten", gaps)
    hand.viewer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ("clicks", "propagation", "stored")
    parser.add_argument("--part", nargs="+", choices=parts, default=parts)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    os.environ["NAPARI_SAM2_SESSIONS"] = tempfile.mkdtemp()
    movie = make_movie()
    print("| what | n | median, ms | 95 %, ms | maximum, ms |\n|---|---|---|---|---|")
    if "clicks" in given.part:
        clicks(movie)
    if "propagation" in given.part:
        alone(movie)
        propagation(movie, profiles=given.profile)
    if "stored" in given.part:
        stored(movie, profiles=given.profile)
    settle()


if __name__ == "__main__":
    main()
