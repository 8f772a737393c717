"""The movie and the model that a stored session was made with, found again and checked."""

import os
from typing import TYPE_CHECKING, Any

from napari_sam2.errors import SessionError
from napari_sam2.models import load_model
from napari_sam2.session_files.database import Database
from napari_sam2.session_files.identity import ModelIdentity, MovieIdentity, is_on_a_share, weights_hash
from napari_sam2.video import Video

if TYPE_CHECKING:
    from sam2_torch.network import SAM2


def find_movie(database: Database, known: MovieIdentity, given: Any, despite_changes: bool) -> tuple[Video, Any]:
    """The movie, checked; and the source it was opened from."""
    folder = database.folder
    if given is None:
        given = known.find(folder)
    if given is None:
        was = "an array or a layer" if known.path is None else f"{known.path}, which is not there"
        raise SessionError(
            f"the movie of the session in {folder} was {was}: give it as `reopen_session({str(folder)!r}, movie)`, "
            "or its path on the command line"
        )
    if isinstance(given, Video):
        video = given.shown_at(known.contrast)
    else:
        video = Video.open(given, known.choice, contrast=known.contrast)
    differences = known.differences(video)
    has_other_shape = (video.num_frames, *video.shape_yx) != known.shape
    if differences and (has_other_shape or not despite_changes):
        way = (
            "give the movie it was made on"
            if has_other_shape
            else ("give the movie it was made on, or go on with this one in Python, with `despite_changes=True`")
        )
        raise SessionError(f"{video.name} is not the movie of the session in {folder}: {'; '.join(differences)}; {way}")
    return video, given


def find_model(
    database: Database, known: ModelIdentity, given: Any, device: str, despite_changes: bool
) -> tuple["SAM2", Any, bool]:
    """The model, what it was loaded from, and whether it is the one that the session was made with."""
    if given is None and known.name is not None and is_on_a_share(known.name):
        raise SessionError(
            f"the model of the session in {database.folder} is on another machine, {known.name}, where nothing is "
            "looked for: reopen it in Python, and give the model as `model=`"
        )
    given = known.name if given is None else given
    if given is None:
        raise SessionError(
            f"the session in {database.folder} was made with a model that had been loaded already: "
            "reopen it in Python, and give the model as `model=`"
        )
    network: SAM2 = given
    if isinstance(given, (str, os.PathLike)):
        precision: Any = known.precision
        network = load_model(os.fspath(given), device=device, precision=precision, windows=known.windows)
    is_same = weights_hash(network) == known.sha256
    if not is_same and not despite_changes:
        raise SessionError(
            f"the model is not the one that the session in {database.folder} was made with "
            f"({known.name or 'one that had been loaded'}, SHA-256 {known.sha256[:12]}...): take that one, "
            "or go on with this one in Python, with `despite_changes=True`"
        )
    return network, given, is_same
