"""What is done for speed gives the same numbers, and bfloat16 nearly the same masks."""

import pytest
import torch

from napari_sam2.evaluation.overlap import true_clicks
from napari_sam2.models import load_model
from napari_sam2.synthetic import MovieSpec, render_movie
from napari_sam2.video import Video
from parity.networks import REDUCED, filled
from sam2_torch import attention
from sam2_torch.attention import RotaryAttention, attend
from sam2_torch.memory_bank import FORWARD, MemoryBank, MemoryRules, stack_selections
from sam2_torch.outputs import PointTokens
from sam2_torch.positions import rotary_table, rotate
from sam2_torch.video_predictor import condition_on_memory, encode_frame, memorize, segment, track


@pytest.mark.parametrize("shape", [(1, 700, 2100), (3, 40, 1500), (2, 5, 7)])
@torch.inference_mode()
def test_attention_in_parts_is_attention(shape):
    batch, queries, keys = shape
    torch.manual_seed(0)
    q, k, v = (4 * torch.randn(batch, n, c) for n, c in ((queries, 64), (keys, 64), (keys, 16)))
    expected = (q @ k.transpose(1, 2) / 8).softmax(-1) @ v
    assert torch.allclose(attend(q, k, v), expected, atol=1e-4)
    rounded = attend(*(x.bfloat16() for x in (q, k, v)))
    assert rounded.dtype == torch.bfloat16
    exact = attend(*(x.bfloat16().float() for x in (q, k, v)))
    assert (rounded.float() - exact).norm() / exact.norm() < 0.03


def test_attention_in_parts_is_left_to_torch_where_gradients_are_wanted(monkeypatch):
    monkeypatch.setattr(attention, "_attend_in_parts", None)
    q = torch.randn(1, 4, 8, requires_grad=True)
    attend(q, torch.randn(1, 6, 8), torch.randn(1, 6, 4)).sum().backward()
    assert q.grad.abs().sum() > 0


def test_values_mixed_before_they_are_projected_are_the_same():
    torch.manual_seed(0)
    layer = RotaryAttention(32, key_dim=8)
    table = rotary_table((4, 4), (4, 4), 32)
    q, memory = torch.randn(1, 16, 32), torch.randn(3, 36, 8)
    with_gradient = layer(q, memory, memory, tables=(table, table), num_unrotated=4)
    with torch.inference_mode():
        without = layer(q, memory, memory, tables=(table, table), num_unrotated=4)
    assert with_gradient.shape == (3, 16, 32)
    assert torch.allclose(with_gradient, without, atol=1e-5)


def test_turning_on_the_cpu_is_turning_elsewhere():
    table, tokens = rotary_table((4, 4), (4, 4), 32), torch.randn(2, 48, 32)
    with torch.device("meta"):
        assert rotate(tokens.to("meta"), table.to("meta")).shape == tokens.shape
    even, odd = tokens.unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = table.repeat(1, 3, 1)
    expected = torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)
    assert torch.allclose(rotate(tokens, table), expected, atol=1e-6)


def test_tables_are_made_once_and_serve_training_too():
    with torch.inference_mode():
        table = rotary_table((5, 5), (5, 5), 32)
    assert rotary_table((5, 5), (5, 5), 32) is table
    assert not table.is_inference()


@torch.inference_mode()
def test_what_objects_share_is_computed_once_and_is_what_each_would_get():
    model = filled(REDUCED)
    features = encode_frame(model, torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0)))
    banks = []
    for x in (30.0, 60.0, 90.0):
        prediction = segment(model, features, PointTokens(torch.tensor([[[x, 64.0]]]), torch.ones(1, 1, dtype=int)))
        bank = MemoryBank(MemoryRules.of(REDUCED))
        bank.add(0, memorize(model, features, prediction, prompted=True), prompted=True)
        banks.append(bank)
    selections = [bank.select(1, FORWARD) for bank in banks]
    together = condition_on_memory(model, features, stack_selections(selections))
    for i, selection in enumerate(selections):
        assert torch.allclose(together[i], condition_on_memory(model, features, selection)[0], atol=1e-4)


@pytest.mark.slow
def test_masks_in_bfloat16_are_those_in_float32():
    """The bundled model on frames it has not seen: each click, and each step from the same memories."""
    movie = render_movie(MovieSpec(seed=7, num_frames=2, shape_yx=(256, 256), diameter=36.0))
    frames = torch.from_numpy(Video(movie.frames).frame(0))[None], torch.from_numpy(Video(movie.frames).frame(1))[None]
    clicks = true_clicks(movie.labels[0], max_objects=8)
    xy = torch.tensor([[[c.x, c.y]] for c in clicks], dtype=torch.float32)
    tokens = PointTokens(xy, torch.ones(len(clicks), 1, dtype=int))
    exact, fast = load_model("cell", device="cpu"), load_model("cell", device="cpu")
    fast.use_bfloat16()
    assert fast.image_encoder.neck.convs[0].conv.weight.dtype == torch.bfloat16
    ious = []
    with torch.inference_mode():
        features = {m: [encode_frame(m, f.permute(0, 3, 1, 2)) for f in frames] for m in (exact, fast)}
        clicked = {m: segment(m, features[m][0], tokens) for m in (exact, fast)}
        bank = MemoryBank(MemoryRules.of(exact.config))
        bank.add(0, memorize(exact, features[exact][0], clicked[exact], prompted=True), prompted=True)
        tracked = {m: track(m, features[m][1], bank.select(1, FORWARD)) for m in (exact, fast)}
    for found in (clicked, tracked):
        assert found[fast].logits.dtype == torch.float32
        a, b = found[exact].logits > 0, found[fast].logits > 0
        assert a.flatten(1).any(1).sum() >= 6
        ious += [float((x & y).sum() / (x | y).sum()) if (x | y).any() else 1.0 for x, y in zip(a, b, strict=True)]
    assert sum(ious) / len(ious) >= 0.99
