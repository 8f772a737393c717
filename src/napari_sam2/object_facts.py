"""What is said of objects as a whole, beside what is known of them on frames."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

from napari_sam2.lineage import Parents, without


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """By object ID, what is said of those objects of which there is something to say; replaced, never changed.

    Attributes
    ----------
    ends
        The frame from which on an object is there no more.
    names
        What people call it.
    parents
        The object that it came from when that one divided.
    updating
        The objects of updates that are under way or were stopped: whether it was never tracked before.
    """

    ends: Mapping[int, int] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    parents: Parents = field(default_factory=dict)
    updating: Mapping[int, bool] = field(default_factory=dict)

    def without(self, object_id: int) -> "ObjectFacts":
        """The same once an object is gone."""
        rest = {f.name: {i: v for i, v in getattr(self, f.name).items() if i != object_id} for f in fields(self)}
        return replace(self, **rest | {"parents": without(self.parents, object_id)})
