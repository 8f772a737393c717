"""The pure rate of the model: `encode_frame`, `track` and `memorize` for one object, frames and masks on the device."""

import copy
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.contestants import synchronize
from sam2_torch.build import compile_for_cuda
from sam2_torch.memory_bank import MemoryBank, MemoryRules, MemorySelection
from sam2_torch.network import SAM2
from sam2_torch.outputs import FrameMemory, MaskPrediction, PointTokens
from sam2_torch.video_predictor import encode_frame, memorize, segment, track

FULL = 16
"""Frames until an object's memory is full, and shapes no longer change."""

Step = Callable[[Tensor, MemorySelection], tuple[MaskPrediction, FrameMemory]]


class BareLoop:
    """One object followed over frames (T, 3, H, W) float 0..1, that are looked at in a circle."""

    def __init__(self, model: SAM2, images: Tensor) -> None:
        self.model, self.images, self.step = model, images, partial(_step, model)
        self.bank = MemoryBank(MemoryRules.of(model.config))
        self.frame = 0
        middle = images.shape[-1] / 2
        device = images.device
        tokens = PointTokens(torch.tensor([[[middle, middle]]], device=device), torch.ones(1, 1, device=device).long())
        with torch.inference_mode():
            features = encode_frame(model, images[:1])
            memory = memorize(model, features, segment(model, features, tokens), prompted=True)
        self.bank.add(0, memory.to(torch.bfloat16), prompted=True)

    @torch.inference_mode()
    def run(self, num_frames: int, step: Step | None = None) -> float:
        """Follow the object over the next frames; frames a second."""
        synchronize(self.images.device)
        started = time.perf_counter()
        for _ in range(num_frames):
            self.frame += 1
            image = self.images[self.frame % len(self.images)][None]
            _, memory = (step or self.step)(image, self.bank.select(self.frame))
            self.bank.add(self.frame, memory, prompted=False)
        synchronize(self.images.device)
        return num_frames / (time.perf_counter() - started)

    def compiled(self, mode: str) -> Step:
        """The step in graphs of fixed shape, for a full memory: "parts", as `compile_for_cuda` makes them, or the whole
        step in one of torch's modes, with what CUDA graphs would overwrite copied out."""
        if mode == "parts":
            model = copy.deepcopy(self.model)
            compile_for_cuda(model)
            return partial(_step, model)
        compiled = torch.compile(partial(_tensors_only, self.model), mode=mode, dynamic=False)

        def step(image: Tensor, memories: MemorySelection) -> tuple[MaskPrediction, FrameMemory]:
            torch.compiler.cudagraph_mark_step_begin()
            prediction, memory = compiled(
                image, memories.features, memories.steps, memories.pointers, memories.distances, memories.max_distance
            )
            return prediction, FrameMemory(memory.features.clone(), memory.pointer.clone())

        return step


def _step(model: SAM2, image: Tensor, memories: MemorySelection) -> tuple[MaskPrediction, FrameMemory]:
    """One frame, from pixels (1, 3, H, W) to mask logits and memory."""
    features = encode_frame(model, image)
    prediction = track(model, features, memories)
    return prediction, memorize(model, features, prediction, prompted=False).to(torch.bfloat16)


def _tensors_only(model: SAM2, image: Tensor, *selection: Any) -> tuple[MaskPrediction, FrameMemory]:
    return _step(model, image, MemorySelection(*selection))
