"""The training loop: read it from top to bottom."""

import csv
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from napari_sam2.io.data_sets import Entry
from napari_sam2.training.clips import Clips, batches
from napari_sam2.training.curves import write_curves
from napari_sam2.training.dense import DenseHeads
from napari_sam2.training.optimizer import learning_rate, optimizer_of
from napari_sam2.training.settings import TrainSettings
from napari_sam2.training.state import OptimizerState, Running, Storage, export
from napari_sam2.training.step import batch_loss, prepare_memory
from napari_sam2.training.validation import Validation, validate
from sam2_torch.build import load
from sam2_torch.config import CELL, SAM2Config
from sam2_torch.network import SAM2

LOG_FIELDS = ("step", "stage", "loss", "first_iou", "iou", "rate", "seconds")
WARM_AGAIN = 50
"""Steps over which the rate rises where a run goes on without the optimizer's numbers."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """What one logged step tells: averages since the last report."""

    step: int
    stage: str
    loss: float
    first_iou: float
    iou: float
    rate: float
    seconds: float


def train(
    settings: TrainSettings,
    out: Path,
    *,
    config: SAM2Config = CELL,
    device: str = "cpu",
    start: Path | None = None,
    minutes: float = math.inf,
    shards: bool = False,
    optimizer_state: OptimizerState = "float32",
    validation: Validation | None = None,
) -> Iterator[StepReport]:
    """Train, or go on where `out` was left; yields a report every 50 steps.

    Writes the state to resume from (see `Storage`), `log.csv` and `curve.png`, `settings.jsonl` (a line each time it is
    started, so that a change on the way is on record) and `weights.safetensors`, the averaged weights in float16.
    Validation writes `validation.csv` and, whenever the averaged weights are better than all before,
    `best.safetensors`.

    Parameters
    ----------
    start
        Weights to begin a new run with; by default fresh ones.
    minutes
        A leg: stop after so long, in a state to go on from.
    shards, optimizer_state
        See `Storage`.
    validation
        On what, if `settings.validate_every`; by default some synthetic movies.

    Raises
    ------
    TrainingError
        If parts of the state are missing.
    """
    out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    storage, rules = Storage(out, shards, optimizer_state), validation or Validation()
    movies = rules.entries(out / "validation") if settings.validate_every else []
    run, fresh_at = _start_or_resume(settings, storage, config, device, start)
    _note_settings(out / "settings.jsonl", run.step, start, device, settings)
    sums, counted, started = torch.zeros(3, device=device), 0, time.monotonic()
    steps = range(run.step, settings.steps)
    for step, clips in zip(steps, batches(settings, run.step, pinned=device != "cpu"), strict=True):
        batch, stage = clips.to(device), settings.stage(step)
        if step == stage.first:
            if stage.name == "clips" and start is None:
                prepare_memory(run.model, batch)
                _blend(run.average, run.model, 0.0)
            run.stage, run.optimizer = stage.name, optimizer_of(run.model, run.head, settings, stage)
        rate = learning_rate(settings, step)
        if fresh_at is not None and fresh_at > stage.first:
            rate *= min(1.0, (step - fresh_at + 1) / WARM_AGAIN)
        sums += _learn(run, batch, settings, rate)
        counted += 1
        is_last = run.step == settings.steps or time.monotonic() - began > 60 * minutes
        if settings.validate_every and (run.step % settings.validate_every == 0 or run.step == settings.steps):
            _validate(run, config, movies, rules, device, out)
        if run.step % 50 == 0 or is_last:
            loss_mean, first_iou, iou = (sums / counted).tolist()
            seconds = (time.monotonic() - started) / counted
            report = StepReport(run.step, stage.name, loss_mean, first_iou, iou, rate, seconds)
            _log(out / "log.csv", report)
            yield report
            sums, counted, started = torch.zeros(3, device=device), 0, time.monotonic()
        if run.step % settings.save_every == 0 or is_last:
            storage.save(run)
            export(run.average, out / "weights.safetensors")
            write_curves(out / "curve.png", out / "log.csv", out / "validation.csv")
        if is_last:
            return


def _learn(run: Running, clips: Clips, settings: TrainSettings, rate: float) -> Tensor:
    """One optimizer step; the figures of `batch_loss`."""
    for group in run.optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    with torch.autocast(clips.frames.device.type, torch.bfloat16):
        loss, figures = batch_loss(run.model, run.head, clips, settings, run.step)
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_([*run.model.parameters(), *run.head.parameters()], settings.clip_norm)
    run.optimizer.step()
    _blend(run.average, run.model, min(settings.ema, (1 + run.step) / (10 + run.step)))
    run.step += 1
    return figures


def _start_or_resume(
    settings: TrainSettings, storage: Storage, config: SAM2Config, device: str, start: Path | None
) -> tuple[Running, int | None]:
    """The run, and at which step it goes on with an optimizer that knows nothing, if it does."""
    torch.manual_seed(settings.seed)
    model = SAM2(config)
    if start is not None:
        model.load_state_dict(load(start, config).state_dict())
    model.to(device).train()
    head = DenseHeads(config).to(device)
    model.image_encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = {k: v.detach().clone() for k, v in model.state_dict().items()}
    state = storage.load(model.device)
    stage = settings.stage(0 if state is None else int(state["step"]))
    run = Running(0, stage.name, model, head, average, optimizer_of(model, head, settings, stage))
    knows = state is None or run.resume(state)
    return run, None if knows else run.step


def _validate(run: Running, config: SAM2Config, movies: list[Entry], rules: Validation, device: str, out: Path) -> None:
    iou = validate(run.average, config, movies, rules, device=device, log=out / "validation.csv", step=run.step)
    if iou > run.best:
        run.best = iou
        export(run.average, out / "best.safetensors")


@torch.no_grad()
def _blend(average: dict[str, Tensor], model: SAM2, decay: float) -> None:
    current = model.state_dict()
    torch._foreach_lerp_(list(average.values()), [current[k] for k in average], 1 - decay)


def _note_settings(path: Path, step: int, start: Path | None, device: str, settings: TrainSettings) -> None:
    name = None if start is None else start.name
    with path.open("a") as file:
        file.write(json.dumps({"from_step": step, "start": name, "device": device, **asdict(settings)}) + "\n")


def _log(path: Path, report: StepReport) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, LOG_FIELDS)
        if new:
            writer.writeheader()
        writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in asdict(report).items()})
