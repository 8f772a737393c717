"""SAM 2 in the transformers library on the same weights, at small sizes; for full size see against_transformers."""

import pytest
import torch

pytest.importorskip("transformers", minversion="5.17")

from transformers import Sam2VideoModel

from parity.comparison import click_forward, compare, image_encoder, image_prompts, mask_prompt
from parity.networks import REDUCED, filled, filled_and_present
from parity.twin import FOURIER, FOURIER_COPIES, POINT_TABLE, twin_config, twin_key, twin_weights, video_twin
from sam2_torch.build import build
from sam2_torch.config import CELL, OFFICIAL, TINY, version_2_0

RELATIVE, MEMORY_STEPS = 1e-4, 1.0


@pytest.mark.parametrize("name", sorted(OFFICIAL))
def test_every_tensor_has_one_place_in_the_twin(name):
    with torch.device("meta"):
        weights = build(OFFICIAL[name]).state_dict()
        expected = Sam2VideoModel(twin_config(OFFICIAL[name], 1024)).state_dict()
    alone = [k for k in weights if k != FOURIER and ".point_embeddings." not in k]
    places = [twin_key(k, weights) for k in alone]
    assert len(set(places)) == len(alone) == len(weights) - 5
    assert {*places, *FOURIER_COPIES, POINT_TABLE} == set(expected)
    assert {k: v.shape for k, v in twin_weights(weights).items()} == {k: v.shape for k, v in expected.items()}


def test_only_a_hiera_has_a_twin():
    with pytest.raises(ValueError, match="cell has no Hiera trunk"):
        twin_config(CELL, 256)


def agree(differences):
    found = list(differences)
    assert found
    for d in found:
        assert d.largest <= (MEMORY_STEPS if d.part.startswith("memory") else RELATIVE * max(1.0, d.scale)), d
        assert d.iou is None or d.iou >= 0.999, d


@pytest.mark.parametrize(
    ("make", "config", "size"),
    [
        (filled, REDUCED, 128),  # with objects that are absent
        (filled_and_present, REDUCED, 256),
        (filled_and_present, version_2_0(REDUCED), 128),
    ],
)
def test_everything_agrees_on_a_reduced_model(make, config, size):
    model = make(config)
    agree(compare(model, video_twin(model, size), size))


@pytest.mark.slow
def test_tiny_agrees():
    model = filled(TINY)
    agree(compare(model, video_twin(model, 128), 128, [image_encoder, image_prompts, click_forward, mask_prompt]))


@pytest.mark.parametrize(
    ("key", "case"),
    [
        ("image_encoder.trunk.blocks.4.attn.qkv.weight", image_prompts),
        ("sam_prompt_encoder.mask_downscaling.3.weight", image_prompts),
        ("sam_mask_decoder.iou_prediction_head.layers.1.weight", image_prompts),
        ("memory_attention.layers.1.cross_attn_image.k_proj.weight", click_forward),
        ("memory_encoder.fuser.layers.1.pwconv2.weight", click_forward),
        ("maskmem_tpos_enc", click_forward),
        ("obj_ptr_tpos_proj.weight", click_forward),
        ("no_mem_embed", click_forward),
        ("sam_mask_decoder.mask_tokens.weight", mask_prompt),
    ],
)
def test_a_tensor_that_is_a_little_off_is_noticed(key, case):
    model = filled(REDUCED)
    twin = video_twin(filled(REDUCED), 128)
    tensor = model.state_dict()[key]
    tensor.add_(0.1 * tensor.flatten().roll(1).view_as(tensor))
    with pytest.raises(AssertionError):
        agree(compare(model, twin, 128, [case]))
