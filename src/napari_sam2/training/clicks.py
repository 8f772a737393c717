"""Simulated prompts: what a user would click, box or paint, given the truth.

All on the device where the network runs, for all objects of a step at once.
"""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from sam2_torch.outputs import PointTokens
from sam2_torch.prompt_encoder import BOX_FIRST, BOX_LAST, NEGATIVE, POSITIVE

CLICK, BOX, MASK = "click", "box", "mask"
MIN_PIXELS = 1e-6
BESIDE = 12
"""Pixels from the object within which an idle click lies beside it."""


def inside_click(regions: Tensor, rng: Generator) -> Tensor:
    """A click (x, y) inside each of N regions (N, H, W) bool, deeper pixels more likely: (N, 2), on whole pixels.

    A pixel is as deep as its surroundings at two scales belong to the region. How much that counts is drawn for each
    region: from nearly any pixel to nearly always the middle.
    """
    inside = regions[:, None].float()
    depth = F.avg_pool2d(inside, 5, 1, 2) * F.avg_pool2d(inside, 17, 1, 8)
    power = 2 ** (5 * torch.rand(len(regions), 1, generator=rng, device=regions.device) - 2)  # 1/4 .. 8
    depth = (depth / depth.amax((2, 3), keepdim=True).clamp(min=MIN_PIXELS)).flatten(1)
    weight = depth**power * inside.flatten(1)
    place = torch.multinomial(weight.clamp(min=1e-30), 1, generator=rng)[:, 0]
    width = regions.shape[-1]
    return torch.stack([place % width, place // width], 1).float()


def first_prompts(masks: Tensor, background: Tensor, kind: str, rng: Generator) -> PointTokens:
    """A click, or a box jittered by a tenth of its size, for each of N masks (N, H, W) bool.

    An object that is not there is clicked in its `background` (N, H, W), or boxed around such a click.
    """
    there = masks.flatten(1).any(1)
    click = inside_click(torch.where(there[:, None, None], masks, background), rng)
    if kind == CLICK:
        return PointTokens(click[:, None], torch.full((len(masks), 1), POSITIVE, device=masks.device))
    boxes = torch.where(there[:, None], _bounds(masks), torch.cat([click - 16, click + 16], 1))
    side = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    jitter = 0.1 * side * torch.randn(boxes.shape, generator=rng, device=masks.device)
    boxes = boxes + jitter.clamp(-20, 20)
    labels = torch.tensor([[BOX_FIRST, BOX_LAST]], device=masks.device).expand(len(masks), -1)
    return PointTokens(boxes.unflatten(1, (2, 2)), labels)


def _bounds(masks: Tensor) -> Tensor:
    """First and last column and row (x0, y0, x1, y1) of N masks; meaningless for empty ones."""
    columns, rows = masks.any(1).float(), masks.any(2).float()
    first = [columns.argmax(1), rows.argmax(1)]
    last = [c.shape[1] - 1 - c.flip(1).argmax(1) for c in (columns, rows)]
    return torch.stack([*first, *last], 1).float()


def painted(masks: Tensor, rng: Generator) -> Tensor:
    """Masks (N, H, W) as a user paints them, roughly: grown, shrunk and rounded by up to a few pixels."""
    radius = int(torch.randint(0, 5, (1,), generator=rng, device=masks.device))
    if not radius:
        return masks
    level = 0.3 + 0.4 * torch.rand(len(masks), 1, 1, generator=rng, device=masks.device)
    rough = F.avg_pool2d(masks[:, None].float(), 2 * radius + 1, 1, radius)[:, 0] > level
    return torch.where(rough.flatten(1).any(1)[:, None, None], rough, masks)


def corrective_clicks(
    logits: Tensor, truth: Tensor, rng: Generator, before: PointTokens | None, *, idle_share: float = 0.0
) -> PointTokens:
    """One more click for each object, in the error region, after the points given `before`.

    Parameters
    ----------
    logits : (N, 1, h, w)
        Predicted, at a quarter of the resolution.
    truth : (N, 4h, 4w) bool
    idle_share
        For so many of the objects the click tells nothing new: inside what is found already, or beside the object.
    """
    predicted = F.interpolate(logits.detach().float(), scale_factor=4.0, mode="bilinear")[:, 0] > 0
    error = predicted ^ truth
    region = torch.where(_any(error), error, torch.where(_any(truth), truth, ~truth))
    if idle_share:
        idle = _known(predicted, truth, rng)
        is_idle = torch.rand(len(truth), 1, 1, generator=rng, device=truth.device) < idle_share
        region = torch.where(is_idle & _any(idle), idle, region)
    click = inside_click(region, rng)
    x, y = click.long().unbind(1)
    right = truth[torch.arange(len(truth), device=truth.device), y, x]
    labels = torch.where(right, POSITIVE, NEGATIVE)[:, None]
    if before is None:
        return PointTokens(click[:, None], labels)
    return PointTokens(torch.cat([before.xy, click[:, None]], 1), torch.cat([before.labels, labels], 1))


def _known(predicted: Tensor, truth: Tensor, rng: Generator) -> Tensor:
    """By the toss of a coin, what is found already of an object, or what lies beside it and is known not to be it."""
    near = F.max_pool2d(truth[:, None].float(), 2 * BESIDE + 1, 1, BESIDE)[:, 0] > 0
    coin = torch.rand(len(truth), 1, 1, generator=rng, device=truth.device) < 0.5
    return torch.where(coin, predicted & truth, near & ~truth & ~predicted)


def _any(masks: Tensor) -> Tensor:
    return masks.flatten(1).any(1)[:, None, None]
