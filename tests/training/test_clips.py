"""Training clips and the prompts simulated on them."""

import numpy as np
import pytest
import torch

from napari_sam2.training.clicks import BOX, CLICK, corrective_clicks, first_prompts, inside_click, painted
from napari_sam2.training.clips import GRACE, MIN_AREA, batches, dense_targets, draw_batch, draw_clip, follow
from napari_sam2.training.settings import TrainSettings

SMALL = TrainSettings(
    dense_steps=1,
    image_steps=2,
    clip_steps=2,
    image_every=2,
    images=2,
    objects=2,
    window=96,
    frames_per_step=8,
    workers=2,
)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", range(8))
def test_objects_are_there_on_the_first_frame_or_never(seed):
    clip = draw_clip(np.random.default_rng(seed), num_frames=3, num_objects=3, size=128)
    assert clip.frames.shape == (1, 3, 128, 128)
    assert clip.masks.shape == (1, 3, 3, 128, 128)
    assert clip.frames.min() >= 0
    assert clip.frames.max() <= 1
    first, ever = clip.masks[0, :, 0].sum((1, 2)), clip.masks[0].sum((1, 2, 3))
    assert ((first >= MIN_AREA) | (ever == 0)).all()
    assert (first >= MIN_AREA).any()
    inside = clip.masks[0, :, 0].any(0)
    assert (clip.background[0] & inside).float().sum() < 0.2 * inside.float().sum()


def test_a_batch_depends_on_seed_and_step_alone():
    a, b, c = draw_batch(SMALL, 0), draw_batch(SMALL, 0), draw_batch(SMALL, 1)
    assert torch.equal(a.frames, b.frames)
    assert torch.equal(a.packed, b.packed)
    assert not torch.equal(a.frames, c.frames)
    assert a.frames.shape[:2] == (2, 1)
    assert draw_batch(SMALL, 3).frames.shape[1] > 1


def test_between_clips_come_images():
    assert [SMALL.shows(step) for step in range(SMALL.steps)] == ["dense", "images", "images", "clips", "images"]
    assert [draw_batch(SMALL, step).frames.shape[1] > 1 for step in (3, 4)] == [True, False]


def test_workers_deliver_the_batches_in_order():
    steps = 0
    for step, clips in enumerate(batches(SMALL, 0)):
        assert torch.equal(clips.frames, draw_batch(SMALL, step).frames)
        steps += 1
    assert steps == SMALL.steps


def test_clicks_lie_inside_and_rather_in_the_middle():
    mask = torch.zeros(400, 60, 60, dtype=torch.bool)
    mask[:, 10:50, 20:40] = True
    x, y = inside_click(mask, rng()).long().unbind(1)
    assert mask[torch.arange(400), y, x].all()
    middle = (15 <= y) & (y <= 45) & (25 <= x) & (x <= 35)
    assert middle.float().mean() > 0.5
    assert (~middle).any()


def test_the_only_pixel_of_a_region_is_clicked():
    mask = torch.zeros(1, 60, 60, dtype=torch.bool)
    mask[0, 7, 51] = True
    assert inside_click(mask, rng()).tolist() == [[51, 7]]


def test_first_prompts():
    masks = torch.zeros(2, 64, 64, dtype=torch.bool)
    masks[0, 10:50, 20:40] = True
    background = torch.zeros_like(masks)
    background[:, 60:, :] = True
    click, box = (first_prompts(masks, background, kind, rng()) for kind in (CLICK, BOX))
    assert click.labels.tolist() == [[1], [1]]
    assert masks[0, int(click.xy[0, 0, 1]), int(click.xy[0, 0, 0])]
    assert click.xy[1, 0, 1] >= 60, "an object that is not there is clicked where no cell is"
    assert box.labels.tolist() == [[2, 3], [2, 3]]
    assert torch.allclose(box.xy[0], torch.tensor([[20.0, 10.0], [39.0, 49.0]]), atol=20)


