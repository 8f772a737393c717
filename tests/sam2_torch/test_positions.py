"""Positions: a window's are those of the middle of the whole frame that the model was trained on."""

from dataclasses import replace

import pytest
import torch

from sam2_torch.build import build
from sam2_torch.config import CELL
from sam2_torch.memory_bank import MemorySelection
from sam2_torch.outputs import FrameFeatures, PointTokens
from sam2_torch.positions import RandomFourier, first_token, rotary_table, rotate, sine_positions_2d
from sam2_torch.video_predictor import condition_on_memory, decode, encode_frame

GRIDS = [((4, 4), (8, 8)), ((6, 2), (8, 10)), ((5, 4), (8, 8)), ((8, 8), (8, 8))]


@pytest.fixture(scope="module")
def cell():
    torch.manual_seed(0)
    return build(CELL).requires_grad_(False)


def middle(table, grid, frame):
    """The part of a table (..., *frame) that a grid in its middle has."""
    top, left = (frame[0] - grid[0]) // 2, (frame[1] - grid[1]) // 2
    return table[..., top : top + grid[0], left : left + grid[1]]


def test_the_first_token_of_a_window():
    assert first_token((12, 12), (16, 16)) == (2, 2)
    assert first_token((16, 8), (16, 16)) == (0, 4)


@pytest.mark.parametrize(("grid", "frame"), GRIDS)
def test_sine_positions_of_a_window_are_the_middle_of_the_frames(grid, frame):
    table = sine_positions_2d(grid, frame, 32)
    assert table.shape == (1, 32, *grid)
    assert torch.equal(table, middle(sine_positions_2d(frame, frame, 32), grid, frame))


@pytest.mark.parametrize(("grid", "frame"), GRIDS)
def test_rotary_angles_of_a_window_are_the_middle_of_the_frames(grid, frame):
    table = rotary_table(grid, frame, 32)
    assert table.shape == (2, grid[0] * grid[1], 16)
    whole = rotary_table(frame, frame, 32).unflatten(1, frame).movedim(-1, 1)
    assert torch.equal(table.unflatten(1, grid).movedim(-1, 1), middle(whole, grid, frame))


@pytest.mark.parametrize(("grid", "frame"), GRIDS)
def test_fourier_positions_of_a_window_are_the_middle_of_the_frames(grid, frame):
    fourier = RandomFourier(32)
    assert torch.equal(fourier.grid(grid, frame), middle(fourier.grid(frame, frame), grid, frame))


