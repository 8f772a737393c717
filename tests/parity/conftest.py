"""The filled network and the recorded outputs, once per session."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from parity.networks import filled
from parity.reference import FOLDER, spec
from sam2_torch.config import TINY, version_2_0
from sam2_torch.network import SAM2
from sam2_torch.outputs import FrameFeatures
from sam2_torch.video_predictor import encode_frame


@pytest.fixture(scope="session")
def recorded() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "recorded.npz") as file:
        return dict(file)


@pytest.fixture(scope="session")
def tiny() -> SAM2:
    return filled(TINY)


@pytest.fixture(scope="session")
def tiny_2_0() -> SAM2:
    return filled(version_2_0(TINY))


@pytest.fixture(scope="session")
def encoded(tiny: SAM2, tiny_2_0: SAM2) -> Callable[[SAM2, int], FrameFeatures]:
    """Features of frame t; each frame is encoded once, the trunks of 2.0 and 2.1 hold the same values."""
    cache: dict[int, FrameFeatures] = {}

    def encode(model: SAM2, t: int) -> FrameFeatures:
        if t not in cache:
            image = torch.from_numpy(spec.frame(t) / 255).permute(2, 0, 1)[None]
            with torch.inference_mode():
                cache[t] = encode_frame(model, image)
        return cache[t]

    return encode
