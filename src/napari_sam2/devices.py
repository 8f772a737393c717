"""Where the network runs and in what numbers; what can be done when a device fails."""

import ctypes
import os
import sys
from typing import TYPE_CHECKING, Literal

from napari_sam2.errors import DeviceError

if TYPE_CHECKING:
    import torch

Precision = Literal["float32", "bfloat16", "auto"]


def choose_device(name: str = "auto") -> "torch.device":
    """A device by name: "cpu", "cuda", "cuda:1", "mps"; "auto" takes CUDA if there is a GPU for it, else the CPU.

    Raises
    ------
    DeviceError
        If PyTorch cannot use it here.
    """
    import torch

    usable = ["cpu"]
    if torch.cuda.is_available():
        usable += ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        usable.append("mps")
    if name == "auto":
        return torch.device("cuda" if "cuda" in usable else "cpu")
    if name not in usable:
        raise DeviceError(
            f"There is no device {name!r} that PyTorch can use here. Choose from: auto, {', '.join(usable)}."
        )
    return torch.device(name)


def choose_precision(name: str, device: "torch.device") -> "torch.dtype":
    """The numbers to multiply in: "float32", "bfloat16"; "auto" takes bfloat16 where the device is made for it.

    Raises
    ------
    DeviceError
        If the name is none of these, or the device is slower in bfloat16 than in float32.
    """
    import torch

    if name not in ("float32", "bfloat16", "auto"):
        raise DeviceError(f"There is no precision {name!r}. Choose from: float32, bfloat16, auto.")
    is_fast = is_made_for_bfloat16(device)
    if name == "bfloat16" and not is_fast:
        raise DeviceError(
            f"The device {device.type} here is not made for bfloat16 and would be slower in it. Choose float32 or auto."
        )
    return torch.bfloat16 if name != "float32" and is_fast else torch.float32


def is_made_for_bfloat16(device: "torch.device") -> bool:
    """Whether the device multiplies bfloat16 in hardware: CUDA from Ampere on; CPUs with AVX512-BF16 or AMX."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    # Not public in torch 2.13, and nothing public tells.
    checks = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile"))
    return any(check() for check in checks if check is not None)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device's memory, or the machine's, was not enough."""
    import torch

    said = str(error).lower()
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and ("out of memory" in said or "can't allocate memory" in said)
    )


def keep_few_kernels() -> None:
    """Let oneDNN keep the kernels it makes for the last 256 shapes, not 1024; the environment may say otherwise.

    Regions and batches are of ever other shapes, and the kernels of a thousand take some 40 MB. It counts only if no
    kernel was made yet.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256")


def give_back_memory(device: "torch.device") -> None:
    """Return what torch holds in reserve on a GPU, or what glibc does of memory that was freed in small pieces."""
    import torch

    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
    elif sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:  # other C libraries have none
            trim(0)
