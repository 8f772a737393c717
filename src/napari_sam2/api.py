"""Tracking, and finding cells, in a few lines, from a script or the napari console."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.cleaning import Cleaning
from napari_sam2.devices import Precision
from napari_sam2.found_objects import Everything
from napari_sam2.history import HISTORY_BYTES
from napari_sam2.io.movies import TiffMovie, open_movie_file
from napari_sam2.io.stacks import LabelsTiffWriter
from napari_sam2.io.track_lines import TrackLine, write_track_lines
from napari_sam2.io.tracks import TrackRow, write_tracks
from napari_sam2.masklets import Masklet
from napari_sam2.memory_policy import MemoryPolicy
from napari_sam2.models import load_model
from napari_sam2.points import check_transforms
from napari_sam2.points import read_points as read_points
from napari_sam2.prompts import Prompt
from napari_sam2.runs import Run
from napari_sam2.session_files.session_folder import begin_autosave
from napari_sam2.session_files.session_folder import reopen_session as reopen_session
from napari_sam2.settings import EverythingSettings
from napari_sam2.sweeps import Direction
from napari_sam2.tracking_session import FrameResult, TrackingSession
from napari_sam2.tuning import AS_TRAINED, Tuning
from napari_sam2.video import Video

Progress = Callable[[FrameResult, int, int], object]


@dataclass(frozen=True, slots=True)
class TrackResult:
    """Masklets of a movie.

    Attributes
    ----------
    session
        The session they come from, to go on with: correct, add objects, propagate again.
    """

    session: TrackingSession

    @property
    def masklets(self) -> dict[int, Masklet]:
        """By object ID."""
        return self.session.masklets

    def labels(self) -> NDArray[np.uint32]:
        """All masks as (T, Y, X) labels, 0 for none."""
        video = self.session.video
        stack = np.zeros((video.num_frames, *video.shape_yx), np.uint32)
        for t in range(video.num_frames):
            stack[t] = self.session.labels(t)
        return stack

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write them into a folder; see `save_results`."""
        save_results(self.session, folder)


