"""The training loop: read it from top to bottom."""

import csv
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from napari_sam2.training.clicks import BOX, CLICK, MASK, corrective_clicks, first_prompts, to_numpy
from napari_sam2.training.clips import Clips, batches
from napari_sam2.training.dense import DenseHeads, dense_loss
from napari_sam2.training.losses import Loss, prediction_loss
from napari_sam2.training.settings import Stage, StageName, TrainSettings
from sam2_torch.attention import RotaryAttention
from sam2_torch.config import CELL, SAM2Config
from sam2_torch.memory_bank import FORWARD, MemoryBank, MemoryRules
from sam2_torch.network import SAM2
from sam2_torch.outputs import FrameFeatures, MaskInput, MaskPrediction, PointTokens
from sam2_torch.video_predictor import encode_frame, memorize, segment, track

LOCAL_BIAS = 2.5
LOG_FIELDS = ("step", "stage", "loss", "first_iou", "iou", "rate", "seconds")


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
    settings: TrainSettings, out: Path, *, config: SAM2Config = CELL, device: str = "cpu"
) -> Iterator[StepReport]:
    """Train from scratch, or go on where `out` was left; yields a report every 50 steps.

    Writes `out/state.pt` (to resume), `out/log.csv`, `out/settings.jsonl` (a line each time it is started, so that a
    change on the way is on record) and `out/weights.safetensors`, the averaged weights in float16.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    model = SAM2(config).to(device).train()
    head = DenseHeads(config).to(device)
    if device == "cpu":
        model.image_encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = {k: v.detach().clone() for k, v in model.state_dict().items()}
    first, optimizer = _resume(out / "state.pt", model, head, average, settings)
    with (out / "settings.jsonl").open("a") as file:
        file.write(json.dumps({"from_step": first, **asdict(settings)}) + "\n")
    total = settings.steps
    sums, counted, started = np.zeros(3), 0, time.monotonic()
    for step, clips in zip(range(first, total), batches(settings, first), strict=True):
        if step == settings.stage(step).first:
            if settings.stage(step).name == "clips":
                prepare_memory(model, clips, device)
                _blend(average, model, 0.0)
            optimizer = _optimizer(model, head, settings, settings.stage(step))
        rate = learning_rate(settings, step)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        with torch.autocast(device, torch.bfloat16):
            loss, first_iou, iou = _step(model, head, clips, settings, step, device)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*model.parameters(), *head.parameters()], settings.clip_norm)
        optimizer.step()
        _blend(average, model, min(settings.ema, (1 + step) / (10 + step)))
        sums += (loss.item(), first_iou, iou)
        counted += 1
        if (step + 1) % 50 == 0 or step + 1 == total:
            report = StepReport(
                step + 1,
                settings.stage(step).name,
                *_means(sums, counted),
                rate,
                (time.monotonic() - started) / counted,
            )
            _log(out / "log.csv", report)
            yield report
            sums, counted, started = np.zeros(3), 0, time.monotonic()
        if (step + 1) % settings.save_every == 0 or step + 1 == total:
            _save(out / "state.pt", step + 1, settings.stage(step).name, model, head, average, optimizer)
            export(average, out / "weights.safetensors")


@torch.no_grad()
def prepare_memory(model: SAM2, clips: Clips, device: str) -> None:
    """Let memory attention begin as what it should become: each token looks at its own place on earlier frames.

    Rotary positions turn a part that all queries and keys share into a preference for equal places, so a constant in
    both biases makes attention local from the first step on; found by itself, that takes most of a short training. And
    the last norm gives features the mean and spread that the mask decoder has learnt to read.
    """
    for layer in model.memory_attention.layers:
        attention = cast(RotaryAttention, layer.cross_attn_image)
        attention.q_proj.bias.fill_(LOCAL_BIAS)
        attention.k_proj.bias.fill_(LOCAL_BIAS)
    frames = _encode(model, torch.from_numpy(clips.frames[:, 0]).to(device)).stride16.float()
    model.memory_attention.norm.weight.copy_(frames.std((0, 2, 3)))
    model.memory_attention.norm.bias.copy_(frames.mean((0, 2, 3)) + model.no_mem_embed[0, 0])


def _means(sums: np.ndarray, count: int) -> tuple[float, float, float]:
    loss, first_iou, iou = (float(v) / count for v in sums)
    return loss, first_iou, iou


def learning_rate(settings: TrainSettings, step: int) -> float:
    """Linear warm-up and cosine decay to a fiftieth, in each of the stages."""
    stage = settings.stage(step)
    at = step - stage.first
    if at < stage.warm_up:
        return stage.rate * (at + 1) / stage.warm_up
    left = (at - stage.warm_up) / max(1, stage.steps - stage.warm_up)
    return stage.rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * left)))


def positive_weight(settings: TrainSettings, step: int) -> float:
    """The most a positive pixel may weigh: 30 while the model learns to find objects, then less, for true sizes."""
    images = settings.stages[1]
    progress = min(1.0, max(0.0, 2 * images.progress(step)))
    return float(30 * (2 / 30) ** max(0.0, (progress - 0.3) / 0.7))


def _step(
    model: SAM2, head: DenseHeads, clips: Clips, settings: TrainSettings, step: int, device: str
) -> tuple[Tensor, float, float]:
    """Loss of a batch, mean IoU on the first frames and over all frames."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([settings.seed, step, 1])))
    num_clips, num_objects, num_frames = clips.masks.shape[:3]
    masks = clips.masks.reshape(num_clips * num_objects, num_frames, *clips.masks.shape[3:])
    rows = np.repeat(np.arange(num_clips), num_objects).tolist()
    truth = torch.from_numpy(masks).to(device).float()
    weight = positive_weight(settings, step)
    bank = MemoryBank(MemoryRules.of(model.config))
    losses: list[Loss] = []
    helper = torch.zeros((), device=device)
    dense_only = settings.stage(step).name == "dense"
    for t in range(num_frames):
        with torch.set_grad_enabled(settings.stage(step).encoder > 0):
            shared = _encode(model, torch.from_numpy(clips.frames[:, t]).to(device))
        helper = helper + dense_loss(head(shared), torch.from_numpy(clips.dense[:, t]).to(device).float())
        if dense_only:
            continue
        features = shared.select(rows)
        if t == 0:
            found = _first_frame(model, features, masks[:, 0], truth[:, 0], settings, weight, rng, num_frames > 1)
        else:
            found = _later_frame(model, features, masks[:, t], truth[:, t], weight, rng, bank, t, settings)
        prediction, prompted, new = found
        losses += new
        if t + 1 < num_frames:
            bank.add(t, memorize(model, features, prediction, prompted=prompted), prompted=prompted)
    if dense_only:
        return helper / num_frames, 0.0, 0.0
    total = torch.stack([loss.total for loss in losses]).mean() + settings.dense_weight * helper / num_frames
    return total, losses[0].iou.item(), float(np.mean([loss.iou.item() for loss in losses]))


