"""The training loop: read it from top to bottom."""

import csv
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import save_file
from torch import Generator, Tensor

from napari_sam2.training.clicks import BOX, CLICK, MASK, corrective_clicks, first_prompts, painted
from napari_sam2.training.clips import Clips, batches
from napari_sam2.training.dense import DenseHeads, dense_loss
from napari_sam2.training.losses import Loss, prediction_loss
from napari_sam2.training.settings import Stage, StageName, TrainSettings
from sam2_torch.attention import RotaryAttention
from sam2_torch.build import load
from sam2_torch.config import CELL, SAM2Config
from sam2_torch.memory_bank import FORWARD, MemoryBank, MemoryRules
from sam2_torch.network import SAM2
from sam2_torch.outputs import FrameFeatures, MaskInput, MaskPrediction
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
    settings: TrainSettings,
    out: Path,
    *,
    config: SAM2Config = CELL,
    device: str = "cpu",
    start: Path | None = None,
    minutes: float = math.inf,
) -> Iterator[StepReport]:
    """Train, or go on where `out` was left; yields a report every 50 steps.

    Writes `out/state.pt` (to resume), `out/log.csv`, `out/settings.jsonl` (a line each time it is started, so that a
    change on the way is on record) and `out/weights.safetensors`, the averaged weights in float16.

    Parameters
    ----------
    start
        Weights to begin a new run with; by default fresh ones.
    minutes
        A leg: stop after so long, in a state to go on from.
    """
    out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    torch.manual_seed(settings.seed)
    model = SAM2(config)
    if start is not None:
        model.load_state_dict(load(start, config).state_dict())
    model.to(device).train()
    head = DenseHeads(config).to(device)
    model.image_encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = {k: v.detach().clone() for k, v in model.state_dict().items()}
    first, optimizer = _resume(out / "state.pt", model, head, average, settings)
    with (out / "settings.jsonl").open("a") as file:
        start_name = None if start is None else start.name
        file.write(json.dumps({"from_step": first, "start": start_name, "device": device, **asdict(settings)}) + "\n")
    sums, counted, started = torch.zeros(3, device=device), 0, time.monotonic()
    for step, clips in zip(range(first, settings.steps), batches(settings, first, pinned=device != "cpu"), strict=True):
        stage = settings.stage(step)
        if step == stage.first:
            if stage.name == "clips" and (start is None or step > 0):
                prepare_memory(model, clips.to(device))
                _blend(average, model, 0.0)
            optimizer = _optimizer(model, head, settings, stage)
        rate = learning_rate(settings, step)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            loss, figures = _step(model, head, clips.to(device), settings, step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*model.parameters(), *head.parameters()], settings.clip_norm)
        optimizer.step()
        _blend(average, model, min(settings.ema, (1 + step) / (10 + step)))
        sums += figures
        counted += 1
        is_last = step + 1 == settings.steps or time.monotonic() - began > 60 * minutes
        if (step + 1) % 50 == 0 or is_last:
            loss_mean, first_iou, iou = (sums / counted).tolist()
            seconds = (time.monotonic() - started) / counted
            report = StepReport(step + 1, stage.name, loss_mean, first_iou, iou, rate, seconds)
            _log(out / "log.csv", report)
            yield report
            sums, counted, started = torch.zeros(3, device=device), 0, time.monotonic()
        if (step + 1) % settings.save_every == 0 or is_last:
            _save(out / "state.pt", step + 1, stage.name, model, head, average, optimizer)
            export(average, out / "weights.safetensors")
        if is_last:
            return


@torch.no_grad()
def prepare_memory(model: SAM2, clips: Clips) -> None:
    """Let memory attention begin as what it should become: each token looks at its own place on earlier frames.

    Rotary positions turn a part that all queries and keys share into a preference for equal places, so a constant in
    both biases makes attention local from the first step on; found by itself, that takes most of a short training. And
    the last norm gives features the mean and spread that the mask decoder has learnt to read.
    """
    for layer in model.memory_attention.layers:
        attention = cast(RotaryAttention, layer.cross_attn_image)
        attention.q_proj.bias.fill_(LOCAL_BIAS)
        attention.k_proj.bias.fill_(LOCAL_BIAS)
    frames = _encode(model, clips.frames[:, 0]).stride16.float()
    model.memory_attention.norm.weight.copy_(frames.std((0, 2, 3)))
    model.memory_attention.norm.bias.copy_(frames.mean((0, 2, 3)) + model.no_mem_embed[0, 0])


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