def rotated_by_hand(tokens, table):
    """Complex multiplication, one token at a time."""
    turn = torch.complex(*table.double())
    turn = turn.repeat(tokens.shape[-2] // len(turn), 1)
    return torch.view_as_real(torch.view_as_complex(tokens.double().unflatten(-1, (-1, 2))) * turn).flatten(-2)


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_last_tokens_keep_their_direction(dtype, gradients):
    torch.manual_seed(0)
    table, tokens = rotary_table((2, 3), (4, 5), 8), torch.randn(2, 3 * 6 + 4, 8).to(dtype)
    expected = torch.cat([rotated_by_hand(tokens[:, :18], table), tokens[:, 18:].double()], dim=1)
    with torch.set_grad_enabled(gradients):
        turned = rotate(tokens.clone(), table, 4)
    assert turned.dtype == dtype
    tolerance = 1e-5 if dtype == torch.float32 else 0.02
    assert torch.allclose(turned.double(), expected, atol=tolerance, rtol=tolerance)
    assert torch.equal(turned[:, 18:], tokens[:, 18:])


def told_of(model, monkeypatch, features, points):
    """Positions of the grid, tokens of the prompts as the mask decoder gets them."""
    told = []

    def listen(image, grid_positions, sparse, *rest):
        told.append((grid_positions, sparse))

    monkeypatch.setattr(model.sam_mask_decoder, "forward", listen)
    decode(model, features, features.stride16, points, None)
    return told[0]


def part_of(features, grid, whole):
    top, left = first_token(grid, features.grid)
    return replace(features.cut(top, left, grid), whole=whole)


def test_prompts_in_a_window_are_told_where_they_are_in_the_frame(cell, monkeypatch):
    features = encode_frame(cell, torch.rand(1, 3, 128, 128))
    window = part_of(features, (4, 4), (8, 8))
    in_window = PointTokens(torch.tensor([[[10.0, 20.0], [50.0, 3.0]]]), torch.tensor([[2, 3]]))
    in_frame = replace(in_window, xy=in_window.xy + 32)
    grid, sparse = told_of(cell, monkeypatch, window, in_window)
    whole_grid, whole_sparse = told_of(cell, monkeypatch, features, in_frame)
    assert torch.equal(sparse, whole_sparse)
    assert torch.equal(grid, middle(whole_grid, (4, 4), (8, 8)))
    _, alone = told_of(cell, monkeypatch, replace(window, whole=None), in_window)
    assert not torch.allclose(alone, sparse), "without a frame around it the window is all there is"


def test_a_window_that_is_all_of_the_frame_is_the_frame(cell):
    features = encode_frame(cell, torch.rand(1, 3, 128, 128))
    points = PointTokens(torch.tensor([[[40.0, 20.0]]]), torch.ones(1, 1, dtype=torch.int))
    plain = decode(cell, features, features.stride16, points, None)
    told = decode(cell, replace(features, whole=(8, 8)), features.stride16, points, None)
    assert torch.equal(plain.logits, told.logits)


def remembered(*grids, steps=None, objects=2):
    """Memories of some grids, and two pointers."""
    torch.manual_seed(1)
    features = tuple(torch.randn(objects, CELL.memory_width, *grid) for grid in grids)
    steps = torch.tensor([steps or [6 - i for i in range(len(grids))]]).expand(objects, -1)
    pointers = tuple(torch.randn(objects, CELL.width) for _ in range(2))
    return MemorySelection(features, steps, pointers, torch.tensor([[1.0, 2.0]]).expand(objects, -1), 15)


def conditioned_by_hand(model, features, memories, monkeypatch):
    """Memory attention with the rotary table of each memory written out, one after the other."""
    attention, kept = model.memory_attention, {}
    monkeypatch.setattr(attention, "forward", lambda *args, **named: kept.update(args=args, named=named) or args[0])
    condition_on_memory(model, features, memories)
    monkeypatch.undo()
    frame, memory, positions = kept["args"]
    tables = [rotary_table(tuple(m.shape[2:]), features.frame, CELL.width) for m in memories.features]
    own = rotary_table(features.grid, features.frame, CELL.width)
    x = frame + 0.1 * sine_positions_2d(features.grid, features.frame, CELL.width)
    x = x.flatten(2).transpose(1, 2)
    pointers = kept["named"]["num_pointer_tokens"]
    for layer in attention.layers:
        x = layer(x, memory + positions, memory, tables=(own, torch.cat(tables, 1)), num_pointer_tokens=pointers)
    return attention.norm(x).transpose(1, 2).unflatten(2, features.grid)


@pytest.mark.parametrize("grids", [((4, 4), (4, 4), (4, 4)), ((4, 4), (6, 6)), ((8, 8), (4, 4), (6, 6))])
@torch.inference_mode()
def test_memories_of_any_grids_are_told_where_they_are(cell, monkeypatch, grids):
    features = part_of(FrameFeatures(*(torch.randn(1, 128 // k, 8 * k, 8 * k) for k in (1, 2, 4))), (4, 4), (8, 8))
    memories = remembered(*grids)
    expected = conditioned_by_hand(cell, features, memories, monkeypatch)
    found = condition_on_memory(cell, features, memories)
    assert found.shape == (2, CELL.width, 4, 4)
    assert torch.allclose(found, expected, atol=1e-4)


@torch.inference_mode()
def test_the_order_of_memories_of_different_grids_does_not_matter(cell):
    features = part_of(FrameFeatures(*(torch.randn(1, 128 // k, 8 * k, 8 * k) for k in (1, 2, 4))), (4, 4), (8, 8))
    memories = remembered((4, 4), (6, 6), steps=[6, 5])
    swapped = replace(memories, features=memories.features[::-1], steps=memories.steps.flip(1))
    here, there = (condition_on_memory(cell, features, m) for m in (memories, swapped))
    assert torch.allclose(here, there, atol=1e-4)
    mixed_up = replace(memories, steps=memories.steps.flip(1))
    assert not torch.allclose(here, condition_on_memory(cell, features, mixed_up), atol=1e-4)