def _encode(model: SAM2, frames: Tensor) -> FrameFeatures:
    """Encode grey frames (B, H, W)."""
    return encode_frame(model, frames[:, None].expand(-1, 3, -1, -1))


Found = tuple[MaskPrediction, bool, list[Loss]]


def _first_frame(
    model: SAM2,
    features: FrameFeatures,
    masks: np.ndarray,
    truth: Tensor,
    settings: TrainSettings,
    weight: float,
    rng: np.random.Generator,
    in_clip: bool,
) -> Found:
    """The first prompt; on single images, at times a corrective click with the first logits fed back."""
    kind = str(rng.choice([CLICK, BOX, MASK], p=[0.7, 0.2, 0.1] if in_clip else [0.75, 0.25, 0.0]))
    if kind == MASK:
        prediction = segment(model, features, MaskInput(truth[:, None]))
        return prediction, True, [prediction_loss(prediction, truth, max_weight=weight)]
    tokens = _to(first_prompts(masks, kind, rng), truth.device)
    prediction = segment(model, features, tokens)
    losses = [prediction_loss(prediction, truth, max_weight=weight)]
    if not in_clip and rng.random() < settings.correction_share:
        logits = prediction.candidates[torch.arange(len(masks)), prediction.candidate_ious.argmax(1)][:, None].detach()
        more = _to(corrective_clicks(to_numpy(logits), masks, rng, tokens), truth.device)
        prediction = segment(model, features, more, previous_logits=logits)
        losses.append(prediction_loss(prediction, truth, max_weight=weight))
    return prediction, True, losses


