"""The state of a run on disk: whole, or in shards small enough for a machine that gives back small files only."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor

from napari_sam2.errors import TrainingError
from napari_sam2.io.atomic import replacing
from napari_sam2.training.dense import DenseHeads
from napari_sam2.training.settings import StageName
from sam2_torch.network import SAM2

OptimizerState = Literal["float32", "bfloat16", "none"]
SHARD_BYTES = 15_000_000
_SHARD = re.compile(r"state-(\d+)\.(\d+)of(\d+)")
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True)
class Storage:
    """How a state is kept.

    Attributes
    ----------
    folder
        Of the run.
    shards
        In files of at most `SHARD_BYTES`, else in one, `state.pt`.
    optimizer
        Type of the optimizer's moments, or ``"none"`` to leave them out: then a run goes on with fresh ones, whose rate
        warms up again. With ``"bfloat16"`` the running average is kept as its bfloat16 difference from the weights. The
        run that goes on uses the rounded numbers itself, so that one that is stopped and resumed there does the same.
    """

    folder: Path
    shards: bool = False
    optimizer: OptimizerState = "float32"

    def save(self, run: "Running") -> None:
        """Write the state; what was there before goes once the new one is complete."""
        if self.optimizer == "bfloat16":
            run.round()
        file = io.BytesIO()
        torch.save(run.state(self.optimizer), file)
        old = [path for path in self.folder.iterdir() if _is_state(path)]
        new = set()
        for path, content in self._parts(run.step, file.getbuffer()):
            with replacing(path) as part:
                part.write_bytes(content)
            new.add(path)
        for path in set(old) - new:
            path.unlink()

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """The latest complete state of the folder, whole or in shards; None if there is none.

        Raises
        ------
        TrainingError
            If there are only parts of one.
        """
        found = _shards_in(self.folder)
        complete = [step for step, (paths, number) in found.items() if len(paths) == number]
        whole = self.folder / "state.pt"
        if complete:
            paths, _ = found[max(complete)]
            file = io.BytesIO(b"".join(paths[k].read_bytes() for k in sorted(paths)))
        elif whole.exists():
            file = io.BytesIO(whole.read_bytes())
        elif found:
            step, (paths, number) = max(found.items())
            missing = sorted(set(range(1, number + 1)) - set(paths))
            raise TrainingError(
                f"of the state at step {step} in {self.folder}, shards {missing} of {number} are missing: copy them "
                "there, or delete the others to begin anew"
            )
        else:
            return None
        state: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
        return state

    def _parts(self, step: int, content: memoryview) -> Iterator[tuple[Path, memoryview]]:
        if not self.shards:
            yield self.folder / "state.pt", content
            return
        number = -(-len(content) // SHARD_BYTES)
        for k in range(number):
            part = content[k * SHARD_BYTES : (k + 1) * SHARD_BYTES]
            yield self.folder / f"state-{step:07d}.{k + 1}of{number}", part


@dataclass(slots=True)
class Running:
    """What changes while a run goes on."""

    step: int
    stage: StageName
    model: SAM2
    head: DenseHeads
    average: dict[str, Tensor]
    optimizer: torch.optim.Optimizer
    best: float = -1.0
    """Of all validations so far."""

    def state(self, kept: OptimizerState) -> dict[str, Any]:
        """As it is stored."""
        state: dict[str, Any] = {
            "step": self.step,
            "stage": self.stage,
            "best": self.best,
            "model": self.model.state_dict(),
            "head": self.head.state_dict(),
            "average": self.average if kept == "float32" else self._differences(),
        }
        if kept != "none":
            state["optimizer"] = _stored(self.optimizer.state_dict(), halved=kept == "bfloat16")
        return state

    def resume(self, state: dict[str, Any]) -> bool:
        """Take over all but the optimizer's numbers, and these too if they are there and of the same stage."""
        self.step, self.best = int(state["step"]), float(state["best"])
        self.model.load_state_dict(state["model"])
        self.head.load_state_dict(state["head"])
        current = self.model.state_dict()
        for name, tensor in state["average"].items():
            known = tensor if tensor.dtype != torch.bfloat16 else current[name] + tensor.to(current[name].dtype)
            self.average[name].copy_(known)
        is_there = "optimizer" in state and state["stage"] == self.stage
        if is_there:
            self.optimizer.load_state_dict(state["optimizer"])
        return is_there

    @torch.no_grad()
    def round(self) -> None:
        """Use from now on the numbers that are stored with bfloat16."""
        current = self.model.state_dict()
        for name, difference in self._differences().items():
            self.average[name].copy_(current[name] + difference.to(current[name].dtype))
        for moments in self.optimizer.state.values():
            for name in _MOMENTS:
                moments[name].copy_(moments[name].bfloat16())

    def _differences(self) -> dict[str, Tensor]:
        current = self.model.state_dict()
        return {name: (tensor - current[name]).bfloat16() for name, tensor in self.average.items()}


def export(weights: dict[str, Tensor], path: Path) -> None:
    """Weights in float16, as they are shipped; written whole or not at all."""
    halved = {k: v.detach().to("cpu", torch.float16).contiguous() for k, v in weights.items()}
    with replacing(path) as part:
        save_file(halved, part)
        part.chmod(0o644)  # safetensors lets only the owner read


def _stored(optimizer: dict[str, Any], *, halved: bool) -> dict[str, Any]:
    def of(name: str, value: Any) -> Any:
        return value.bfloat16() if halved and name in _MOMENTS else value

    return optimizer | {
        "state": {k: {name: of(name, value) for name, value in m.items()} for k, m in optimizer["state"].items()}
    }


def _is_state(path: Path) -> bool:
    return path.name == "state.pt" or _SHARD.fullmatch(path.name) is not None


def _shards_in(folder: Path) -> dict[int, tuple[dict[int, Path], int]]:
    """By step: the shards that are there, by number, and how many there should be."""
    found: dict[int, tuple[dict[int, Path], int]] = {}
    for path in folder.iterdir():
        match = _SHARD.fullmatch(path.name)
        if match is not None:
            step, k, number = map(int, match.groups())
            found.setdefault(step, ({}, number))[0][k] = path
    return found
