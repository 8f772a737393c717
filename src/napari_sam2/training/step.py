"""The loss of one batch: prompts on first frames, tracking on later ones."""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Generator, Tensor

from napari_sam2.training.clicks import BOX, CLICK, MASK, corrective_clicks, first_prompts, painted
from napari_sam2.training.clips import Clips
from napari_sam2.training.dense import DenseHeads, dense_loss
from napari_sam2.training.losses import Loss, prediction_loss
from napari_sam2.training.settings import TrainSettings
from napari_sam2.training.views import View, middle_of, view_of
from sam2_torch.attention import RotaryAttention
from sam2_torch.memory_bank import FORWARD, MemoryBank, MemoryRules
from sam2_torch.network import SAM2
from sam2_torch.outputs import FrameFeatures, MaskInput, MaskPrediction
from sam2_torch.video_predictor import encode_frame, memorize, segment, track

LOCAL_BIAS = 2.5


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
    frames = encode_grey(model, clips.frames[:, 0]).stride16.float()
    model.memory_attention.norm.weight.copy_(frames.std((0, 2, 3)))
    model.memory_attention.norm.bias.copy_(frames.mean((0, 2, 3)) + model.no_mem_embed[0, 0])


def positive_weight(settings: TrainSettings, step: int) -> float:
    """The most a positive pixel may weigh: 30 while the model learns to find objects, then less, for true sizes."""
    images = settings.stages[1]
    progress = min(1.0, max(0.0, 2 * images.progress(step)))
    return float(30 * (2 / 30) ** max(0.0, (progress - 0.3) / 0.7))


def batch_loss(
    model: SAM2, head: DenseHeads, clips: Clips, settings: TrainSettings, step: int
) -> tuple[Tensor, Tensor]:
    """Loss of a batch; and for the log (loss, mean IoU on the first frames, mean IoU over all frames)."""
    num_clips, num_frames = clips.frames.shape[:2]
    device = clips.frames.device
    rng = Generator(device).manual_seed(settings.seed + (step << 20))
    with torch.set_grad_enabled(settings.stage(step).encoder > 0):
        encoded = encode_grey(model, clips.frames.flatten(0, 1))
    helper = dense_loss(head(encoded), clips.dense.flatten(0, 1).float())
    if settings.shows(step) == "dense":
        return helper, torch.stack([helper.detach(), helper.new_zeros(()), helper.new_zeros(())])
    masks = clips.masks.flatten(0, 1)  # (N, T, H, W)
    clip_of = torch.arange(num_clips, device=device).repeat_interleave(clips.packed.shape[1])
    weight = positive_weight(settings, step)
    view = view_of(encoded, clip_of * num_frames, model.config, settings, rng)
    judged = clips.judged.flatten(0, 1)  # (N, T)
    bank = MemoryBank(MemoryRules.of(model.config))
    first: list[Loss] = []
    later: list[Loss] = []
    for t in range(num_frames):
        frame = _Frame(t, masks[:, t], judged[:, t], weight)
        if t == 0:
            background = clips.background[clip_of]
            prediction, prompted, first = _first_frame(
                model, view, frame, background, settings, rng, in_clip=num_frames > 1
            )
        else:
            prediction, prompted, new = _later_frame(model, view, frame, bank, settings, rng)
            later += new
        if t + 1 < num_frames:
            bank.add(t, memorize(model, view.features(t), prediction, prompted=prompted), prompted=prompted)
            view.follow(prediction)
    total = torch.stack([loss.total for loss in first]).mean()
    if later:
        total = 0.4 * total + 0.6 * torch.stack([loss.total for loss in later]).mean()
    total = total + settings.dense_weight * helper
    iou = torch.stack([loss.iou for loss in first + later]).mean()
    return total, torch.stack([total.detach(), first[0].iou, iou])


def encode_grey(model: SAM2, frames: Tensor) -> FrameFeatures:
    """Encode grey frames (B, H, W)."""
    return encode_frame(model, frames.float()[:, None].expand(-1, 3, -1, -1))


Found = tuple[MaskPrediction, bool, list[Loss]]


@dataclass(frozen=True, slots=True)
class _Frame:
    """Frame `t` of N objects: true masks (N, H, W), which of them are judged (N,), what a positive pixel may weigh."""

    t: int
    masks: Tensor
    judged: Tensor
    weight: float

    def loss(self, prediction: MaskPrediction, truth: Tensor) -> Loss:
        return prediction_loss(prediction, truth.float(), max_weight=self.weight, judged=self.judged)


def _draw(rng: Generator) -> float:
    return float(torch.rand(1, generator=rng, device=rng.device))


def _first_frame(
    model: SAM2,
    view: View,
    frame: _Frame,
    background: Tensor,
    settings: TrainSettings,
    rng: Generator,
    *,
    in_clip: bool,
) -> Found:
    """The first prompt; at times corrective clicks with the logits before them fed back."""
    luck = _draw(rng)
    kind = CLICK if luck < 0.7 else (BOX if luck < 0.9 or not in_clip else MASK)
    if kind == MASK:
        rough = painted(frame.masks, rng)
        view.look_at(middle_of(rough))
        prediction = segment(model, view.features(frame.t), MaskInput(view.cut(rough)[:, None].float()))
        return prediction, True, [frame.loss(prediction, view.cut(frame.masks))]
    tokens = first_prompts(frame.masks, background, kind, rng)
    view.look_at(tokens.xy.mean(1))
    tokens, truth, features = view.told(tokens), view.cut(frame.masks), view.features(frame.t)
    prediction = segment(model, features, tokens)
    losses = [frame.loss(prediction, truth)]
    share = 0.3 if in_clip else 1.0
    for _ in range(settings.corrections):
        if _draw(rng) >= share * settings.correction_share:
            break
        best = prediction.candidate_ious.argmax(1)
        logits = prediction.candidates[torch.arange(len(truth), device=truth.device), best][:, None].detach()
        tokens = corrective_clicks(logits, truth, rng, tokens, idle_share=settings.idle_share)
        prediction = segment(model, features, tokens, previous_logits=logits)
        losses.append(frame.loss(prediction, truth))
    return prediction, True, losses


def _later_frame(
    model: SAM2, view: View, frame: _Frame, bank: MemoryBank, settings: TrainSettings, rng: Generator
) -> Found:
    """Track from memory; at times the user corrects the frame, which makes it a prompted one."""
    memories = bank.select(frame.t, FORWARD)
    if memories is None:
        raise RuntimeError("the first frame of a clip is always prompted")
    features, truth = view.features(frame.t), view.cut(frame.masks)
    prediction = track(model, features, memories)
    losses = [frame.loss(prediction, truth)]
    if _draw(rng) >= 0.3 * settings.correction_share:
        return prediction, False, losses
    logits = prediction.logits.detach()
    tokens = corrective_clicks(logits, truth, rng, None, idle_share=settings.idle_share)
    prediction = segment(model, features, tokens, memories=memories, previous_logits=logits)
    losses.append(frame.loss(prediction, truth))
    return prediction, True, losses