def _later_frame(
    model: SAM2,
    features: FrameFeatures,
    masks: np.ndarray,
    truth: Tensor,
    weight: float,
    rng: np.random.Generator,
    bank: MemoryBank,
    frame: int,
    settings: TrainSettings,
) -> Found:
    """Track from memory; at times the user corrects the frame, which makes it a prompted one."""
    memories = bank.select(frame, FORWARD)
    if memories is None:
        raise RuntimeError("the first frame of a clip is always prompted")
    prediction = track(model, features, memories)
    losses = [prediction_loss(prediction, truth, max_weight=weight)]
    if rng.random() >= 0.3 * settings.correction_share:
        return prediction, False, losses
    logits = prediction.logits.detach()
    tokens = _to(corrective_clicks(to_numpy(logits), masks, rng, None), truth.device)
    prediction = segment(model, features, tokens, memories=memories, previous_logits=logits)
    losses.append(prediction_loss(prediction, truth, max_weight=weight))
    return prediction, True, losses


def _to(tokens: PointTokens, device: torch.device) -> PointTokens:
    return PointTokens(tokens.xy.to(device), tokens.labels.to(device))


def _optimizer(model: SAM2, head: DenseHeads, settings: TrainSettings, stage: Stage) -> torch.optim.AdamW:
    """AdamW for the parts that learn in a stage; weight decay for matrices and kernels only."""
    parts: dict[str, list[torch.nn.Parameter]] = {"encoder": [], "heads": list(head.parameters()), "memory": []}
    for name, parameter in model.named_parameters():
        parts[_part(name)].append(parameter)
    groups: list[dict[str, Any]] = []
    for part, parameters in parts.items():
        factor = getattr(stage, part)
        for decay, chosen in (
            (settings.weight_decay, [p for p in parameters if p.ndim >= 2]),
            (0.0, [p for p in parameters if p.ndim < 2]),
        ):
            groups.append({"params": chosen, "weight_decay": decay * (factor > 0), "factor": factor})
    return torch.optim.AdamW(groups, lr=stage.rate, betas=(0.9, 0.98))


def _part(name: str) -> str:
    """Which part of the network a parameter belongs to, as `Stage` names them."""
    if name.startswith("image_encoder."):
        return "encoder"
    return "memory" if name.startswith(("memory_", "maskmem_", "obj_ptr_", "no_obj_")) else "heads"


@torch.no_grad()
def _blend(average: dict[str, Tensor], model: SAM2, decay: float) -> None:
    current = model.state_dict()
    torch._foreach_lerp_(list(average.values()), [current[k] for k in average], 1 - decay)


def _save(
    path: Path,
    step: int,
    stage: StageName,
    model: SAM2,
    head: DenseHeads,
    average: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> None:
    state = {
        "step": step,
        "stage": stage,
        "model": model.state_dict(),
        "head": head.state_dict(),
        "average": average,
        "optimizer": optimizer.state_dict(),
    }
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def _resume(
    path: Path, model: SAM2, head: DenseHeads, average: dict[str, Tensor], settings: TrainSettings
) -> tuple[int, torch.optim.Optimizer]:
    """Where the run was left, and its optimizer; a stage begins with a fresh one."""
    state: dict[str, Any] = {"step": 0}
    if path.exists():
        state = torch.load(path, map_location=model.device, weights_only=True)
    step = int(state["step"])
    stage = settings.stage(step)
    optimizer = _optimizer(model, head, settings, stage)
    if step:
        model.load_state_dict(state["model"])
        head.load_state_dict(state["head"])
        for name, tensor in state["average"].items():
            average[name].copy_(tensor)
        if state.get("stage") == stage.name:
            optimizer.load_state_dict(state["optimizer"])
    return step, optimizer


def export(weights: dict[str, Tensor], path: Path) -> None:
    """Weights in float16, as they are shipped; written whole or not at all."""
    halved = {k: v.detach().to("cpu", torch.float16).contiguous() for k, v in weights.items()}
    save_file(halved, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").chmod(0o644)  # safetensors lets only the owner read
    path.with_suffix(".tmp").replace(path)


def _log(path: Path, report: StepReport) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, LOG_FIELDS)
        if new:
            writer.writeheader()
        writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in asdict(report).items()})