def _step(model: SAM2, head: DenseHeads, clips: Clips, settings: TrainSettings, step: int) -> tuple[Tensor, Tensor]:
    """Loss of a batch; and for the log (loss, mean IoU on the first frames, mean IoU over all frames)."""
    num_clips, num_frames = clips.frames.shape[:2]
    device = clips.frames.device
    rng = Generator(device).manual_seed(settings.seed + (step << 20))
    with torch.set_grad_enabled(settings.stage(step).encoder > 0):
        encoded = _encode(model, clips.frames.flatten(0, 1))
    helper = dense_loss(head(encoded), clips.dense.flatten(0, 1).float())
    if settings.shows(step) == "dense":
        return helper, torch.stack([helper.detach(), helper.new_zeros(()), helper.new_zeros(())])
    masks = clips.masks.flatten(0, 1)  # (N, T, H, W)
    clip_of = torch.arange(num_clips, device=device).repeat_interleave(clips.packed.shape[1])
    weight = positive_weight(settings, step)
    bank = MemoryBank(MemoryRules.of(model.config))
    first: list[Loss] = []
    later: list[Loss] = []
    for t in range(num_frames):
        features = encoded.select(clip_of * num_frames + t)
        if t == 0:
            background = clips.background[clip_of]
            prediction, prompted, first = _first_frame(
                model, features, masks[:, 0], background, settings, weight, rng, in_clip=num_frames > 1
            )
        else:
            prediction, prompted, new = _later_frame(model, features, masks[:, t], weight, rng, bank, t, settings)
            later += new
        if t + 1 < num_frames:
            bank.add(t, memorize(model, features, prediction, prompted=prompted), prompted=prompted)
    total = torch.stack([loss.total for loss in first]).mean()
    if later:
        total = 0.4 * total + 0.6 * torch.stack([loss.total for loss in later]).mean()
    total = total + settings.dense_weight * helper
    iou = torch.stack([loss.iou for loss in first + later]).mean()
    return total, torch.stack([total.detach(), first[0].iou, iou])


def _encode(model: SAM2, frames: Tensor) -> FrameFeatures:
    """Encode grey frames (B, H, W)."""
    return encode_frame(model, frames.float()[:, None].expand(-1, 3, -1, -1))


Found = tuple[MaskPrediction, bool, list[Loss]]


def _draw(rng: Generator) -> float:
    return float(torch.rand(1, generator=rng, device=rng.device))


def _first_frame(
    model: SAM2,
    features: FrameFeatures,
    masks: Tensor,
    background: Tensor,
    settings: TrainSettings,
    weight: float,
    rng: Generator,
    *,
    in_clip: bool,
) -> Found:
    """The first prompt; at times corrective clicks with the logits before them fed back."""
    luck = _draw(rng)
    kind = CLICK if luck < 0.7 else (BOX if luck < 0.9 or not in_clip else MASK)
    truth = masks.float()
    if kind == MASK:
        prediction = segment(model, features, MaskInput(painted(masks, rng)[:, None].float()))
        return prediction, True, [prediction_loss(prediction, truth, max_weight=weight)]
    tokens = first_prompts(masks, background, kind, rng)
    prediction = segment(model, features, tokens)
    losses = [prediction_loss(prediction, truth, max_weight=weight)]
    share = 0.3 if in_clip else 1.0
    for _ in range(settings.corrections):
        if _draw(rng) >= share * settings.correction_share:
            break
        best = prediction.candidate_ious.argmax(1)
        logits = prediction.candidates[torch.arange(len(masks), device=masks.device), best][:, None].detach()
        tokens = corrective_clicks(logits, masks, rng, tokens, idle_share=settings.idle_share)
        prediction = segment(model, features, tokens, previous_logits=logits)
        losses.append(prediction_loss(prediction, truth, max_weight=weight))
    return prediction, True, losses


def _later_frame(
    model: SAM2,
    features: FrameFeatures,
    masks: Tensor,
    weight: float,
    rng: Generator,
    bank: MemoryBank,
    frame: int,
    settings: TrainSettings,
) -> Found:
    """Track from memory; at times the user corrects the frame, which makes it a prompted one."""
    memories = bank.select(frame, FORWARD)
    if memories is None:
        raise RuntimeError("the first frame of a clip is always prompted")
    prediction = track(model, features, memories)
    truth = masks.float()
    losses = [prediction_loss(prediction, truth, max_weight=weight)]
    if _draw(rng) >= 0.3 * settings.correction_share:
        return prediction, False, losses
    logits = prediction.logits.detach()
    tokens = corrective_clicks(logits, masks, rng, None, idle_share=settings.idle_share)
    prediction = segment(model, features, tokens, memories=memories, previous_logits=logits)
    losses.append(prediction_loss(prediction, truth, max_weight=weight))
    return prediction, True, losses


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
    return torch.optim.AdamW(groups, lr=stage.rate, betas=(0.9, 0.98), fused=next(model.parameters()).is_cuda)


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
