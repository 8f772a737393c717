"""Reading weights: safetensors, or the published `.pt` files without executing anything in them."""

from collections.abc import Mapping
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import torch
from safetensors.torch import load_file
from torch import Tensor

from sam2_torch.config import CELL, OFFICIAL, SAM2Config
from sam2_torch.errors import CheckpointError

_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a weights file.

    Parameters
    ----------
    path
        `.safetensors`, or `.pt` / `.pth` holding a state dict or `{"model": state_dict}`.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, no checkpoint, or would have to run code to be read.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"No weights file at {path}. Give the path of a .safetensors or .pt file.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        _check_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes the unpickler fail in every way there is
        raise CheckpointError(
            f"{path} is not a readable checkpoint ({_kind(path) or type(error).__name__}). It is damaged, cut short, "
            "or not made of tensors alone; nothing in it was executed. Download it again, or convert it to safetensors."
        ) from error
    return _state_dict(content, path)


def _check_archive(path: Path) -> None:
    """PyTorch has saved zip archives, not compressed, since 1.6; nothing else is let near its unpickler.

    Compressed members could be small here and larger than memory there.
    """
    with ZipFile(path) as archive:
        if any(member.compress_type != ZIP_STORED for member in archive.infolist()):
            raise ValueError("compressed members")


def _kind(path: Path) -> str:
    """What a file that cannot be read is, where that is plain to see."""
    with path.open("rb") as file:
        beginning = file.read(64).lstrip().lower()
    if not beginning:
        return "it is empty"
    return "it is a web page" if beginning.startswith((b"<!doctype html", b"<html")) else ""


def _state_dict(content: object, path: Path) -> dict[str, Tensor]:
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content = content["model"]
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise CheckpointError(
            f"{path} holds no state dict: expected tensors by name, or {{'model': tensors by name}}, "
            f"got {type(content).__name__}. Save `model.state_dict()`."
        )
    return {str(k): v for k, v in content.items()}


def recognize(weights: Mapping[str, Tensor]) -> SAM2Config:
    """Which config a state dict belongs to, from its keys and shapes.

    Raises
    ------
    CheckpointError
        If it is none of the four official sizes, 2.0 or 2.1, nor the bundled model.
    """
    if "image_encoder.trunk.downsample.0.0.weight" in weights:
        return CELL
    version = "2.1" if "no_obj_embed_spatial" in weights else "2.0"
    table = weights.get("image_encoder.trunk.pos_embed")
    blocks = len({k.split(".")[3] for k in weights if k.startswith("image_encoder.trunk.blocks.")})
    for config in OFFICIAL.values():
        stages = getattr(config.trunk, "stages", ())
        same_trunk = table is not None and table.shape[1] == config.trunk.widths[0] and sum(stages) == blocks
        if same_trunk and config.version == version:
            return config
    raise CheckpointError(
        f"The file holds {len(weights)} tensors that fit no SAM 2 known here (trunk with {blocks} blocks, position "
        f"table {None if table is None else tuple(table.shape)}). Known: {', '.join(OFFICIAL)} and {CELL.name}."
    )


def check_fit(expected: Mapping[str, Tensor], given: Mapping[str, Tensor], config: SAM2Config) -> None:
    """Names, shapes and values must fit the network exactly.

    Raises
    ------
    CheckpointError
        Naming the first tensors that are missing, unexpected, of another shape or type, or not finite.
    """
    missing, unexpected = sorted(expected.keys() - given.keys()), sorted(given.keys() - expected.keys())
    if missing or unexpected:
        raise CheckpointError(
            f"The file does not hold the weights of {config.name}: {len(missing)} tensors missing {missing[:3]}, "
            f"{len(unexpected)} unexpected {unexpected[:3]}. Load it with the config it was trained with."
        )
    for name, tensor in expected.items():
        if given[name].shape != tensor.shape:
            raise CheckpointError(
                f"Tensor {name} has shape {tuple(given[name].shape)}, but {config.name} expects "
                f"{tuple(tensor.shape)}. Load the file with the config it was trained with."
            )
        if given[name].dtype not in _DTYPES or given[name].layout != torch.strided or given[name].is_meta:
            raise CheckpointError(
                f"Tensor {name} is {given[name].dtype}, {given[name].layout}, on {given[name].device}; expected stored "
                "floating-point numbers. Save the weights as float32 or float16."
            )
        if not torch.isfinite(given[name]).all():
            raise CheckpointError(f"Tensor {name} holds NaN or infinity: the file is damaged. Download it again.")
