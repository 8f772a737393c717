"""Training clips: synthetic movies cut to windows, with the masks of a few objects."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from napari_sam2.synthetic import SyntheticMovie, random_movie
from napari_sam2.training.settings import TrainSettings

MIN_AREA = 30
CLIP_LENGTHS = (3, 4, 5, 8, 8)
ABSENT_SHARE = 0.04
"""Of the objects of a clip: nothing is there where the user clicks."""
GRACE = 2
"""Frames for which the daughters of a division are one object after they have parted."""
TOUCH = 2
"""Pixels that two daughters grow for it to be seen whether they touch."""


@dataclass(frozen=True, slots=True)
class Clips:
    """A batch of B clips of T frames with O objects each.

    Attributes
    ----------
    frames : (B, T, H, W) float16, 0..1
    packed : (B, O, T, H, W / 8) uint8
        Masks, eight pixels a byte. An object is present on the first frame, or never; it may leave later. After a
        division a mother's mask is that of both daughters, see `follow`.
    judged : (B, O, T) bool
        Whether the mask is the only right answer.
    dense : (B, T, 4, H / 4, W / 4) float16
        Of all cells, see `dense_targets`.
    """

    frames: Tensor
    packed: Tensor
    judged: Tensor
    dense: Tensor

    def to(self, device: torch.device | str) -> "Clips":
        """The same on a device."""
        return Clips(*(t.to(device, non_blocking=True) for t in self._parts))

    def pin_memory(self) -> "Clips":
        """The same in memory that a GPU can fetch from."""
        return Clips(*(t.pin_memory() for t in self._parts))

    @classmethod
    def together(cls, clips: Sequence["Clips"]) -> "Clips":
        """One batch."""
        return cls(*(torch.cat(parts) for parts in zip(*(c._parts for c in clips), strict=True)))

    @property
    def _parts(self) -> tuple[Tensor, ...]:
        return self.frames, self.packed, self.judged, self.dense

    @property
    def masks(self) -> Tensor:
        """(B, O, T, H, W) bool."""
        bits = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8, device=self.packed.device)
        return (self.packed[..., None] & bits).ne(0).flatten(-2)

    @property
    def background(self) -> Tensor:
        """(B, H, W) bool: where no cell is on the first frame."""
        cells = self.dense[:, 0, :1].float()
        return torch.nn.functional.interpolate(cells, scale_factor=4.0)[:, 0] < 0.5


def draw_clip(rng: np.random.Generator, *, num_frames: int, num_objects: int, size: int) -> Clips:
    """One clip (B = 1) from a fresh random movie."""
    while True:
        movie = random_movie(rng, num_frames=num_frames, shape_yx=(size, size))
        frames, labels = _place(rng, _contrast(rng, movie.frames.astype(np.float32)), movie.labels)
        daughters = _daughters(movie)
        if rng.random() < 0.5 and not _divides(movie):  # time reversed; a division has no meaning backwards
            frames, labels = frames[::-1], labels[::-1]
        ids, areas = np.unique(labels[0], return_counts=True)
        ids = ids[(ids > 0) & (areas >= MIN_AREA)]
        if len(ids) == 0:
            continue
        chosen = rng.choice(ids, num_objects, replace=len(ids) < num_objects)
        masks, judged = (
            np.stack(part) for part in zip(*(follow(labels, daughters, int(i)) for i in chosen), strict=True)
        )
        dense = np.stack([dense_targets(frame) for frame in labels])
        if (dense[0, 0] == 0).any():
            absent = rng.random(num_objects) < ABSENT_SHARE
            masks[absent], judged[absent] = False, True
        arrays = (frames.astype(np.float16), np.packbits(masks, axis=-1), judged, dense)
        return Clips(*(torch.from_numpy(np.ascontiguousarray(a))[None] for a in arrays))


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


def _daughters(movie: SyntheticMovie) -> dict[int, list[int]]:
    """Daughters of mothers that ended in a division; a budding mother goes on alone."""
    last = {t.label: t.last for t in movie.tracks}
    daughters: dict[int, list[int]] = {}
    for track in movie.tracks:
        if track.parent and last.get(track.parent, track.first) < track.first:
            daughters.setdefault(track.parent, []).append(track.label)
    return daughters


def follow(
    labels: NDArray[np.uint16], daughters: Mapping[int, Sequence[int]], label: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Masks of a cell and all that came of it, and on which frames they are the only right answer.

    A mother's mask is that of her daughters while they touch, and for `GRACE` frames after. From then on a tracker may
    as well go with one of them or stop, so nothing is judged.

    Parameters
    ----------
    labels : (T, H, W)
    daughters
        Of each label that ended in a division.

    Returns
    -------
    (T, H, W) bool and (T,) bool
    """
    family, waiting = [label], [label]
    while waiting:
        born = daughters.get(waiting.pop(), ())
        family += born
        waiting += born
    masks = np.isin(labels, family)
    judged = np.ones(len(labels), bool)
    apart = 0
    for t, mask in enumerate(masks if len(family) > 1 else ()):
        divided = mask.any() and not (labels[t] == label).any()
        apart += bool(divided and ndimage.label(ndimage.binary_dilation(mask, iterations=TOUCH))[1] > 1)
        judged[t] = apart <= GRACE
    return masks, judged


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
    if settings.shows(step) != "clips":
        count, length = settings.images, 1
    else:
        length = int(rng.choice(CLIP_LENGTHS))
        count = max(1, settings.frames_per_step // length)
    clips = [
        draw_clip(rng, num_frames=length, num_objects=settings.objects, size=settings.frame_size) for _ in range(count)
    ]
    return Clips.together(clips)


class _Batches(Dataset[Clips]):
    def __init__(self, settings: TrainSettings) -> None:
        self.settings = settings

    def __getitem__(self, step: int) -> Clips:
        return draw_batch(self.settings, step)


def batches(settings: TrainSettings, first: int, *, pinned: bool = False) -> Iterable[Clips]:
    """Batches from step `first` on, rendered ahead in worker processes, in the same order for any number of them."""
    return DataLoader(
        _Batches(settings),
        batch_size=None,
        sampler=range(first, settings.steps),
        num_workers=settings.workers,
        prefetch_factor=3,
        multiprocessing_context="spawn",
        pin_memory=pinned,
    )
