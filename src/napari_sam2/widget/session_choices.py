"""With what the session of one movie is opened: the model, the diameter, the advanced settings. No Qt here."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Image

from napari_sam2.layers import Saving, open_layer_session
from napari_sam2.memory_policy import POLICIES, MemoryPolicy, find_policy
from napari_sam2.session_setup import SessionSetup
from napari_sam2.widget.answers import SessionLike

if TYPE_CHECKING:
    from napari_sam2.session_files.session_folder import StoredSession


@dataclass(frozen=True, slots=True)
class SessionChoices:
    """What is chosen of the session of one movie.

    Attributes
    ----------
    model
        Name or path, as of `load_model`.
    setup
        All else, but for how masks are tidied up: that changes while a session goes on, and its `Controller` knows it.
    """

    model: str
    setup: SessionSetup

    def opener(self, image: Image, saving: Saving) -> Callable[[], SessionLike]:
        """What opens the session of a movie as it is chosen here."""
        return partial(open_layer_session, image, self.model, setup=self.setup, saving=saving)

    def but(self, **changes: Any) -> "SessionChoices":
        """The same with changes of the setup, by the names of its fields."""
        return replace(self, setup=replace(self.setup, **changes))

    def adopt(self, stored: "StoredSession") -> "SessionChoices":
        """What a stored session goes on with, on the device chosen here; the model stays if that one has no name."""
        settings = stored.session.settings
        policy, most = _named(settings.memory_policy)
        stays = replace(self, model=stored.model.name or self.model)
        return stays.but(
            diameter=settings.diameter,
            memory_policy=policy,
            max_recent=most,
            tuning=settings.tuning,
            precision="float32" if stored.model.precision == "float32" else "auto",
        )


def _named(policy: MemoryPolicy) -> tuple[str | MemoryPolicy, int | None]:
    """A policy by name and length, if there is one of that name that differs from it in nothing else."""
    for name, known in POLICIES.items():
        if policy == known:
            return name, None
    for name in POLICIES:
        if policy.max_recent is not None and policy == find_policy(name, max_recent=policy.max_recent):
            return name, policy.max_recent
    return policy, None
