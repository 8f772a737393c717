"""What is chosen of a session before it is opened: the model, the diameter, the advanced settings."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from napari.layers import Image
from psygnal import Signal

from napari_sam2.layers import Saving, open_layer_session
from napari_sam2.widget.answers import SessionLike
from napari_sam2.widget.form import TrackerForm
from napari_sam2.widget.model_switch import ModelSwitch

if TYPE_CHECKING:
    from napari_sam2.session_files.session_folder import StoredSession


class SessionChoices:
    """Brings together the controls that say with what a session is opened.

    Parameters
    ----------
    device
        Where the network runs; see `load_model`.

    Attributes
    ----------
    device
        That of sessions that are opened from now on.
    """

    changed: ClassVar[Signal] = Signal()
    """What is chosen is another session than before."""

    def __init__(self, models: ModelSwitch, form: TrackerForm, *, device: str) -> None:
        self._models = models
        self._form = form
        self.device = device
        self._diameter = form.diameter.value()
        models.used.connect(self._tell)
        form.diameter.editingFinished.connect(self._on_diameter)
        form.advanced.changed.connect(self._tell)

    def opener(self, image: Image, saving: Saving) -> Callable[[], SessionLike]:
        """What opens the session of a movie as it is chosen now."""
        setup = self._form.advanced.setup(diameter=float(self._diameter) or None, device=self.device)
        return partial(open_layer_session, image, self._models.model, setup=setup, saving=saving)

    def adopt(self, stored: "StoredSession") -> None:
        """Show what a stored session goes on with."""
        self._diameter = self._form.show_settings(stored.session.settings, stored.model.precision)
        self._models.adopt(stored.model.name)

    def _on_diameter(self) -> None:
        if self._form.diameter.value() != self._diameter:
            self._diameter = self._form.diameter.value()
            self.changed.emit()

    def _tell(self, *_: object) -> None:
        self.changed.emit()
