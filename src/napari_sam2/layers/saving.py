"""Storing the session of an image layer, and going on with one that was stored."""

from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Image

from napari_sam2.errors import AutosaveError, SessionError
from napari_sam2.layers.chosen_input import as_video
from napari_sam2.session_files.database import is_session
from napari_sam2.session_files.places import SUFFIX, new_places, session_beside
from napari_sam2.session_setup import SessionSetup

if TYPE_CHECKING:
    from napari_sam2.session_files.session_folder import StoredSession
    from napari_sam2.tracking_session import TrackingSession

METADATA = "napari_sam2_session"
"""Under this name, the metadata of a layer tell the folder of the session that it was opened from."""


def movie_file(image_layer: Image) -> Path | None:
    """Where a layer was read from; None if it was made, or is the movie of a session."""
    path = image_layer.source.path
    if not path or Path(path).suffix == SUFFIX or METADATA in image_layer.metadata:
        return None
    return Path(path) if Path(path).exists() else None


class Saving:
    """Where the session of one movie is stored, from its first opening on, and how that goes.

    Written to in the thread that works with the session, and read in any.

    Parameters
    ----------
    image_layer
        The movie.
    stores
        Whether new sessions are stored at all; those that are stored already always are.
    elsewhere
        A folder for sessions that cannot be beside their movie; by default see `sessions_folder`.

    Attributes
    ----------
    folder
        Where the session is stored, or is to be taken from when it is opened; None if nowhere.
    told
        The stored session that the layer was opened for.
    offered
        A stored session of this movie that somebody may want to go on with.
    error
        Why what was done last is not written; None if it is.
    stored
        What the session was opened from, if it was there before.
    """

    def __init__(self, image_layer: Image, *, stores: bool = True, elsewhere: Path | None = None) -> None:
        self._image = image_layer
        self._stores = stores
        self._elsewhere = elsewhere
        self._is_known = False
        file = movie_file(image_layer)
        told = image_layer.metadata.get(METADATA)
        self.told = None if told is None else Path(told)
        self.offered = self.told if file is None else session_beside(file)
        self.folder: Path | None = None
        self.error: SessionError | None = None
        self.stored: StoredSession | None = None
        self._unstored: TrackingSession | None = None

    def choose(self, *, stores: bool, elsewhere: Path | None) -> None:
        """Let this be whether, and where, a session is stored that is begun from now on."""
        self._stores, self._elsewhere = stores, elsewhere

    def go_on_with(self, folder: Path) -> None:
        """Take the stored session in a folder when the session is opened next."""
        self.folder, self.stored, self._is_known = folder, None, False

    def give_up(self) -> None:
        """Leave alone the stored session that was to be opened next, if it was not."""
        if not self._is_known:
            self.folder = None

    def open(self, model: str, setup: SessionSetup) -> "TrackingSession":
        """Open the session: a new one in a new folder, or the stored one; or one that goes on with what is nowhere.

        What the first opening of a stored session is told of models and settings counts for nothing, it goes on with
        its own; from then on, they are changes.

        Raises
        ------
        SessionError, MovieError, CheckpointError
            As of `open_session` and `reopen_session`; but not if there is just no place to store a new session.
        """
        if self.folder is not None and is_session(self.folder) and self._is_known:
            return self._change(self.folder, model, setup)
        if self.folder is not None and not self._is_known:
            return self._take(self.folder, setup)
        return self._begin(model, setup)

    def _begin(self, model: str, setup: SessionSetup) -> "TrackingSession":
        from napari_sam2.api import open_session
        from napari_sam2.session_files.session_folder import begin_autosave

        session = open_session(as_video(self._image), model=model, **setup.as_arguments())
        file = movie_file(self._image)
        for folder in new_places(file, self._image.name, self._elsewhere) if self._stores else ():
            try:
                begin_autosave(
                    session,
                    folder,
                    movie=self._image,
                    model=model,
                    precision=setup.precision,
                    file=file,
                    on_written=self._on_written,
                )
            except SessionError as error:
                self.error = error
            else:
                self.folder, self.error, self._is_known = folder, None, True
                break
        before, self._unstored = self._unstored, session if self.folder is None else None
        if before is not None:
            session.take_over(before)
        return session

    def _take(self, folder: Path, setup: SessionSetup) -> "TrackingSession":
        from napari_sam2.session_files.session_folder import open_stored

        try:
            self.stored = open_stored(folder, self._image, device=setup.device, on_written=self._on_written)
        except BaseException:
            # The next click begins a new session.
            self.folder = None
            raise
        self.error, self._is_known, self._unstored = None, True, None
        return self.stored.session

    def _change(self, folder: Path, model: str, setup: SessionSetup) -> "TrackingSession":
        from napari_sam2.session_files.session_folder import open_stored

        self.stored = open_stored(
            folder,
            self._image,
            model=model,
            # It is the same layer, however its pixels were edited since.
            despite_changes=True,
            device=setup.device,
            setup=setup,
            on_written=self._on_written,
        )
        self.error = None
        return self.stored.session

    def _on_written(self, error: AutosaveError | None) -> None:
        self.error = error
