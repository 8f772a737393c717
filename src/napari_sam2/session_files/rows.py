"""Records of objects on frames as rows of the session's tables, and back; whatever is read is checked."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam2.confidence import UNKNOWN, Signs
from napari_sam2.followed_object import PromptedFrame
from napari_sam2.frame_record import Answer, FrameRecord
from napari_sam2.masklets import FrameMask
from napari_sam2.prompts import MAX_OBJECT_ID, BoxPrompt, MaskPrompt, ObjectPrompts, PointPrompt
from sam2_torch.outputs import MaskPrediction
from sam2_torch.windows import Window

NOTHING, MASK, ABSENT = 0, 1, 2
"""What is shown of an object on a frame."""
DOUBTFUL = 1
_WAYS = {0: (), 1: (1,), 2: (-1,), 3: (1, -1)}
"""Directions in which what is known of a frame is newer than what is beyond it, as they are stored."""
_FAR = 10**8
"""No pixel is further from the frame than this."""
_NUMBERS = np.dtype("<f4")

Row = tuple[Any, ...]


def pack(crop: NDArray[np.bool_]) -> bytes:
    """A mask (h, w) bool as bits, row by row."""
    return np.packbits(crop).tobytes()


def unpack(bits: Any, height: int, width: int) -> NDArray[np.bool_]:
    """The mask (h, w) bool that `pack` made bits of.

    Raises
    ------
    ValueError
        If these are not so many bits.
    """
    if not isinstance(bits, bytes) or len(bits) != (height * width + 7) // 8:
        raise ValueError(f"a mask of {height} x {width} pixels does not have the bytes it should have")
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=height * width).view(np.bool_).reshape(height, width)


def mask_columns(mask: FrameMask) -> Row:
    """Box, score, predicted IoU and bits of a mask."""
    return *(int(side) for side in mask.box), float(mask.score), float(mask.predicted_iou), pack(mask.crop)


def read_mask(
    object_id: int, frame: int, columns: Sequence[Any], shape_yx: tuple[int, int], signs: Signs = UNKNOWN
) -> FrameMask:
    """The mask that `mask_columns` was made of. Raises ValueError if it is none on a frame of (Y, X) pixels."""
    *sides, score, predicted_iou, bits = columns
    y0, x0, y1, x1 = _whole(*sides)
    if not (0 <= y0 < y1 <= shape_yx[0] and 0 <= x0 < x1 <= shape_yx[1]):
        raise ValueError(f"a mask of object {object_id} has the box {sides}, outside of the frame")
    numbers = _finite(score, predicted_iou)
    return FrameMask(frame, object_id, (y0, x0, y1, x1), unpack(bits, y1 - y0, x1 - x0), numbers[0], numbers[1], signs)


def sign_row(object_id: int, frame: int, signs: Signs) -> Row:
    """A row of the table signs."""
    numbers = signs.area_change, signs.jump, signs.lost, signs.lost_to, int(signs.at_border)
    return object_id, frame, *numbers


def read_signs(columns: Sequence[Any]) -> Signs:
    """The signs that `sign_row` was made of, without object ID and frame; all None for none. Raises ValueError."""
    if all(value is None for value in columns):
        return UNKNOWN
    change, jump, lost, lost_to, at_border = columns
    given = [value for value in (change, jump, lost) if value is not None]
    if any(value < 0 for value in _finite(*given)) or lost is None or at_border not in (0, 1):
        raise ValueError(f"a mask has the signs {columns!s:.60}")
    if lost_to is not None and not 1 <= _whole(lost_to)[0] <= MAX_OBJECT_ID:
        raise ValueError(f"a mask lost pixels to object {lost_to!s:.40}")
    return Signs(change, jump, lost, lost_to, bool(at_border))


def mark_row(object_id: int, frame: int, record: FrameRecord) -> Row:
    """A row of the table marks."""
    return object_id, frame, int(record.is_approved), sum({1: 1, -1: 2}[step] for step in record.outdated)


def read_marks(is_approved: Any, outdated: Any) -> tuple[bool, tuple[int, ...]]:
    """Whether a mask is approved, and the directions in which others are outdated. Raises ValueError."""
    if is_approved not in (0, 1) or outdated not in _WAYS:
        raise ValueError(f"a frame is marked with {is_approved!s:.40} and {outdated!s:.40}")
    return bool(is_approved), _WAYS[outdated]


def prompt_rows(object_id: int, frame: int, prompts: ObjectPrompts) -> list[Row]:
    """Rows of the table prompts."""
    rows: list[Row] = []
    if prompts.mask is not None:
        (y, x), (height, width) = prompts.mask.offset, prompts.mask.crop.shape
        rows.append(("mask", y, x, y + height, x + width, pack(prompts.mask.crop)))
    if prompts.box is not None:
        box = prompts.box
        rows.append(("box", *(float(side) for side in (box.y0, box.x0, box.y1, box.x1)), None))
    for point in prompts.points:
        kind = "positive" if point.positive else "negative"
        rows.append((kind, float(point.y), float(point.x), None, None, None))
    return [(object_id, frame, position, *row) for position, row in enumerate(rows)]


def read_prompts(object_id: int, frame: int, rows: Iterable[Row], shape_yx: tuple[int, int]) -> ObjectPrompts:
    """The prompts that rows (kind, y0, x0, y1, x1, bits) were made of. Raises ValueError if they are none."""
    prompts = ObjectPrompts()
    for kind, y0, x0, y1, x1, bits in rows:
        if kind == "mask":
            columns = (*(int(side) for side in _finite(y0, x0, y1, x1)), 0.0, 0.0, bits)
            mask = read_mask(object_id, frame, columns, shape_yx)
            prompt = MaskPrompt.of_crop(frame, object_id, mask.crop, mask.box[:2], shape_yx)
            prompts = replace(prompts, mask=prompt)
        elif kind == "box":
            prompts = replace(prompts, box=BoxPrompt(frame, object_id, *_finite(y0, x0, y1, x1)))
        elif kind in ("positive", "negative"):
            y, x = _finite(y0, x0)
            point = PointPrompt(frame, object_id, y, x, kind == "positive")
            prompts = replace(prompts, points=(*prompts.points, point))
        else:
            raise ValueError(f"a prompt of object {object_id} on frame {frame} is a {kind!r:.40}")
    return prompts


def answer_row(object_id: int, frame: int, answer: Answer, prompted: PromptedFrame, diameter: float | None) -> Row:
    """A row of the table answers."""
    window, said = prompted.window, prompted.prediction
    logits, pointer = (_array(tensor) for tensor in (said.logits[0, 0], said.pointer[0]))
    return (
        object_id,
        frame,
        len(answer.prompts.points),
        answer.step,
        json.dumps(sorted(answer.sources)),
        int(answer.was_tracked),
        None if diameter is None else float(diameter),
        *(window.y0, window.x0, window.height, window.width, *window.size),
        float(said.object_score[0]),
        float(said.predicted_iou[0]),
        *logits.shape,
        logits.tobytes(),
        pointer.tobytes(),
    )


def read_answer(
    columns: Sequence[Any], prompts: ObjectPrompts, device: torch.device
) -> tuple[Answer, PromptedFrame, float | None]:
    """What `answer_row` was made of, without object ID and frame. Raises ValueError if it is no answer."""
    points, step, sources, was_tracked, diameter, *sides, score, iou, height, width, logits, pointer = columns
    _whole(points, was_tracked)
    if step not in (None, 1, -1) or not 0 <= points <= len(prompts.points):
        raise ValueError("an answer to prompts is to none that there are")
    answer = Answer(
        replace(prompts, points=prompts.points[:points]), step, frozenset(frame_list(sources)), bool(was_tracked)
    )
    y0, x0, *extent = _whole(*sides)
    if max(abs(y0), abs(x0)) > _FAR or not all(0 < n <= _FAR for n in extent) or any(n % 32 for n in extent[2:]):
        raise ValueError(f"an answer to prompts was seen in the window {sides}")
    window = Window(y0, x0, extent[0], extent[1], (extent[2], extent[3]))
    said = _numbers(logits, *_whole(height, width)).to(device)[None, None]
    told = _numbers(pointer, len(pointer) // 4 if isinstance(pointer, bytes) else 0).to(device)[None]
    score, iou = _finite(score, iou)
    quality = torch.tensor([iou], device=device)
    prediction = MaskPrediction(said, quality, torch.tensor([score], device=device), told, said, quality[:, None])
    return answer, PromptedFrame(window, prediction), None if diameter is None else _finite(diameter)[0]


def frame_list(text: Any) -> list[int]:
    """Frames written as a list in JSON. Raises ValueError if it is none."""
    frames = json.loads(text) if isinstance(text, str) else None
    if not isinstance(frames, list):
        raise ValueError(f"{text!s:.40} is no list of frames")
    return _whole(*frames)


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().float().cpu().numpy().astype(_NUMBERS)
    return array


def _numbers(data: Any, *shape: int) -> torch.Tensor:
    if not isinstance(data, bytes) or not all(0 < n <= _FAR for n in shape) or len(data) != 4 * math.prod(shape):
        raise ValueError("an answer to prompts does not have the bytes it should have")
    array = np.frombuffer(data, _NUMBERS).astype(np.float32).reshape(shape)
    if not np.isfinite(array).all():
        raise ValueError("an answer to prompts holds numbers that are not finite")
    return torch.from_numpy(array)


def _whole(*values: Any) -> list[int]:
    if not all(type(value) is int for value in values):
        raise ValueError(f"{values!s:.60} are no whole numbers")
    return list(values)


def _finite(*values: Any) -> list[float]:
    if not all(isinstance(value, (int, float)) and math.isfinite(value) for value in values):
        raise ValueError(f"{values!s:.60} are no numbers")
    return [float(value) for value in values]