def save_results(session: TrackingSession, folder: str | os.PathLike[str]) -> None:
    """Write the masklets of a session into a folder, which is made if need be: labels, tracks and lineage.

    The files are `labels.tif`, `tracks.csv` and `res_track.txt`; see docs/formats.md.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    video = session.video
    with LabelsTiffWriter(folder / "labels.tif", video.num_frames, video.shape_yx) as writer:
        for t in range(video.num_frames):
            writer.write(t, session.labels(t))
    write_tracks(folder / "tracks.csv", _rows(session))
    write_track_lines(folder / "res_track.txt", _lines(session))


def _rows(session: TrackingSession) -> Iterator[TrackRow]:
    """A row for each mask."""
    for object_id, masklet in sorted(session.masklets.items()):
        for frame, value in zip(*session.confidence(object_id), strict=True):
            yield TrackRow.of(masklet[int(frame)], float(value))


def _lines(session: TrackingSession) -> Iterator[TrackLine]:
    """The lineage of the objects that have masks."""
    spans = {i: masklet.frames for i, masklet in sorted(session.masklets.items()) if masklet}
    parents = session.parents
    for object_id, frames in spans.items():
        parent = parents.get(object_id, 0)
        yield TrackLine(object_id, frames[0], frames[-1], parent if parent in spans else 0)


def open_session(
    movie: Any,
    *,
    model: Any = "cell",
    diameter: float | None = None,
    contrast: tuple[float, float] | None = None,
    device: str = "auto",
    precision: Precision = "float32",
    windows: bool = False,
    max_prompted: int | None = None,
    restart_at_prompts: bool = False,
    memory_policy: str | MemoryPolicy | None = None,
    max_recent: int | None = None,
    cleaning: Cleaning | None = None,
    tuning: Tuning = AS_TRAINED,
    autosave: str | os.PathLike[str] | None = None,
    history_bytes: int = HISTORY_BYTES,
) -> TrackingSession:
    """Start a session on a movie.

    Parameters
    ----------
    movie
        Path, array (T, Y, X) or (T, Y, X, 3), or anything with `.data`, such as a napari image layer.
    model
        A name, a path, or a model that is loaded already; see `load_model`.
    diameter
        Typical diameter of an object in source pixels; estimated by default.
    contrast
        Intensities that become black and white; by default percentiles of sampled frames. A Video has its own.
    device, precision, windows
        See `load_model`.
    max_prompted, restart_at_prompts, memory_policy, max_recent
        What objects remember; see `TrackingSession`.
    cleaning
        How masks are tidied up; by default they are only kept apart. See `Cleaning`.
    tuning
        Thresholds, and sizes of windows and of what is kept; see `Tuning`.
    autosave
        A folder to be made, in which all that is done is stored at once; `reopen_session` opens it again.
    history_bytes
        About how many bytes the steps that `undo` can take back may take; 0 for none at all.

    Raises
    ------
    MovieError, CheckpointError, PromptError
        If the movie, the model or a setting is unusable.
    SessionError
        If there is something in the folder already, or it cannot be written to.
    """
    video = Video.open(movie, contrast=contrast)
    network = model
    if isinstance(model, (str, os.PathLike)):
        network = load_model(os.fspath(model), device=device, precision=precision, windows=windows)
    session = TrackingSession(
        video,
        network,
        diameter=diameter,
        max_prompted=max_prompted,
        restart_at_prompts=restart_at_prompts,
        memory_policy=memory_policy,
        max_recent=max_recent,
        cleaning=cleaning,
        tuning=tuning,
        history_bytes=history_bytes,
    )
    if autosave is not None:
        begin_autosave(session, autosave, movie=movie, model=model, precision=precision, windows=windows)
    return session


def track(
    movie: Any,
    points: Any = (),
    *,
    prompts: Iterable[Prompt] = (),
    direction: Direction = "both",
    first: int | None = None,
    last: int | None = None,
    model: Any = "cell",
    diameter: float | None = None,
    contrast: tuple[float, float] | None = None,
    device: str = "auto",
    precision: Precision = "float32",
    cleaning: Cleaning | None = None,
    progress: Progress | None = None,
) -> TrackResult:
    """Click cells once, get their masklets.

    Parameters
    ----------
    movie
        As for `open_session`.
    points
        Clicks: rows of (t, y, x), each a new object with the IDs 1, 2, ...; or PointPrompts; or the path of a clicks
        file; or a napari points layer with the features `object_id` and `polarity`, in the pixels of the movie.
    prompts
        More prompts, of any kind.
    direction
        "forward" from each object's first prompt, "backward" from its last, or "both" ways from its first.
    first, last
        Lowest and highest frame to visit, both included; by default the whole movie. Prompts outside are answered all
        the same, and their objects join at the border.
    model, diameter, contrast, device, precision, cleaning
        As for `open_session`.
    progress
        Called with each frame's result, how many frames are done, and how many there are in all.

    Raises
    ------
    MovieError, CheckpointError, PromptError
        If the movie, the model or a prompt is unusable.
    PropagationError
        If a frame cannot be tracked. To keep what was done until then, use `open_session`.

    Examples
    --------
    >>> import napari_sam2
    >>> result = napari_sam2.track("movie.tif", points=[(0, 120, 200), (0, 64, 88)])  # doctest: +SKIP
    >>> result.save("tracked")  # doctest: +SKIP
    """
    check_transforms(movie, points)
    session = open_session(
        movie, model=model, diameter=diameter, contrast=contrast, device=device, precision=precision, cleaning=cleaning
    )
    session.set_prompts([*read_points(points), *prompts])
    run(session, direction, progress, first=first, last=last)
    return TrackResult(session)


def run(
    session: TrackingSession,
    direction: Direction = "both",
    progress: Progress | None = None,
    *,
    first: int | None = None,
    last: int | None = None,
) -> None:
    """Propagate all objects of a session and report on it; arguments and errors as of `TrackingSession.propagate`."""
    total, results = (
        session.plan(direction, first=first, last=last),
        session.propagate(direction, first=first, last=last),
    )
    _follow(results, total, progress)


def go_on(
    session: TrackingSession,
    direction: Direction = "both",
    progress: Progress | None = None,
    *,
    first: int | None = None,
    last: int | None = None,
) -> None:
    """As `run`, but frames that the same run has done already, before it was interrupted, are left out."""
    run_before, asked = session.run, Run(direction, session.object_ids, first, last)
    if run_before is None or not run_before.asks_for_the_same(asked):
        run(session, direction, progress, first=first, last=last)
    elif not run_before.is_done:
        _follow(session.resume(), session.remaining(), progress)


def update(session: TrackingSession, progress: Progress | None = None) -> None:
    """Carry corrections on as `TrackingSession.update` does, and report on it; how many frames come is never known."""
    for done, result in enumerate(session.update(), start=1):
        if progress is not None:
            progress(result, done, done)


def _follow(results: Iterable[FrameResult], total: int, progress: Progress | None) -> None:
    for done, result in enumerate(results, start=1):
        if progress is not None:
            progress(result, done, total)


def everything(
    image: Any,
    *,
    frame: int = 0,
    model: Any = "cell",
    diameter: float | None = None,
    contrast: tuple[float, float] | None = None,
    device: str = "auto",
    precision: Precision = "float32",
    settings: EverythingSettings | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Everything:
    """Find all cells in a picture, without a click.

    Parameters
    ----------
    image
        A picture (Y, X), or (Y, X, 3) in color; a movie, of which one frame is taken; a path or a layer of either.
    frame
        Which frame of a movie.
    model, diameter, contrast, device, precision
        As for `open_session`.
    settings
        Which masks count as objects.
    progress
        Called with how many points were asked, and how many there are; it counts anew when the diameter is known.

    Raises
    ------
    MovieError, CheckpointError, PromptError
        If the picture, the model or a setting is unusable.
    PropagationError
        If the network fails.

    Examples
    --------
    >>> import napari_sam2
    >>> cells = napari_sam2.everything("colony.tif")  # doctest: +SKIP
    >>> labels = cells.labels()  # doctest: +SKIP
    """
    session = open_session(
        _as_movie(image), model=model, diameter=diameter, contrast=contrast, device=device, precision=precision
    )
    search = session.everything(frame, settings=settings)
    while True:
        try:
            step = next(search)
        except StopIteration as end:
            found: Everything = end.value
            return found
        if progress is not None:
            progress(step.done, step.total)


def _as_movie(image: Any) -> Any:
    """A picture as a movie of one frame; a movie stays what it is."""
    data = open_movie_file(Path(image)) if isinstance(image, (str, os.PathLike)) else image
    data = data if hasattr(data, "dtype") else getattr(data, "data", data)
    data = data[0] if isinstance(data, Sequence) and len(data) else data
    shape = tuple(getattr(data, "shape", ()))
    if len(shape) != 2 and (len(shape) != 3 or shape[-1] not in (3, 4)):
        return image
    return np.asarray(data[()] if isinstance(data, TiffMovie) else data).reshape(1, *shape)
