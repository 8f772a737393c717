"""A few steps of training: it runs, resumes exactly, and writes weights that load."""

import csv
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from napari_sam2.errors import TrainingError
from napari_sam2.training.clips import draw_batch
from napari_sam2.training.dense import DenseHeads
from napari_sam2.training.loop import WARM_AGAIN, train
from napari_sam2.training.optimizer import depth_factors, learning_rate, optimizer_of
from napari_sam2.training.settings import TrainSettings
from napari_sam2.training.state import SHARD_BYTES, Storage, export
from napari_sam2.training.step import batch_loss, positive_weight, prepare_memory
from napari_sam2.training.validation import Validation
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

    real, done = loop.batch_loss, []

    def stops_after_two(*args):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return real(*args)

    monkeypatch.setattr(loop, "batch_loss", stops_after_two)
    with pytest.raises(KeyboardInterrupt):
        list(train(SETTINGS, tmp_path / "parts"))
    monkeypatch.setattr(loop, "batch_loss", real)
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
        groups = optimizer_of(model, head, settings, stage).param_groups
        factors = {id(p): group["factor"] for group in groups for p in group["params"]}
        assert len(factors) == len([*model.parameters(), *head.parameters()])
        by_name = {name: factors[id(p)] for name, p in model.named_parameters()}
        assert by_name["image_encoder.trunk.stages.0.0.gamma"] == stage.encoder
        assert by_name["sam_mask_decoder.iou_token.weight"] == stage.heads
        assert by_name["memory_encoder.out_proj.weight"] == stage.memory
        assert by_name["maskmem_tpos_enc"] == stage.memory


@pytest.mark.slow
def test_heads_learn_alone(tmp_path):
    settings = replace(SETTINGS, dense_steps=0, image_steps=1, clip_steps=2, learns="heads", corrections=3)
    torch.manual_seed(0)
    export(SAM2(CELL).state_dict(), tmp_path / "start.safetensors")
    list(train(settings, tmp_path / "run", start=tmp_path / "start.safetensors"))
    before, after = load(tmp_path / "start.safetensors"), load(tmp_path / "run" / "weights.safetensors")
    after_weights = after.state_dict()
    changed = {k.split(".")[0] for k, v in before.state_dict().items() if not torch.equal(v, after_weights[k])}
    assert changed
    assert changed <= {"sam_prompt_encoder", "sam_mask_decoder", "mask_downsample", "no_mem_embed", "no_mem_pos_enc"}


def test_the_trunk_learns_the_slower_the_deeper():
    model, head = SAM2(CELL), DenseHeads(CELL)
    factors = depth_factors((name for name, _ in model.named_parameters()), 0.5)
    trunk = [factors[f"image_encoder.trunk.stages.{i}.{j}.gamma"] for i, n in enumerate((2, 2, 4, 2)) for j in range(n)]
    assert trunk == [0.5**k for k in range(9, -1, -1)]
    assert factors["image_encoder.trunk.downsample.0.0.weight"] == trunk[0]
    assert factors["image_encoder.neck.convs.0.conv.weight"] == factors["no_mem_embed"] == 1
    settings = TrainSettings(layer_decay=0.5)
    stage = settings.stages[2]
    groups = optimizer_of(model, head, settings, stage).param_groups
    by_name = {id(p): group["factor"] for group in groups for p in group["params"]}
    assert by_name[id(model.image_encoder.trunk.stages[0][0].gamma)] == stage.encoder * 0.5**9
    assert by_name[id(model.maskmem_tpos_enc)] == stage.memory