def test_painted_masks_are_roughly_the_masks():
    masks = torch.zeros(3, 64, 64, dtype=torch.bool)
    masks[0, 10:50, 20:40] = True
    masks[1, 5, 5] = True
    for seed in range(10):
        rough = painted(masks, rng(seed))
        assert (rough[0] & masks[0]).sum() / (rough[0] | masks[0]).sum() > 0.6
        assert rough[1].any()
        assert not rough[2].any()
    assert any(not torch.equal(painted(masks, rng(seed)), masks) for seed in range(10))


def test_corrections_are_positive_where_something_is_missing_and_negative_where_there_is_too_much():
    truth = torch.zeros(2, 64, 64, dtype=torch.bool)
    truth[:, 16:48, 16:48] = True
    predicted = truth.clone()
    predicted[0, 16:48, 16:32] = False
    predicted[1, 48:60, 16:48] = True
    logits = torch.nn.functional.avg_pool2d(predicted[:, None].float(), 4) * 20 - 10
    tokens = corrective_clicks(logits, truth, rng(), None)
    assert tokens.labels.tolist() == [[1], [0]]
    assert tokens.xy[0, 0, 0] < 33
    assert tokens.xy[1, 0, 1] >= 47
    more = corrective_clicks(logits, truth, rng(1), tokens)
    assert more.labels.tolist() == [[1, 1], [0, 0]]


def test_idle_corrections_tell_nothing_new():
    truth = torch.zeros(40, 64, 64, dtype=torch.bool)
    truth[:, 16:48, 16:48] = True
    predicted = truth.clone()
    predicted[:, 16:48, 16:32] = False
    logits = torch.nn.functional.avg_pool2d(predicted[:, None].float(), 4) * 20 - 10
    tokens = corrective_clicks(logits, truth, rng(), None, idle_share=1.0)
    x, y = tokens.xy[:, 0].long().unbind(1)
    inside = truth[0, y, x]
    assert torch.equal(tokens.labels[:, 0] == 1, inside), "an idle click tells the truth"
    assert (x[inside] >= 31).all(), "positive ones lie where the object is found already"
    assert max((x - 31.5).abs().max(), (y - 31.5).abs().max()) <= 28, "negative ones lie beside the object"
    assert 10 < inside.sum() < 30
    assert torch.equal(corrective_clicks(logits, truth, rng(), None).labels, torch.ones(40, 1))


def test_dense_targets_of_two_touching_cells():
    labels = np.zeros((64, 64), np.uint16)
    labels[16:32, 8:24] = 5
    labels[16:32, 24:40] = 9
    cell, outline, dy, dx = dense_targets(labels).astype(float)
    assert cell.sum() == 4 * 8
    assert outline[4:8, 6].all(), "touching cells have an outline between them"
    assert not outline[5:7, 3:5].any()
    diameter = 2 * np.sqrt(256 / np.pi)
    y, x = np.mgrid[2:64:4, 2:64:4]
    for columns, center in ((slice(2, 6), 15.5), (slice(6, 10), 31.5)):
        part = (slice(4, 8), columns)
        assert np.allclose(y[part] + dy[part] * diameter, 23.5, atol=0.05)
        assert np.allclose(x[part] + dx[part] * diameter, center, atol=0.05)
    assert not dy[0].any()


def test_a_mother_is_both_daughters_while_they_touch_and_a_little_longer():
    labels = np.zeros((8, 40, 80), np.uint16)
    labels[:2, 10:30, 20:60] = 3
    for t, gap in enumerate((0, 1, 8, 12, 16, 20), start=2):
        labels[t, 10:30, 20 : 40 - gap // 2] = 4
        labels[t, 10:30, 40 + gap - gap // 2 : 60] = 5
    labels[:, 35:, :5] = 9
    masks, judged = follow(labels, {3: [4, 5]}, 3)
    assert np.array_equal(masks, np.isin(labels, (3, 4, 5)))
    apart_from = 4
    assert judged.tolist() == [t < apart_from + GRACE for t in range(8)]
    alone, always = follow(labels, {3: [4, 5]}, 9)
    assert np.array_equal(alone, labels == 9)
    assert always.all()


def test_granddaughters_belong_to_the_family():
    labels = np.array([[[1, 1]], [[2, 3]], [[2, 4]]], np.uint16).repeat(12, 1)
    masks, _ = follow(labels, {1: [2, 3], 3: [4]}, 1)
    assert masks.all()
