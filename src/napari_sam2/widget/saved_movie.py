"""Keeps an eye on how the session of one movie is stored, and shows one that was. No Qt here."""

from collections.abc import Callable
from pathlib import Path

from napari_sam2.layers import Saving
from napari_sam2.widget import edits
from napari_sam2.widget.answers import SessionLike
from napari_sam2.widget.controller import Controller


class SavedMovie:
    """What is to be said of a movie's stored session.

    Parameters
    ----------
    saving
        Where it is stored.
    controller
        Works with it. A run is stopped when it can no longer be stored.
    note
        Tells the user.
    on_opened
        Called when a stored session is there, with its prompts in the layers, or cannot be opened.
    """

    def __init__(
        self,
        saving: Saving,
        controller: Controller,
        *,
        note: Callable[[str], None],
        on_opened: Callable[[], None],
    ) -> None:
        self.saving = saving
        self._controller = controller
        self._note = note
        self._tell_opened = on_opened
        self._is_told = False
        self._is_to_show = False
        controller.opened.connect(self._on_opened)
        controller.frame_written.connect(self.check)
        controller.state_changed.connect(self.check)

    @property
    def can_go_on(self) -> bool:
        """Whether a stored session may take the place of this one, in which nothing has been done."""
        controller = self._controller
        return controller.can_exchange and not controller.prompts.groups

    @property
    def is_opening(self) -> bool:
        """Whether a stored session is about to be opened, with choices of its own that nobody knows yet."""
        return self._is_to_show

    @property
    def text(self) -> str:
        """How it stands, in a few words."""
        saving = self.saving
        if self._controller.session is None:
            return f"Found: {saving.offered.name}" if saving.offered is not None and self.can_go_on else ""
        if saving.error is not None:
            return f"Not saved: {saving.error.__cause__ or saving.error}"
        if saving.folder is None:
            return ""
        return f"{'Read only' if self._read_only_because else 'Saved'}: {saving.folder.name}"

    @property
    def details(self) -> str:
        """The same in full."""
        saving = self.saving
        if saving.error is not None:
            return str(saving.error)
        why = self._read_only_because
        place = saving.folder or saving.offered
        return "" if place is None else f"{place}{f' can only be looked at, because {why}' if why else ''}"

    @property
    def can_reload(self) -> bool:
        """Whether the session can only be looked at here, so that it may be changed elsewhere."""
        return self._controller.session is not None and self._read_only_because is not None

    def reload(self) -> None:
        """Show what was stored elsewhere since."""
        self._controller.edit(edits.reload())

    def offer(self) -> None:
        """Tell of a stored session, if there is one."""
        if self.saving.offered is not None:
            self._note(
                f"There is a saved session of this movie, {self.saving.offered.name}: 'Open saved session' goes on "
                "with it; a click begins another one, and leaves it as it is."
            )

    def go_on_with(self, folder: Path, open_session: Callable[[], SessionLike]) -> None:
        """Open the stored session in a folder."""
        self._is_to_show = True
        self.saving.go_on_with(folder)
        self._controller.reopen_with(open_session, is_stored=True)

    def check(self, *_: object) -> None:
        """Tell the user once if what was done cannot be stored, and stop a run; give up what could not be opened."""
        error = self.saving.error
        # Canceling comes back here.
        is_news, self._is_told = error is not None and not self._is_told, error is not None
        if self._is_to_show and self._controller.state == "idle" and self._controller.session is None:
            self._is_to_show = False
            self.saving.give_up()
            self._tell_opened()
        if is_news:
            self._note(str(error))
            if self._controller.state == "propagating":
                self._controller.cancel()

    def _on_opened(self) -> None:
        session = self._controller.session
        if session is None or not self._is_to_show:
            return
        self._is_to_show = False
        self._controller.show_stored()
        if self._read_only_because:
            self._note(f"The session can only be looked at: {self.details}.")
        self._tell_opened()

    @property
    def _read_only_because(self) -> str | None:
        return None if self.saving.stored is None else self.saving.stored.read_only_because
