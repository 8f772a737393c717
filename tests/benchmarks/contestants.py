"""The two that are compared: our tracking session and the transformers library, driven alike on the same frames."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from transformers import Sam2VideoInferenceSession, Sam2VideoModel

from napari_sam2.io.movies import LazyArray
from napari_sam2.prompts import PointPrompt
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.video import Video
from sam2_torch.image_encoder import normalize
from sam2_torch.network import SAM2


class Contestant(Protocol):
    """One way to follow objects through one movie; `start` begins anew."""

    name: str

    def start(self, clicks: Sequence[tuple[float, float]]) -> None:
        """A new session; a click (y, x) on frame 0 for each object, whose IDs count from 1."""

    def ask(self, frame: int, object_id: int, yx: tuple[float, float]) -> None:
        """Add a click."""

    def answer(self, frame: int, object_id: int) -> None:
        """The mask of the clicks."""

    def frames(self, first: int = 0) -> Iterator[int]:
        """Propagate from `first` on; for each frame binary masks of its size are made on the CPU."""


class Ours:
    """`TrackingSession` on a movie in memory: reading, converting and normalizing count, and so do overlaps."""

    def __init__(self, name: str, model: SAM2, movie: LazyArray, *, keep: bool = True) -> None:
        self.name, self.model, self.movie, self.keep = name, model, movie, keep

    def start(self, clicks: Sequence[tuple[float, float]]) -> None:
        """See `Contestant`."""
        self.session = TrackingSession(Video(self.movie, contrast=(0, 255)), self.model)
        self.session.add_prompts(*(PointPrompt(0, i + 1, y, x) for i, (y, x) in enumerate(clicks)))

    def ask(self, frame: int, object_id: int, yx: tuple[float, float]) -> None:
        """See `Contestant`."""
        self.session.add_prompts(PointPrompt(frame, object_id, *yx))

    def answer(self, frame: int, object_id: int) -> None:
        """See `Contestant`."""
        self.session.segment(frame, object_id)

    def frames(self, first: int = 0) -> Iterator[int]:
        """See `Contestant`; masks are dropped as they come if they are not to be kept."""
        for result in self.session.propagate("forward", first=first):
            if not self.keep:
                for masklet in self.session.masklets.values():
                    masklet.remove(result.frame)
            yield result.frame


class Theirs:
    """`Sam2VideoModel` as its documentation shows it; frames lie on the device, normalized, which does not count."""

    def __init__(self, name: str, model: Sam2VideoModel, pixels: Tensor) -> None:
        self.name, self.model, self.pixels = name, model, pixels

    def start(self, clicks: Sequence[tuple[float, float]]) -> None:
        """See `Contestant`."""
        size, device = self.pixels.shape[-1], self.pixels.device
        self.session = Sam2VideoInferenceSession(
            self.pixels, size, size, device, device, device, dtype=self.pixels.dtype
        )
        for i, yx in enumerate(clicks):
            self.ask(0, i + 1, yx)
        self.session.obj_with_new_inputs = list(range(1, len(clicks) + 1))

    def ask(self, frame: int, object_id: int, yx: tuple[float, float]) -> None:
        """See `Contestant`."""
        index = self.session.obj_id_to_idx(object_id)
        given = self.session.point_inputs_per_obj[index].get(frame)
        inputs = {
            "point_coords": torch.tensor([[[[yx[1], yx[0]]]]], dtype=torch.float32),
            "point_labels": torch.ones(1, 1, 1, dtype=torch.int64),
        }
        if given is not None:
            inputs = {k: torch.cat([given[k].cpu(), inputs[k]], dim=2) for k in inputs}
        self.session.add_point_inputs(index, frame, inputs)
        self.session.obj_with_new_inputs = [object_id]

    def answer(self, frame: int, object_id: int) -> None:
        """See `Contestant`; the library answers for all objects of the session."""
        logits = self.model(self.session, frame_idx=frame).pred_masks.float()
        masks = F.interpolate(logits, size=self.pixels.shape[-2:], mode="bilinear")[:, 0] > 0
        masks.cpu()

    def frames(self, first: int = 0) -> Iterator[int]:
        """See `Contestant`."""
        for t in range(first, len(self.pixels)):
            self.answer(t, 0)
            yield t


def normalized(movie: LazyArray, model: SAM2, dtype: torch.dtype) -> Tensor:
    """The movie (T, Y, X, 3) as transformers' video processor would give it, (T, 3, Y, X) on the model's device."""
    frames = (torch.from_numpy(movie[t]).permute(2, 0, 1)[None].float() / 255 for t in range(movie.shape[0]))
    return torch.cat([normalize(f, model.config.mean, model.config.std).to(model.device, dtype) for f in frames])


class Textures:
    """A movie (T, Y, X, 3) uint8 of random grains that drift by two pixels a frame; a frame is made when asked for."""

    dtype = np.dtype(np.uint8)

    def __init__(self, num_frames: int, size: int) -> None:
        self.shape = (num_frames, size, size, 3)
        rng = np.random.default_rng(0)
        coarse = np.kron(rng.integers(0, 128, (size // 8, size // 8, 3)), np.ones((8, 8, 1), dtype=np.int64))
        self._ground = (coarse + rng.integers(0, 128, (size, size, 3))).astype(np.uint8)

    def __getitem__(self, t: int) -> NDArray[np.uint8]:
        return np.roll(self._ground, 2 * t, axis=(0, 1))

    def in_memory(self) -> NDArray[np.uint8]:
        """All frames at once."""
        return np.stack([self[t] for t in range(self.shape[0])])


def clicks(num_objects: int, size: int) -> list[tuple[float, float]]:
    """Places on a grid."""
    side = int(np.ceil(num_objects**0.5))
    return [((i // side + 0.5) * size / side, (i % side + 0.5) * size / side) for i in range(num_objects)]


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
