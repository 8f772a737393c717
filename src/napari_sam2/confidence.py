"""How sure one may be of a mask, from 0 to 1, and why it is in doubt.

The confidence is a product of factors, one a cause, each 0 to 1 and never higher when its cause grows:

| cause | factor |
|---|---|
| object score s, a logit | 1 / (1 + exp(-s)), the probability that the object is there |
| predicted IoU | itself |
| area r times that of the frame before | min(r, 1 / r) / 0.8, at most 1 |
| centroid d diameters away from that of the frame before | 0.5 / d, at most 1 |
| share f of the mask lost to other objects | 1 - f |
| touches the border of the frame | 0.95 |

"Before" is meant in the direction of tracking. What is not known counts for nothing.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_sam2.masklets import FrameMask

DOUBTFUL_BELOW = 0.7
"""A mask of less confidence had better be looked at."""
_NAMED_BELOW = 0.9
_STEADY_AREA, _NEAR, _AT_BORDER = 0.8, 0.5, 0.95

SIGNS = np.dtype(
    [
        ("frame", "i8"),
        ("score", "f8"),
        ("predicted_iou", "f8"),
        ("area_change", "f4"),
        ("jump", "f4"),
        ("lost", "f4"),
        ("lost_to", "u4"),
        ("at_border", "?"),
    ]
)
"""What is known of the masks of an object, a row a mask; NaN for what is not known, 0 for no object."""
SIGN_NAMES = tuple(SIGNS.names or ())


@dataclass(frozen=True, slots=True)
class Signs:
    """What was noticed when a frame was tracked; numbers are rounded to float32.

    Attributes
    ----------
    area_change
        Area divided by that of the frame before; None if there was no mask.
    jump
        How far the centroid is from that of the frame before, in diameters of a disc of the area there.
    lost
        Share of the mask, 0 to 1, that went to other objects.
    lost_to
        ID of the object that got most of that.
    at_border
        Whether the mask touches the border of the frame.
    """

    area_change: float | None = None
    jump: float | None = None
    lost: float = 0.0
    lost_to: int | None = None
    at_border: bool = False

    def __post_init__(self) -> None:
        for name in ("area_change", "jump", "lost"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else float(np.float32(value)))


UNKNOWN = Signs()


def signs_of(
    mask: "FrameMask",
    before: "FrameMask | None",
    shape_yx: tuple[int, int],
    *,
    lost: float = 0.0,
    lost_to: int | None = None,
) -> Signs:
    """What there is to notice of a mask, after that of the frame `before`, on a frame of (Y, X) pixels."""
    y0, x0, y1, x1 = mask.box
    at_border = y0 <= 0 or x0 <= 0 or y1 >= shape_yx[0] or x1 >= shape_yx[1]
    if before is None:
        return Signs(lost=lost, lost_to=lost_to, at_border=at_border)
    area = before.area
    jump = math.dist(mask.centroid, before.centroid) / (2 * math.sqrt(area / math.pi))
    return Signs(mask.area / area, jump, lost, lost_to, at_border)


def row_of(mask: "FrameMask") -> tuple[Any, ...]:
    """What is known of a mask, as a row of `SIGNS`."""
    return mask.frame, mask.score, mask.predicted_iou, *sign_columns(mask.signs)


def sign_columns(signs: Signs) -> tuple[float, float, float, int, bool]:
    """Signs as the last columns of `SIGNS`."""
    change, jump = (math.nan if value is None else value for value in (signs.area_change, signs.jump))
    return change, jump, signs.lost, signs.lost_to or 0, signs.at_border


def read_signs(area_change: float, jump: float, lost: float, lost_to: int, at_border: bool) -> Signs:
    """The signs that `sign_columns` gave."""
    change, distance = (None if math.isnan(value) else value for value in (area_change, jump))
    return Signs(change, distance, lost, lost_to or None, bool(at_border))


def confidences(table: NDArray[Any]) -> NDArray[np.float64]:
    """The confidence, 0 to 1, in each of (N,) masks, of the dtype `SIGNS`."""
    return np.asarray(_factors(table).prod(axis=0))


def reason(table: NDArray[Any], row: int) -> str:
    """Why a mask of a table is in doubt, in words, the weightiest cause first; empty if there is no doubt."""
    known = table[row : row + 1]
    factors = _factors(known)[:, 0]
    score, iou, change, jump, lost, lost_to, _ = known[0].item()[1:]
    rival = f"object {lost_to}" if lost_to else "other objects"
    words = (
        f"object score {score:.1f}",
        f"predicted IoU {iou:.2f}",
        f"area {'fell' if change < 1 else 'grew'} to {change:.2g} times that before",
        f"moved {jump:.1f} diameters",
        f"lost {100 * lost:.0f} % to {rival}",
        "touches the border",
    )
    causes = [int(i) for i in np.argsort(factors, kind="stable") if factors[i] < _NAMED_BELOW]
    return "; ".join(words[i] for i in causes)


def _factors(table: NDArray[Any]) -> NDArray[np.float64]:
    """(6, N), the factors of N masks."""
    change, jump = (table[name].astype(np.float64) for name in ("area_change", "jump"))
    with np.errstate(divide="ignore", over="ignore"):
        ratio = np.minimum(change, 1 / change)
        factors = np.stack(
            [
                1 / (1 + np.exp(-np.clip(table["score"], -500, 500))),
                table["predicted_iou"],
                ratio / _STEADY_AREA,
                _NEAR / jump,
                1 - table["lost"].astype(np.float64),
                np.where(table["at_border"], _AT_BORDER, 1.0),
            ]
        )
    return np.asarray(np.clip(np.where(np.isnan(factors), 1.0, factors), 0, 1))
