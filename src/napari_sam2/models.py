"""Models by name or file; torch is imported when the first one is loaded."""

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2.errors import CheckpointError, NapariSam2Error

if TYPE_CHECKING:
    import torch

    from sam2_torch.network import SAM2

MODEL_NAMES = ("cell",)
"""Models that come with the package."""


def load_model(name_or_path: str | Path = "cell", *, device: str = "auto") -> "SAM2":
    """Load a model in evaluation mode.

    Parameters
    ----------
    name_or_path
        "cell", the bundled model; or the path of a `.safetensors` or `.pt` file with the weights of any SAM 2 or
        SAM 2.1, published or fine-tuned.
    device
        "cpu", "cuda", "cuda:1", "mps"; "auto" takes CUDA if there is one, else the CPU.

    Raises
    ------
    CheckpointError
        If there is no such model, or the file is unreadable, hostile, or of another architecture.
    NapariSam2Error
        If torch itself cannot be loaded, or cannot use the device.
    """
    try:
        from sam2_torch.build import load
    except OSError as error:
        raise NapariSam2Error(
            f"PyTorch cannot be loaded ({error}). On Windows this happens when Qt was loaded first: start napari with "
            "`napari-sam2 gui`; if it still fails, install Microsoft's Visual C++ redistributable."
        ) from error

    path = Path(name_or_path)
    if str(name_or_path) in MODEL_NAMES:
        path = Path(str(resources.files("sam2_torch") / "weights" / f"{name_or_path}.safetensors"))
    elif not path.suffix:
        raise CheckpointError(
            f"There is no model {str(name_or_path)!r}. Choose one of {', '.join(MODEL_NAMES)}, or give the path of a "
            ".safetensors or .pt file."
        )
    return load(path).to(_device(device))


def _device(name: str) -> "torch.device":
    import torch

    usable = ["cpu"]
    if torch.cuda.is_available():
        usable += ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        usable.append("mps")
    if name == "auto":
        return torch.device("cuda" if "cuda" in usable else "cpu")
    if name not in usable:
        raise NapariSam2Error(
            f"There is no device {name!r} that PyTorch can use here. Choose from: auto, {', '.join(usable)}."
        )
    return torch.device(name)
