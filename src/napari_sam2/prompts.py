"""Prompts: what a person says about one object on one frame, in source pixels with centers on integers."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from operator import index

import numpy as np
from numpy.typing import NDArray

from napari_sam2.errors import PromptError

MAX_OBJECT_ID = 2**32 - 1
"""Largest ID that fits labels of uint32."""


@dataclass(frozen=True, slots=True)
class PointPrompt:
    """A click: (`y`, `x`) in source pixels belongs to the object, or does not if `positive` is False."""

    frame: int
    object_id: int
    y: float
    x: float
    positive: bool = True

    @classmethod
    def inside(
        cls, mask: NDArray[np.bool_], *, frame: int, object_id: int, offset: tuple[int, int] = (0, 0)
    ) -> "PointPrompt":
        """A click on the deepest pixel of a mask (h, w) that is not empty, whose first pixel is `offset` (y, x)."""
        from scipy import ndimage

        depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
        return cls(frame, object_id, float(y + offset[0]), float(x + offset[1]))


@dataclass(frozen=True, slots=True)
class BoxPrompt:
    """A box around the object, corners in source pixels, `y0` < `y1` and `x0` < `x1`."""

    frame: int
    object_id: int
    y0: float
    x0: float
    y1: float
    x1: float

    @property
    def center(self) -> tuple[float, float]:
        """Its middle (y, x)."""
        return (self.y0 + self.y1) / 2, (self.x0 + self.x1) / 2

    def clip(self, shape_yx: tuple[int, int]) -> "BoxPrompt":
        """Return the part of the box that lies in an image of (Y, X) pixels, for boxes drawn over the border.

        Raises
        ------
        PromptError
            If nothing of the box lies in the image.
        """
        height, width = shape_yx
        y0, y1 = (min(max(y, -0.5), height - 0.5) for y in (self.y0, self.y1))
        x0, x1 = (min(max(x, -0.5), width - 0.5) for x in (self.x0, self.x1))
        if not (y0 < y1 and x0 < x1):
            raise PromptError(f"{_name(self)} lies outside the image of {height} x {width} pixels: draw it again")
        return replace(self, y0=y0, x0=x0, y1=y1, x1=x1)


@dataclass(frozen=True, slots=True, eq=False, init=False)
class MaskPrompt:
    """A mask of the object, (Y, X) bool, as large as the frame; equal to another if its pixels are.

    Only the part that holds the object is kept, so that a frame may have hundreds of them.

    Attributes
    ----------
    shape_yx
        Of the whole mask.
    crop
        The mask (h, w) bool within its bounding box; without a pixel if it is empty.
    offset
        First pixel (y, x) of the crop.
    """

    frame: int
    object_id: int
    shape_yx: tuple[int, ...]
    crop: NDArray[np.bool_]
    offset: tuple[int, int]

    def __init__(self, frame: int, object_id: int, mask: NDArray[np.bool_]) -> None:
        mask = np.asarray(mask, dtype=bool)
        place = _bounding_box(mask) if mask.ndim == 2 else (slice(0, None), slice(0, None))
        self._set(frame, object_id, mask.shape, mask[place], (place[0].start, place[1].start))

    @classmethod
    def of_crop(
        cls, frame: int, object_id: int, crop: NDArray[np.bool_], offset: tuple[int, int], shape_yx: tuple[int, int]
    ) -> "MaskPrompt":
        """The mask that is `crop` (h, w) from the pixel `offset` (y, x) on, and nothing elsewhere."""
        prompt = cls.__new__(cls)
        place = _bounding_box(crop)
        prompt._set(frame, object_id, shape_yx, crop[place], (offset[0] + place[0].start, offset[1] + place[1].start))
        return prompt

    def of_object(self, object_id: int) -> "MaskPrompt":
        """The same mask as a prompt of another object."""
        prompt = type(self).__new__(type(self))
        prompt._set(self.frame, object_id, self.shape_yx, self.crop, self.offset)
        return prompt

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The whole mask (Y, X), made anew; read-only."""
        mask = np.zeros(self.shape_yx, bool)
        if self.crop.shape == self.shape_yx:
            mask[...] = self.crop
        else:
            (y, x), (height, width) = self.offset, self.crop.shape
            mask[y : y + height, x : x + width] = self.crop
        mask.flags.writeable = False
        return mask

    def _set(
        self,
        frame: int,
        object_id: int,
        shape_yx: tuple[int, ...],
        crop: NDArray[np.bool_],
        offset: tuple[int, int],
    ) -> None:
        # A copy of our own, so that painting on goes unseen here and the comparison of old and new prompts stays true.
        crop = np.array(crop, dtype=bool)
        crop.flags.writeable = False
        values = frame, object_id, tuple(shape_yx), crop, offset
        for name, value in zip(("frame", "object_id", "shape_yx", "crop", "offset"), values, strict=True):
            object.__setattr__(self, name, value)

    @property
    def outline(self) -> tuple[tuple[int, ...], tuple[int, int], tuple[int, ...], bytes]:
        """What tells its pixels from those of other masks, whichever object and frame it is of."""
        return self.shape_yx, self.offset, self.crop.shape, np.packbits(self.crop).tobytes()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MaskPrompt):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        return self.frame, self.object_id, *self.outline


