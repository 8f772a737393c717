"""What reviewing needs to know of one object, read from the session once a change. No Qt here."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2.widget.answers import DoubtLike, SessionLike

APPROVED, ABSENT, NOTHING = 2.0, 3.0, 4.0
"""What is told of a frame besides a confidence (0 to 1)."""


@dataclass(frozen=True, slots=True, eq=False)
class ReviewRow:
    """How sure the masks of one object are.

    Attributes
    ----------
    values
        (T,) float32: confidences, `APPROVED`, `ABSENT` or `NOTHING`.
    doubts
        The masks to be looked at, the worst first.
    """

    values: NDArray[np.float32]
    doubts: tuple[DoubtLike, ...]

    def words(self, frame: int, object_id: int) -> str:
        """How sure the mask on a frame is, and why; empty if there is none."""
        value = float(self.values[frame])
        doubt = next((doubt for doubt in self.doubts if doubt.frame == frame), None)
        if value == APPROVED:
            return f"Object {object_id}, frame {frame}: approved."
        if doubt is not None:
            return f"Object {object_id}, frame {frame}: confidence {doubt.confidence:.2f}; {doubt.reason}."
        return f"Object {object_id}, frame {frame}: confidence {value:.2f}." if value <= 1 else ""


def review_row(session: SessionLike, object_id: int, num_frames: int) -> ReviewRow:
    """Read what a session knows of an object that has a masklet."""
    values = np.full(num_frames, NOTHING, np.float32)
    values[[*session.masklets[object_id].absent]] = ABSENT
    frames, sure = session.confidence(object_id)
    values[frames] = sure
    values[[*session.approved(object_id)]] = APPROVED
    return ReviewRow(values, tuple(session.doubtful([object_id])))
