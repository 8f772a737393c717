"""Training clips: synthetic movies cut to windows, with the masks of a few objects."""

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from queue import Empty

import numpy as np
from numpy.typing import NDArray

from napari_sam2.synthetic import SyntheticMovie, random_movie
from napari_sam2.training.settings import TrainSettings

MIN_AREA = 30
CLIP_LENGTHS = (3, 4, 4, 5, 8)


@dataclass(frozen=True, slots=True)
class Clips:
    """A batch of B clips of T frames with O objects each.

    Attributes
    ----------
    frames : (B, T, H, W) float32, 0..1
    masks : (B, O, T, H, W) bool
        Every object is present on the first frame; it may leave later. After a division a mother's mask is that of
        both daughters.
    dense : (B, T, 4, H / 4, W / 4) float16
        Of all cells, see `dense_targets`.
    """

    frames: NDArray[np.float32]
    masks: NDArray[np.bool_]
    dense: NDArray[np.float16]


def draw_clip(rng: np.random.Generator, *, num_frames: int, num_objects: int, size: int) -> Clips:
    """One clip (B = 1) from a fresh random movie."""
    while True:
        movie = random_movie(rng, num_frames=num_frames, shape_yx=(size, size))
        frames, labels = _place(rng, _contrast(rng, movie.frames.astype(np.float32)), movie.labels)
        families = _families(movie)
        if rng.random() < 0.5 and not _divides(movie):  # time reversed; a division has no meaning backwards
            frames, labels = frames[::-1], labels[::-1]
        ids, areas = np.unique(labels[0], return_counts=True)
        ids = ids[(ids > 0) & (areas >= MIN_AREA)]
        if len(ids) == 0:
            continue
        chosen = rng.choice(ids, num_objects, replace=len(ids) < num_objects)
        masks = np.stack([np.isin(labels, families.get(int(i), (int(i),))) for i in chosen])
        dense = np.stack([dense_targets(frame) for frame in labels])
        return Clips(np.ascontiguousarray(frames)[None], np.ascontiguousarray(masks)[None], dense[None])


def dense_targets(labels: NDArray[np.uint16]) -> NDArray[np.float16]:
    """What each pixel of a label frame (H, W) says of its cell, at a quarter of the resolution: (4, H / 4, W / 4).

    Whether it is cell, whether it is outline (touching cells have one between them), and the offset (y, x) to the
    cell's centroid in cell diameters.
    """
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]].astype(np.float32)
    flat = labels.ravel()
    area = np.maximum(np.bincount(flat), 1)
    diameter = 2 * np.sqrt(area / np.pi)
    thin = labels[2::4, 2::4]
    cell = thin > 0
    offsets = [
        (np.bincount(flat, c.ravel())[thin] / area[thin] - c[2::4, 2::4]) / diameter[thin] * cell for c in (y, x)
    ]
    edge = np.zeros(labels.shape, bool)
    edge[1:] |= labels[1:] != labels[:-1]
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    rows, columns = thin.shape
    outline = edge.reshape(rows, 4, columns, 4).any((1, 3))
    return np.stack([cell, outline, *offsets]).astype(np.float16)


def _divides(movie: SyntheticMovie) -> bool:
    return any(t.parent for t in movie.tracks)


def _families(movie: SyntheticMovie) -> dict[int, tuple[int, ...]]:
    """Labels that make up a mother that ended in a division; a budding mother goes on alone."""
    last = {t.label: t.last for t in movie.tracks}
    families: dict[int, tuple[int, ...]] = {}
    for track in movie.tracks:
        if track.parent and last.get(track.parent, track.first) < track.first:
            families[track.parent] = (*families.get(track.parent, (track.parent,)), track.label)
    return families


def _contrast(rng: np.random.Generator, frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Stretch by percentiles, as `Video` does over a whole movie, of which this window is a random part."""
    low, high = np.percentile(frames[:, ::4, ::4], (0.1, 99.9))
    extent = max(high - low, 1e-6)
    low -= extent * max(rng.uniform(-0.3, 0.3), 0)
    high += extent * max(rng.uniform(-1.0, 1.0), 0)
    scaled = np.clip((frames - low) / (high - low), 0, 1)
    bent: NDArray[np.float32] = (scaled ** np.exp(rng.normal(0, 0.15))).astype(np.float32)
    return bent


def _place(
    rng: np.random.Generator, frames: NDArray[np.float32], labels: NDArray[np.uint16]
) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    """Flip, turn, and at times shift the border of the image into the window, edge pixels repeated beyond it."""
    turns = int(rng.integers(4))
    frames, labels = np.rot90(frames, turns, (1, 2)), np.rot90(labels, turns, (1, 2))
    if rng.random() < 0.5:
        frames, labels = frames[:, :, ::-1], labels[:, :, ::-1]
    if rng.random() < 0.25:
        size = frames.shape[1]
        dy, dx = (int(v) for v in rng.integers(0, size // 2, 2) * rng.choice([0, 1], 2))
        pad = ((0, 0), (dy, 0), (dx, 0))
        frames = np.pad(frames, pad, mode="edge")[:, :size, :size]
        labels = np.pad(labels, pad)[:, :size, :size]
    return frames, labels


def draw_batch(settings: TrainSettings, step: int) -> Clips:
    """The batch of a step; depends on the settings' seed and the step alone."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([settings.seed, step])))
    if settings.stage(step).name != "clips":
        count, length = settings.images, 1
    else:
        length = int(rng.choice(CLIP_LENGTHS))
        count = max(1, settings.frames_per_step // length)
    clips = [
        draw_clip(rng, num_frames=length, num_objects=settings.objects, size=settings.window) for _ in range(count)
    ]
    return Clips(
        np.concatenate([c.frames for c in clips]),
        np.concatenate([c.masks for c in clips]),
        np.concatenate([c.dense for c in clips]),
    )


def _produce(settings: TrainSettings, first: int, queue: "multiprocessing.Queue[Clips]") -> None:
    for step in range(first, settings.steps, settings.workers):
        queue.put(draw_batch(settings, step))


def batches(settings: TrainSettings, first: int) -> Iterator[Clips]:
    """Batches from step `first` on, rendered ahead in worker processes, in the same order for any number of them."""
    context = multiprocessing.get_context("spawn")
    queues = [context.Queue(4) for _ in range(settings.workers)]
    workers = [
        context.Process(target=_produce, args=(settings, first + i, queue), daemon=True)
        for i, queue in enumerate(queues)
    ]
    for worker in workers:
        worker.start()
    try:
        for step in range(first, settings.steps):
            i = (step - first) % settings.workers
            yield _take(queues[i], workers[i])
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def _take(queue: "multiprocessing.Queue[Clips]", worker: multiprocessing.process.BaseProcess) -> Clips:
    while True:
        try:
            return queue.get(timeout=5)
        except Empty:
            if not worker.is_alive():
                raise ChildProcessError(f"a process that renders movies ended with code {worker.exitcode}") from None
