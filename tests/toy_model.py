"""A stand-in for the network that follows bright discs exactly, to test the session's rules by themselves.

`segment` takes the connected bright piece under the first click or in the middle of the box, `track` the one nearest
the middle of the window; each memory holds the number of its frame. Logged are every selection looked at, and what
the prompts said.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_sam2 import frame_encoder, propagation, window_choice
from sam2_torch.config import CELL
from sam2_torch.outputs import FrameFeatures, FrameMemory, MaskInput, MaskPrediction
from sam2_torch.prompt_encoder import BOX_FIRST


@dataclass
class ToyModel:
    """What the session asks of a network, and the log of what it looked at."""

    config = CELL
    device = torch.device("cpu")
    tracked_logit: float = 15.0
    clicked_logit: float = 10.0
    frame: int = 0
    log: list[tuple[str, list[int], list[float]]] = field(default_factory=list)
    asked: list[tuple[list[int], bool]] = field(default_factory=list)
    """Labels of the points and corners of each prompt, and whether a mask was fed back."""

    def state_dict(self) -> dict[str, torch.Tensor]:
        """No weights, so that all of these are the same model."""
        return {}

    def install(self, monkeypatch: pytest.MonkeyPatch) -> "ToyModel":
        encode = frame_encoder.FrameEncoder.encode

        def noting_the_frame(encoder, frame, windows, **kwargs):
            self.frame = frame
            return encode(encoder, frame, windows, **kwargs)

        monkeypatch.setattr(frame_encoder.FrameEncoder, "encode", noting_the_frame)
        monkeypatch.setattr(frame_encoder, "encode_frame", self.encode_frame)
        for name in ("segment", "track", "memorize"):
            monkeypatch.setattr(propagation, name, getattr(self, name))
        monkeypatch.setattr(window_choice, "segment", self.segment)
        return self

    def encode_frame(self, _, image):
        stride4 = torch.nn.functional.avg_pool2d(image[:, :1], 4)
        return FrameFeatures(stride4[..., ::4, ::4], stride4[..., ::2, ::2], stride4)

    def segment(self, _, features, prompt, *, memories=None, previous_logits=None, present_above=0.0):
        self._note("segment", memories)
        if isinstance(prompt, MaskInput):
            return prediction(torch.nn.functional.avg_pool2d(prompt.mask, 4)[:, 0].numpy() * 20 - 10)
        self.asked.append((prompt.labels[0].tolist(), previous_logits is not None))
        images = features.stride4.expand(len(prompt.xy), -1, -1, -1)
        found = []
        for image, xy, labels in zip(images, prompt.xy, prompt.labels, strict=True):
            place = xy[:2].mean(0) if labels[0] == BOX_FIRST else xy[0]
            pieces, column, row = pieces_of(image), *(place / 4).int().tolist()
            inside = 0 <= row < len(pieces) and 0 <= column < len(pieces)
            label = pieces[row, column] if inside else 0
            found.append(np.where(pieces == label, self.clicked_logit, -10) if label else absent(pieces))
        return present(prediction(found), present_above)

    def track(self, _, features, memories, *, present_above=0.0):
        self._note("track", memories)
        found = []
        for image in features.stride4.expand(len(memories.steps), -1, -1, -1):
            pieces = pieces_of(image)
            middles = np.array(ndimage.center_of_mass(pieces > 0, pieces, range(1, pieces.max() + 1)))
            if not len(middles):
                found.append(absent(pieces))
                continue
            nearest = 1 + np.argmin(((middles - len(pieces) / 2) ** 2).sum(1))
            found.append(np.where(pieces == nearest, self.tracked_logit, -10))
        return present(prediction(found), present_above)

    def memorize(self, _, features, prediction, *, prompted, present_above=0.0):
        count = len(prediction.logits)
        return FrameMemory(torch.full((count, 1, 2, 2), float(self.frame)), prediction.pointer)

    def _note(self, what, memories):
        if memories is None:
            self.log.append((what, [], []))
        else:
            frames = [int(f.flatten()[0]) for f in memories.features]
            self.log.append((what, frames, memories.distances[0].tolist()))


def pieces_of(image):
    return ndimage.label(image[0].numpy() > 0.5)[0]


def absent(pieces):
    return np.full(pieces.shape, -1024, np.float32)


def present(prediction, above):
    """What is there by its score, as the network leaves it."""
    is_there = (prediction.object_score > above)[:, None, None, None]
    return replace(prediction, logits=torch.where(is_there, prediction.candidates, -1024.0))


def prediction(logits):
    stacked = torch.tensor(np.stack(logits).astype(np.float32))[:, None]
    count = len(stacked)
    score = torch.where(stacked.flatten(1).amax(1) > 0, 5.0, -5.0)
    return MaskPrediction(
        stacked, torch.full((count,), 0.9), score, torch.zeros(count, 4), stacked, torch.ones(count, 1)
    )
