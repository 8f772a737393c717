"""Where our time goes, by part of the network and by operation."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

from benchmarks.bare_functions import FULL, BareLoop
from sam2_torch.network import SAM2

PARTS = (
    "image_encoder.trunk",
    "image_encoder.neck",
    "sam_prompt_encoder",
    "memory_attention",
    "memory_attention.layers.*.self_attn",
    "memory_attention.layers.*.cross_attn_image",
    "memory_attention.layers.*.linear1",
    "memory_attention.layers.*.linear2",
    "sam_mask_decoder",
    "sam_mask_decoder.transformer",
    "sam_mask_decoder.output_upscaling",
    "memory_encoder.mask_downsampler",
    "memory_encoder.fuser",
)


def print_profile(model: SAM2, images: torch.Tensor, rows: int = 25) -> None:
    """One frame of one object, memory full: time of each part, then of each operation by the shapes it is given."""
    loop = BareLoop(model, images)
    loop.run(FULL)
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if images.is_cuda else [])]
    with _marked(model), profile(activities=activities, record_shapes=True) as found:
        loop.run(1)
    by = "device_time_total" if images.is_cuda else "cpu_time_total"
    events = {e.key: getattr(e, by) / 1000 for e in found.key_averages()}
    whole = sum(getattr(e, "self_" + by) for e in found.key_averages()) / 1000
    print(f"one frame: {whole:.1f} ms\n\n| part | ms | share |\n|---|---|---|")
    for part in PARTS:
        print(f"| {part} | {events.get(part, 0):.1f} | {events.get(part, 0) / whole:.1%} |")
    print()
    averages = found.key_averages(group_by_input_shape=True)
    print(averages.table(sort_by="self_" + by, row_limit=rows, max_name_column_width=44, max_shapes_column_width=90))


@contextmanager
def _marked(model: SAM2) -> Iterator[None]:
    """Each part's name around its forward; layers of the same kind add up under one name."""
    running: list[record_function] = []

    def enter(name: str) -> None:
        running.append(record_function(name))
        running[-1].__enter__()

    hooks = []
    for name, module in model.named_modules():
        part = ".".join("*" if piece.isdigit() else piece for piece in name.split("."))
        if part in PARTS:
            hooks += _around(module, part, enter, running)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _around(module: nn.Module, part: str, enter, running) -> list:
    return [
        module.register_forward_pre_hook(lambda *_: enter(part)),
        module.register_forward_hook(lambda *_: running.pop().__exit__(None, None, None)),
    ]
