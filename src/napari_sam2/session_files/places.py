"""Where sessions are stored if nobody says where, and where one of a movie is found again. No torch here."""

import os
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from platformdirs import user_data_path

from napari_sam2.session_files.database import FILE_NAME, is_session

SUFFIX = ".sam2"


def sessions_folder() -> Path:
    """NAPARI_SAM2_SESSIONS, or else the folder `sessions` in the platform's data folder of this user."""
    given = os.environ.get("NAPARI_SAM2_SESSIONS", "")
    return Path(given).expanduser() if given else user_data_path("napari-sam2", appauthor=False) / "sessions"


def new_places(movie: Path | None, name: str, elsewhere: Path | None = None) -> Iterator[Path]:
    """Folders that a new session may be made in, the best first; none of them is there.

    Parameters
    ----------
    movie
        The movie's file or folder, if it has one: the first choice is beside it.
    name
        What the movie is called, for a place elsewhere, together with the time.
    elsewhere
        That place; by default `sessions_folder()`.
    """
    if movie is not None and os.access(movie.parent, os.W_OK):
        yield _free(movie.parent, movie.stem)
    spoken = re.sub(r"[^\w-]+", "_", name)[:60].strip("_") or "movie"
    yield _free(elsewhere or sessions_folder(), f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{spoken}")


def session_beside(movie: Path) -> Path | None:
    """The session beside a movie that was written to last, of those with its name: movie.sam2, movie-2.sam2, ..."""
    ours = re.compile(rf"{re.escape(movie.stem)}(-\d+)?{re.escape(SUFFIX)}")
    try:
        found = [path for path in movie.parent.iterdir() if ours.fullmatch(path.name) and is_session(path)]
        return max(found, key=_written, default=None)
    except OSError:
        return None


def _free(parent: Path, name: str) -> Path:
    path, number = parent / f"{name}{SUFFIX}", 2
    while path.exists():
        path, number = parent / f"{name}-{number}{SUFFIX}", number + 1
    return path


def _written(folder: Path) -> float:
    return max(path.stat().st_mtime for path in folder.glob(f"{FILE_NAME}*"))