@pytest.mark.parametrize("changes", [{"surroundings": -32}, {"surroundings": 8}, {"layer_decay": 0.0}])
def test_settings_that_cannot_be(changes):
    with pytest.raises(TrainingError, match="expected"):
        TrainSettings(**changes)


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 2])
def test_steps_on_windows_of_larger_frames_have_finite_losses_and_gradients(step):
    torch.manual_seed(0)
    model, head = SAM2(CELL), DenseHeads(CELL)
    settings = replace(SETTINGS, surroundings=96, window=128)
    clips = draw_batch(settings, step)
    assert clips.frames.shape[-2:] == (320, 320)
    loss, figures = batch_loss(model, head, clips, settings, step)
    loss.backward()
    assert loss.isfinite()
    assert figures.isfinite().all()
    gradients = [p.grad for p in model.image_encoder.parameters() if p.grad is not None]
    assert len(gradients) > 50
    assert all(g.isfinite().all() for g in gradients)
    assert max(g.abs().max() for g in gradients) > 0


@pytest.mark.slow
@pytest.mark.parametrize("optimizer_state", ["float32", "bfloat16"])
def test_a_run_in_shards_goes_on_exactly(tmp_path, monkeypatch, optimizer_state):
    import napari_sam2.training.loop as loop

    settings = replace(SETTINGS, dense_steps=0, image_steps=0, clip_steps=3, surroundings=64, window=128)
    kept = {"shards": True, "optimizer_state": optimizer_state}
    list(train(settings, tmp_path / "whole", **kept))
    real, done = loop.batch_loss, []

    def stops_after_two(*args):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return real(*args)

    monkeypatch.setattr(loop, "batch_loss", stops_after_two)
    with pytest.raises(KeyboardInterrupt):
        list(train(settings, tmp_path / "parts", **kept))
    monkeypatch.setattr(loop, "batch_loss", real)
    shards = sorted(path.name for path in (tmp_path / "parts").glob("state-*"))
    assert len(shards) > 1
    assert all(name.startswith("state-0000002.") for name in shards), "the state before is gone"
    assert max(path.stat().st_size for path in (tmp_path / "parts").glob("state-*")) <= SHARD_BYTES
    list(train(settings, tmp_path / "parts", **kept))
    whole, parts = (Storage(tmp_path / name).load(torch.device("cpu")) for name in ("whole", "parts"))
    for part in ("model", "average", "head"):
        assert all(torch.equal(whole[part][k], parts[part][k]) for k in whole[part]), part
    moments = [s["optimizer"]["state"] for s in (whole, parts)]
    assert all(torch.equal(moments[0][k][m], moments[1][k][m]) for k in moments[0] for m in ("exp_avg", "exp_avg_sq"))


@pytest.mark.slow
def test_a_run_goes_on_without_the_optimizers_numbers_at_a_rising_rate(tmp_path):
    settings = replace(SETTINGS, dense_steps=0, image_steps=3, clip_steps=0)
    first = list(train(settings, tmp_path, shards=True, optimizer_state="none", minutes=0))
    assert first[-1].step == 1
    assert "optimizer" not in Storage(tmp_path).load(torch.device("cpu"))
    second = list(train(settings, tmp_path, shards=True, optimizer_state="none", minutes=0))
    assert second[-1].step == 2
    assert second[-1].rate == pytest.approx(learning_rate(settings, 1) / WARM_AGAIN)


@pytest.mark.slow
def test_the_best_weights_of_all_validations_are_kept(tmp_path, monkeypatch):
    import napari_sam2.training.loop as loop

    scores = iter([0.4, 0.6, 0.5])
    monkeypatch.setattr(loop, "validate", lambda *args, **options: next(scores))
    settings = replace(SETTINGS, dense_steps=0, image_steps=3, clip_steps=0, validate_every=1)
    saved = []
    real = loop.export

    def noted(weights, path):
        saved.append(path.name)
        real(weights, path)

    monkeypatch.setattr(loop, "export", noted)
    list(train(settings, tmp_path, minutes=0, validation=Validation(synthetic=1, max_frames=2)))
    list(train(settings, tmp_path, validation=Validation(synthetic=1, max_frames=2)))
    assert [name for name in saved if name == "best.safetensors"] == ["best.safetensors"] * 2
    assert Storage(tmp_path).load(torch.device("cpu"))["best"] == 0.6
    assert load(tmp_path / "best.safetensors").config == CELL
    assert (tmp_path / "curve.png").exists()
