"""Training clips and the prompts simulated on them."""

import numpy as np
import pytest
import torch

from napari_sam2.training.clicks import BOX, CLICK, corrective_clicks, first_prompts, inside_click
from napari_sam2.training.clips import MIN_AREA, batches, dense_targets, draw_batch, draw_clip
from napari_sam2.training.settings import TrainSettings

SMALL = TrainSettings(
    dense_steps=1, image_steps=2, clip_steps=2, images=2, objects=2, window=96, frames_per_step=8, workers=2
)


@pytest.mark.parametrize("seed", range(8))
def test_objects_are_there_on_the_first_frame(seed):
    clip = draw_clip(np.random.default_rng(seed), num_frames=3, num_objects=3, size=128)
    assert clip.frames.shape == (1, 3, 128, 128)
    assert clip.masks.shape == (1, 3, 3, 128, 128)
    assert clip.frames.min() >= 0
    assert clip.frames.max() <= 1
    assert (clip.masks[0, :, 0].sum((1, 2)) >= MIN_AREA).all()


def test_a_batch_depends_on_seed_and_step_alone():
    a, b, c = draw_batch(SMALL, 0), draw_batch(SMALL, 0), draw_batch(SMALL, 1)
    assert np.array_equal(a.frames, b.frames)
    assert np.array_equal(a.masks, b.masks)
    assert not np.array_equal(a.frames, c.frames)
    assert a.frames.shape[:2] == (2, 1)
    assert draw_batch(SMALL, 3).frames.shape[1] > 1


def test_workers_deliver_the_batches_in_order():
    for step, clips in enumerate(batches(SMALL, 0)):
        assert np.array_equal(clips.frames, draw_batch(SMALL, step).frames)


def test_a_click_lies_inside_and_often_deep():
    mask = np.zeros((60, 60), bool)
    mask[10:50, 20:40] = True
    rng = np.random.default_rng(0)
    clicks = [inside_click(mask, rng) for _ in range(200)]
    assert all(mask[int(y), int(x)] for x, y in clicks)
    deep = sum(15 <= y <= 45 and 25 <= x <= 35 for x, y in clicks)
    assert deep > 100


def test_first_prompts():
    mask = np.zeros((1, 60, 60), bool)
    mask[0, 10:50, 20:40] = True
    rng = np.random.default_rng(0)
    click, box = first_prompts(mask, CLICK, rng), first_prompts(mask, BOX, rng)
    assert click.labels.tolist() == [[1]]
    assert box.labels.tolist() == [[2, 3]]
    assert torch.allclose(box.xy[0], torch.tensor([[20.0, 10.0], [39.0, 49.0]]), atol=20)


def test_corrections_are_positive_where_something_is_missing_and_negative_where_there_is_too_much():
    truth = np.zeros((2, 40, 40), bool)
    truth[:, 10:30, 10:30] = True
    predicted = truth.copy()
    predicted[0, 10:30, 10:20] = False
    predicted[1, 30:38, 10:30] = True
    tokens = corrective_clicks(predicted, truth, np.random.default_rng(0), None)
    assert tokens.labels.tolist() == [[1], [0]]
    assert tokens.xy[0, 0, 0] < 20
    assert tokens.xy[1, 0, 1] >= 30
    more = corrective_clicks(predicted, truth, np.random.default_rng(1), tokens)
    assert more.labels.tolist() == [[1, 1], [0, 0]]


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
