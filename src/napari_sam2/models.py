"""Models by name or file; torch is imported when the first one is loaded."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2.checkpoints.registry import CHECKPOINTS, find
from napari_sam2.devices import Precision, choose_device, choose_precision, keep_few_kernels
from napari_sam2.errors import DeviceError, NapariSam2Error

if TYPE_CHECKING:
    from napari_sam2.checkpoints.download import Step
    from sam2_torch.network import SAM2

MODEL_NAMES = tuple(CHECKPOINTS)
"""The models known by name: the bundled one, and those that are downloaded at first use."""

_SUFFIXES = (".safetensors", ".pt", ".pth")


def load_model(
    name_or_path: str | Path = "cell",
    *,
    device: str = "auto",
    precision: Precision = "float32",
    compiled: bool = False,
    windows: bool = False,
    offline: bool | None = None,
    progress: "Callable[[Step], object] | None" = None,
) -> "SAM2":
    """Load a model in evaluation mode; one known by name that is not on this machine is downloaded.

    Parameters
    ----------
    name_or_path
        One of `MODEL_NAMES`; or the path of a `.safetensors` or `.pt` file with the weights of any SAM 2 or SAM 2.1,
        published or fine-tuned.
    device
        "cpu", "cuda", "cuda:1", "mps"; "auto" takes CUDA if there is one, else the CPU.
    precision
        "float32" gives what the original gives; "bfloat16" nearly that, faster, where the device is made for it; "auto"
        the faster of the two.
    compiled
        On CUDA, compile the network with `torch.compile`: the first frames take minutes, the others less time.
    windows
        Show a model that sees whole frames windows around the objects instead, as the bundled one is shown: many small
        objects in large frames cost little then, but the masks are no longer those of the original.
    offline, progress
        As for `download_model`.

    Raises
    ------
    CheckpointError
        If there is no such model, or the file is unreadable, hostile, damaged, or of another architecture.
    DownloadError
        If the model is not on this machine and cannot be had.
    DeviceError
        If the device cannot be used, or not in this precision.
    NapariSam2Error
        If torch itself cannot be loaded.
    """
    try:
        import torch

        from sam2_torch.build import compile_for_cuda, load
        from sam2_torch.config import windowed
    except OSError as error:
        raise NapariSam2Error(
            f"PyTorch cannot be loaded ({error}). On Windows this happens when Qt was loaded first: start napari with "
            "`napari-sam2 gui`; if it still fails, install Microsoft's Visual C++ redistributable."
        ) from error

    path = _file_of(name_or_path, offline, progress)
    keep_few_kernels()
    chosen = choose_device(device)
    numbers = choose_precision(precision, chosen)
    if compiled and chosen.type != "cuda":
        raise DeviceError(f"Only for CUDA is the network compiled, and the device is {chosen.type}.")
    model = load(path).to(chosen)
    if numbers != torch.float32:
        model.use_bfloat16()
    if windows and model.config.object_diameter is None:
        model.config = windowed(model.config)
    if compiled:
        compile_for_cuda(model)
    return model


def _file_of(name_or_path: str | Path, offline: bool | None, progress: "Callable[[Step], object] | None") -> Path:
    """The path given, or that of the model of this name, which is downloaded if need be."""
    path = Path(name_or_path)
    is_file = str(name_or_path) not in CHECKPOINTS and (path.suffix in _SUFFIXES or path.is_file())
    return path if is_file else download_model(str(name_or_path), offline=offline, progress=progress)


def download_model(
    name: str,
    *,
    offline: bool | None = None,
    again: bool = False,
    progress: "Callable[[Step], object] | None" = None,
) -> Path:
    """Bring a model onto this machine, unless it is there.

    Parameters
    ----------
    name
        One of `MODEL_NAMES`.
    offline
        Do without the network; None if NAPARI_SAM2_OFFLINE decides.
    again
        Download it anew, even if it is there.
    progress
        Called with how far it has come, ten times a second; shown on the terminal by default.

    Returns
    -------
    Path
        The file of its weights.

    Raises
    ------
    CheckpointError
        If there is no such model, or what came, or what is there, is not it.
    DownloadError
        If it cannot be had; with the address, and where to put it if you get it by other means.
    """
    from napari_sam2.checkpoints.fetch import fetch
    from napari_sam2.checkpoints.store import Store
    from napari_sam2.checkpoints.terminal_bar import TerminalBar

    checkpoint, store = find(name), Store.default()
    with closing(TerminalBar(name)) as bar:
        for step in fetch(checkpoint, store, offline=offline, again=again):
            (progress or bar)(step)
    return store.path(checkpoint)
