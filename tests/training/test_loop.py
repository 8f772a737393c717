"""A few steps of training: it runs, resumes exactly, and writes weights that load."""

import csv
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from napari_sam2.training.clips import draw_batch
from napari_sam2.training.dense import DenseHeads
from napari_sam2.training.loop import _optimizer, export, learning_rate, positive_weight, prepare_memory, train
from napari_sam2.training.settings import TrainSettings
from sam2_torch.build import load
from sam2_torch.config import CELL
from sam2_torch.network import SAM2
from sam2_torch.positions import rotary_table, rotate

SETTINGS = TrainSettings(
    dense_steps=1, image_steps=1, clip_steps=2, images=1, objects=2, frames_per_step=3, window=96, save_every=1
)


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_as_one_that_was_not(tmp_path, monkeypatch):
    reports = list(train(SETTINGS, tmp_path / "whole"))
    assert reports[-1].step == 4
    assert reports[-1].stage == "clips"
    rows = list(csv.DictReader((tmp_path / "whole" / "log.csv").read_text().splitlines()))
    assert [int(r["step"]) for r in rows] == [4]

    import napari_sam2.training.loop as loop

    real, done = loop._step, []

    def stops_after_two(*args):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return real(*args)

    monkeypatch.setattr(loop, "_step", stops_after_two)
    with pytest.raises(KeyboardInterrupt):
        list(train(SETTINGS, tmp_path / "parts"))
    monkeypatch.setattr(loop, "_step", real)
    list(train(SETTINGS, tmp_path / "parts"))
    whole, parts = (load(tmp_path / name / "weights.safetensors") for name in ("whole", "parts"))
    assert whole.config == CELL
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), parts.state_dict().values(), strict=True))


@pytest.mark.slow
def test_a_leg_stops_in_time_and_a_new_run_starts_from_its_weights(tmp_path):
    settings = replace(SETTINGS, dense_steps=0, image_steps=0, clip_steps=3)
    legs = 0
    while not (reports := list(train(settings, tmp_path / "legs", minutes=0))) or reports[-1].step < 3:
        legs += 1
        assert legs < 3
    assert legs == 2, "a leg without time makes one step"
    start = tmp_path / "legs" / "weights.safetensors"
    list(train(replace(settings, clip_rate=1e-9, ema=0.0), tmp_path / "new", start=start))
    old, new = (load(tmp_path / name / "weights.safetensors").state_dict() for name in ("legs", "new"))
    assert all(torch.allclose(old[k], new[k], atol=1e-3) for k in old)


def test_the_rate_warms_up_and_falls_in_every_stage():
    settings = TrainSettings()
    rates = [learning_rate(settings, step) for step in range(settings.steps)]
    for stage, peak in zip(
        settings.stages, (settings.dense_rate, settings.image_rate, settings.clip_rate), strict=True
    ):
        of_stage = rates[stage.first : stage.first + stage.steps]
        assert max(of_stage) == pytest.approx(peak)
        assert of_stage[0] <= 0.02 * peak
        assert of_stage[-1] < 0.03 * peak
    assert min(rates) > 0


def test_positive_pixels_weigh_less_and_less():
    settings = TrainSettings()
    weights = [positive_weight(settings, step) for step in range(settings.steps)]
    assert weights[0] == 30
    assert weights[-1] == pytest.approx(2)
    assert all(a >= b for a, b in pairwise(weights))


def test_memory_attention_begins_by_looking_at_the_same_place():
    model, settings = SAM2(CELL), TrainSettings(dense_steps=0, image_steps=1, images=1, objects=1, window=96)
    prepare_memory(model, draw_batch(settings, 0))
    attention = model.memory_attention.layers[0].cross_attn_image
    tokens = torch.zeros(1, 16 * 16, CELL.width)
    table = rotary_table((16, 16), (16, 16), CELL.width)
    q = rotate(attention.q_proj(tokens)[:, None], table)
    k = rotate(attention.k_proj(tokens[..., : CELL.memory_width])[:, None], table)
    weights = (q @ k.transpose(-1, -2) / CELL.width**0.5).softmax(-1)[0, 0]
    assert torch.equal(weights.argmax(-1), torch.arange(256))
    place = torch.arange(256)
    distance = torch.hypot(*((place[:, None] // n % 16 - place // n % 16).float() for n in (1, 16)))
    assert (weights * (distance <= 2)).sum(-1).min() > 0.9


def test_each_stage_trains_its_parts():
    model, head = SAM2(CELL), DenseHeads(CELL)
    settings = TrainSettings()
    for stage in settings.stages:
        groups = _optimizer(model, head, settings, stage).param_groups
        factors = {id(p): group["factor"] for group in groups for p in group["params"]}
        assert len(factors) == len([*model.parameters(), *head.parameters()])
        by_name = {name: factors[id(p)] for name, p in model.named_parameters()}
        assert by_name["image_encoder.trunk.stages.0.0.gamma"] == stage.encoder
        assert by_name["sam_mask_decoder.iou_token.weight"] == stage.heads
        assert by_name["memory_encoder.out_proj.weight"] == stage.memory
        assert by_name["maskmem_tpos_enc"] == stage.memory


@pytest.mark.slow
def test_heads_learn_alone(tmp_path):
    settings = replace(SETTINGS, dense_steps=0, image_steps=0, clip_steps=2, learns="heads", corrections=3)
    torch.manual_seed(0)
    export(SAM2(CELL).state_dict(), tmp_path / "start.safetensors")
    list(train(settings, tmp_path / "run", start=tmp_path / "start.safetensors"))
    before, after = load(tmp_path / "start.safetensors"), load(tmp_path / "run" / "weights.safetensors")
    after_weights = after.state_dict()
    changed = {k.split(".")[0] for k, v in before.state_dict().items() if not torch.equal(v, after_weights[k])}
    assert changed
    assert changed <= {"sam_prompt_encoder", "sam_mask_decoder", "mask_downsample", "no_mem_embed", "no_mem_pos_enc"}
