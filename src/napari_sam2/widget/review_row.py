"""What reviewing needs to know of one object, read from the session once a change. No Qt here."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2.widget.answers import DoubtLike, SessionLike

APPROVED, APPROVED_ABSENT, ABSENT, NOTHING = 2.0, 2.5, 3.0, 4.0
"""What is told of a frame besides a confidence (0 to 1)."""
_WORDS = {APPROVED: "approved", APPROVED_ABSENT: "approved as not there", ABSENT: "not there"}


@dataclass(frozen=True, slots=True, eq=False)
class ReviewRow:
    """How sure the masks of one object are.

    Attributes
    ----------
    values
        (T,) float32: confidences, `APPROVED`, `APPROVED_ABSENT`, `ABSENT` or `NOTHING`.
    worst
        The mask that one may be least sure of; None if there is none.
    doubts
        The masks to be looked at, the worst first.
    """

    values: NDArray[np.float32]
    doubts: tuple[DoubtLike, ...]
    worst: DoubtLike | None = None

    def words(self, frame: int, object_id: int) -> str:
        """How sure the mask on a frame is, and why, or that it has none; empty if nothing is known."""
        value = float(self.values[frame])
        doubt = next((doubt for doubt in self.doubts if doubt.frame == frame), None)
        if doubt is None or value in (APPROVED, APPROVED_ABSENT):
            words = f"confidence {value:.2f}" if value <= 1 else _WORDS.get(value, "")
            return f"Object {object_id}, frame {frame}: {words}." if words else ""
        return f"Object {object_id}, frame {frame}: confidence {doubt.confidence:.2f}; {doubt.reason}."


def review_row(session: SessionLike, object_id: int, num_frames: int) -> ReviewRow:
    """Read what a session knows of an object that has a masklet."""
    values = np.full(num_frames, NOTHING, np.float32)
    values[session.ends.get(object_id, num_frames) :] = ABSENT
    values[[*session.masklets[object_id].absent]] = ABSENT
    frames, sure = session.confidence(object_id)
    values[frames] = sure
    approved = np.array(session.approved(object_id), int)
    values[approved] = np.where(np.isin(approved, frames), APPROVED, APPROVED_ABSENT)
    return ReviewRow(values, tuple(session.doubtful([object_id])), session.worst(object_id))