Prompt = PointPrompt | BoxPrompt | MaskPrompt


@dataclass(frozen=True, slots=True)
class ObjectPrompts:
    """All prompts of one object on one frame, points in the order in which they were given.

    A mask alone is the answer itself; points and a box beside it were given later, and correct it.
    """

    points: tuple[PointPrompt, ...] = ()
    box: BoxPrompt | None = None
    mask: MaskPrompt | None = None

    @property
    def is_painted(self) -> bool:
        """Whether a mask is all there is."""
        return self.mask is not None and self.box is None and not self.points

    @property
    def says_where(self) -> bool:
        """Whether something says where the object is; negative points only correct a mask that is there already."""
        return self.mask is not None or self.box is not None or any(point.positive for point in self.points)

    @property
    def in_order(self) -> "tuple[Prompt, ...]":
        """All of them, in an order that `group_prompts` groups again as they are."""
        return (*(p for p in (self.mask, self.box) if p is not None), *self.points)

    def extends(self, before: "ObjectPrompts") -> bool:
        """Whether these are other prompts and some more points, so that the mask found before is one to correct."""
        count = len(before.points)
        same = self.box == before.box and self.mask == before.mask
        return same and len(self.points) > count and self.points[:count] == before.points


def group_prompts(prompts: Iterable[Prompt]) -> dict[tuple[int, int], ObjectPrompts]:
    """Collect prompts by (object_id, frame), in the order in which the pairs first appear.

    Of the same object on the same frame, a later box replaces the earlier one, and a mask replaces all before it.

    Raises
    ------
    PromptError
        If an object ID or a frame is not a whole number, or an ID is below 1.
    """
    groups: dict[tuple[int, int], ObjectPrompts] = {}
    for prompt in prompts:
        _check_numbers(prompt)
        key = int(prompt.object_id), int(prompt.frame)
        group = groups.get(key, ObjectPrompts())
        if isinstance(prompt, PointPrompt):
            groups[key] = replace(group, points=(*group.points, prompt))
        elif isinstance(prompt, BoxPrompt):
            groups[key] = replace(group, box=prompt)
        else:
            groups[key] = ObjectPrompts(mask=prompt)
    return groups


def check_prompts(prompts: Iterable[Prompt], *, num_frames: int, shape_yx: tuple[int, int]) -> None:
    """Refuse prompts of which one makes no sense by itself on a movie of `num_frames` frames of (Y, X) pixels.

    A point is in the image if -0.5 <= y < Y - 0.5, and x likewise; a box may also end on the border itself.

    Raises
    ------
    PromptError
        For a point or box (partly) outside the image or not a number, an empty or badly shaped mask, a frame outside
        0..T-1, and an object ID below 1.
    """
    for prompt in prompts:
        _check_numbers(prompt)
        if not 0 <= prompt.frame < num_frames:
            raise PromptError(f"{_name(prompt)}: the movie has the frames 0 to {num_frames - 1}; correct the frame")
        if isinstance(prompt, PointPrompt):
            _check_point(prompt, shape_yx)
        elif isinstance(prompt, BoxPrompt):
            _check_box(prompt, shape_yx)
        else:
            _check_mask(prompt, shape_yx)


