"""The four functions: shapes for every architecture, gradients through memory, prompts of every kind."""

import pytest
import torch

from sam2_torch.build import build
from sam2_torch.config import CELL, OFFICIAL
from sam2_torch.memory_bank import FORWARD, MemoryBank, MemoryRules
from sam2_torch.network import SAM2
from sam2_torch.outputs import MaskInput, PointTokens
from sam2_torch.video_predictor import encode_frame, memorize, segment, track


def click(count=1, device=None):
    return PointTokens(torch.full((count, 1, 2), 100.0, device=device), torch.ones(count, 1, dtype=int, device=device))


@pytest.fixture(scope="module")
def cell():
    torch.manual_seed(0)
    return build(CELL)


@pytest.mark.parametrize("config", [CELL, *OFFICIAL.values()], ids=lambda c: c.name)
def test_shapes_of_every_architecture(config):
    with torch.device("meta"):
        model = SAM2(config).train()
        size = config.image_size
        features = encode_frame(model, torch.zeros(1, 3, size, size))
    tokens = size // 16
    assert features.stride16.shape == (1, config.width, tokens, tokens)
    assert features.stride8.shape == (1, config.width // 4, 2 * tokens, 2 * tokens)
    assert features.stride4.shape == (1, config.width // 8, 4 * tokens, 4 * tokens)
    assert features.image_size == (size, size)


def test_a_frame_of_any_size_is_encoded_in_one_pass(cell):
    features = encode_frame(cell, torch.rand(1, 3, 96, 160))
    assert features.grid == (6, 10)
    prediction = segment(cell, features, click())
    assert prediction.logits.shape == (1, 1, 24, 40)


def test_the_convolutional_trunk_has_no_seams(cell):
    """Inside the halo, features of a part of a frame are those of the whole."""
    torch.manual_seed(1)
    frame = torch.rand(1, 3, 256, 1280)
    with torch.inference_mode():
        whole, part = encode_frame(cell, frame).stride16, encode_frame(cell, frame[..., :640]).stride16
    assert torch.allclose(whole[..., :8], part[..., :8], atol=1e-4)


def test_gradients_flow_from_a_later_frame_through_memory_to_the_first(cell):
    cell.train()
    try:
        frames = torch.rand(2, 1, 3, 64, 64).requires_grad_()
        features = encode_frame(cell, frames[0])
        prediction = segment(cell, features, click(2))
        bank = MemoryBank(MemoryRules.of(CELL))
        bank.add(0, memorize(cell, features, prediction, prompted=True), prompted=True)
        tracked = track(cell, encode_frame(cell, frames[1]), bank.select(1, FORWARD))
        tracked.candidates.sum().backward()
        assert frames.grad[0].abs().sum() > 0, "through the memory"
        assert frames.grad[1].abs().sum() > 0
        assert cell.memory_encoder.out_proj.weight.grad.abs().sum() > 0
    finally:
        cell.eval().zero_grad()


def test_an_object_with_a_low_score_is_absent(cell):
    features = encode_frame(cell, torch.rand(1, 3, 64, 64))
    head = cell.sam_mask_decoder.pred_obj_score_head.layers[-1]
    before = head.bias.data.clone()
    try:
        head.bias.data.fill_(-100)
        prediction = segment(cell, features, click())
    finally:
        head.bias.data = before
    assert (prediction.logits == -1024).all()
    assert torch.equal(prediction.pointer, cell.no_obj_ptr)
    assert (prediction.candidates > -1024).all()


def test_a_mask_prompt_is_the_answer(cell):
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 16:48, 16:40] = 1
    prediction = segment(cell, encode_frame(cell, torch.rand(1, 3, 64, 64)), MaskInput(mask))
    shown = torch.nn.functional.interpolate(prediction.logits, scale_factor=4.0, mode="bilinear") > 0
    assert (shown.float() != mask).sum() <= 12, "but for the corners, which get rounded"
    assert prediction.object_score == 10
    assert prediction.predicted_iou == 1
    nothing = segment(cell, encode_frame(cell, torch.rand(1, 3, 64, 64)), MaskInput(torch.zeros_like(mask)))
    assert nothing.object_score == -10
    assert torch.equal(nothing.pointer, cell.no_obj_ptr)


def test_clicks_and_boxes_are_drawn_where_they_are(cell):
    xy = torch.tensor([[[21.5, 41.5]], [[21.5, 41.5]]])  # the middle of pixel (10, 5) at stride 4
    drawn = cell.prompt_map(xy, torch.tensor([[1], [0]]), None, (16, 16))
    assert divmod(int(drawn[0].argmax()), 16) == (10, 5)
    assert drawn[0].max() == pytest.approx(4, abs=0.5)
    assert drawn[1].max() <= -4
    assert drawn[1].min() == pytest.approx(-12, abs=0.5)
    box = cell.prompt_map(torch.tensor([[[8.0, 16.0], [40.0, 32.0]]]), torch.tensor([[2, 3]]), None, (16, 16))
    rows, columns = torch.nonzero(box[0, 0] == 2, as_tuple=True)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 7, 2, 9)
    added = cell.prompt_map(xy[:1], torch.tensor([[1]]), torch.full((1, 1, 16, 16), -30.0), (16, 16))
    assert added.max() == pytest.approx(4, abs=0.5)
