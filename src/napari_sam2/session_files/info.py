"""What a session's folder holds, in words."""

from pathlib import Path
from typing import Any

from napari_sam2.errors import SessionError
from napari_sam2.session_files.database import Database, damaged
from napari_sam2.session_files.identity import ModelIdentity, MovieIdentity
from napari_sam2.session_files.store import read_meta
from napari_sam2.session_files.values import run_from_json


def describe(folder: Path) -> dict[str, str]:
    """What is in a session, by name, to be shown to people.

    Raises
    ------
    SessionError
        If there is no session, or it is damaged or of a newer format.
    """
    database = Database.open(folder, read_only=True)
    try:
        meta = read_meta(database)
        return _words(meta, database)
    except SessionError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise damaged(folder, error) from error
    finally:
        database.close()


def _words(meta: dict[str, Any], database: Database) -> dict[str, str]:
    movie, model = MovieIdentity.from_json(meta["movie"]), ModelIdentity.from_json(meta["model"])
    run = run_from_json(meta["run"])
    num_frames, height, width = movie.shape

    def one(sql: str) -> Any:
        return database.rows(sql)[0]

    (objects,) = one("SELECT count(*) FROM objects")
    (prompts,) = one("SELECT count(*) FROM prompts")
    masks, first, last = one("SELECT count(*), min(frame), max(frame) FROM frames WHERE state = 1")
    (approved,) = one("SELECT count(*) FROM marks WHERE is_approved")
    progress = "none"
    if run is not None:
        how = "done" if run.is_done else f"interrupted after frame {run.frame}"
        progress = f"{run.direction}, {len(run.object_ids)} objects, {how}"
    return {
        "created": f"{meta['created']} by napari-sam2 {meta['written_by']}",
        "movie": f"{movie.path or 'an array'}, {num_frames} frames of {height} x {width}, {movie.dtype}"
        + (f", {movie.choice}" if movie.choice else ""),
        "model": f"{model.name or 'loaded by the caller'}, SHA-256 {model.sha256[:12]}..., {model.precision}",
        "objects": f"{objects}",
        "prompts": f"{prompts}",
        "masks": f"{masks}" if not masks else f"{masks}, frames {first} to {last}",
        "approved": f"{approved}",
        "propagation": progress,
    }


def stored_movie(folder: Path) -> MovieIdentity:
    """The movie that a session was made on. Raises as `describe` does."""
    database = Database.open(folder, read_only=True)
    try:
        return MovieIdentity.from_json(read_meta(database)["movie"])
    except SessionError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise damaged(folder, error) from error
    finally:
        database.close()