def check_corrections(prompts: Iterable[Prompt], is_correctable: Callable[[int, int], bool]) -> None:
    """Refuse objects of which there are only negative points, unless there are masks that they correct.

    Parameters
    ----------
    is_correctable
        Whether an object, given by its ID, has a mask on a frame, or had one before the points.

    Raises
    ------
    PromptError
        If on none of its frames a prompt says where an object is, and one of them has no such mask.
    """
    groups = group_prompts(prompts)
    placed = {object_id for (object_id, _), group in groups.items() if group.says_where}
    for object_id, frame in groups:
        if object_id not in placed and not is_correctable(object_id, frame):
            raise PromptError(
                f"object {object_id} has only negative points on frame {frame}, where there is no mask to correct, and "
                "no prompt elsewhere: add a positive point, a box or a mask"
            )


def nearest_frame(t: float) -> int:
    """Return the frame that a time coordinate belongs to: 1.5 <= t < 2.5 is frame 2.

    Raises
    ------
    PromptError
        If `t` is not finite.
    """
    if not math.isfinite(t):
        raise PromptError(f"the time of a prompt is {t}, expected a number: delete the prompt and set it again")
    return math.floor(t + 0.5)


def _name(prompt: Prompt) -> str:
    where = f"of object {prompt.object_id} on frame {prompt.frame}"
    if isinstance(prompt, PointPrompt):
        return f"point (y={prompt.y:g}, x={prompt.x:g}) {where}"
    if isinstance(prompt, BoxPrompt):
        return f"box (y0={prompt.y0:g}, x0={prompt.x0:g}, y1={prompt.y1:g}, x1={prompt.x1:g}) {where}"
    return f"mask {where}"


def _check_numbers(prompt: Prompt) -> None:
    try:
        object_id = index(prompt.object_id)
        index(prompt.frame)
    except TypeError as exc:
        raise PromptError(f"{_name(prompt)}: object ID and frame must be whole numbers; round them first") from exc
    if not 1 <= object_id <= MAX_OBJECT_ID:
        raise PromptError(f"{_name(prompt)}: object IDs go from 1 to {MAX_OBJECT_ID} (0 is background); give another")


def _check_point(point: PointPrompt, shape_yx: tuple[int, int]) -> None:
    height, width = shape_yx
    # Written so that NaN fails it.
    if not (-0.5 <= point.y < height - 0.5 and -0.5 <= point.x < width - 0.5):
        raise PromptError(
            f"{_name(point)} lies outside the image of {height} x {width} pixels: move it inside or delete it"
        )


def _check_box(box: BoxPrompt, shape_yx: tuple[int, int]) -> None:
    height, width = shape_yx
    if not (box.y0 < box.y1 and box.x0 < box.x1):
        raise PromptError(f"{_name(box)} is empty: expected y0 < y1 and x0 < x1; draw it again")
    if not (-0.5 <= box.y0 and box.y1 <= height - 0.5 and -0.5 <= box.x0 and box.x1 <= width - 0.5):
        raise PromptError(
            f"{_name(box)} reaches outside the image of {height} x {width} pixels: cut it at the border (`box.clip`)"
        )


def _check_mask(prompt: MaskPrompt, shape_yx: tuple[int, int]) -> None:
    if prompt.shape_yx != tuple(shape_yx):
        raise PromptError(
            f"{_name(prompt)} has the shape {prompt.shape_yx}, expected {tuple(shape_yx)}, that of a frame (Y, X)"
        )
    if not prompt.crop.any():
        raise PromptError(f"{_name(prompt)} is empty: paint at least one pixel, or delete it")


def _bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns of a mask (h, w) that hold a pixel; none of either if it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
