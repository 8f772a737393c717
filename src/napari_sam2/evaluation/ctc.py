"""SEG, DET and TRA of the Cell Tracking Challenge, by the library py-ctcmetrics.

SEG: Maska et al., *A benchmark for comparison of cell tracking algorithms*, 2014. DET and TRA: Matula et al., *Cell
tracking accuracy measurement based on comparison of acyclic oriented graphs*, 2015. They count all cells of the truth
and all masks of the result, whoever was clicked.
"""

import contextlib
import io
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_sam2.errors import EvaluationError, MissingExtraError
from napari_sam2.evaluation.overlap import check_shapes
from napari_sam2.io.label_movie import LabelMovie, Labels
from napari_sam2.io.track_lines import TrackLine, write_track_lines


@dataclass(frozen=True, slots=True)
class CtcScores:
    """SEG, DET and TRA, each 0 to 1."""

    seg: float
    det: float
    tra: float


def measure_ctc(truth: Labels, labels: Labels) -> CtcScores:
    """Measure SEG, DET and TRA.

    Objects that are gone for some frames become tracks of which each goes on from the one before, as the challenge
    asks. Parents that are still there when a daughter begins, as of yeast that buds, cannot be put down in its format:
    such links are left out, on both sides.

    Parameters
    ----------
    truth, labels : (T, Y, X)
        IDs need not agree. Of a `LabelMovie`, `lines` tell the lineage, and `segmentation` what SEG is measured on.

    Raises
    ------
    EvaluationError
        If the shapes differ, the truth is empty, or its `segmentation` is of other frames than those compared.
    MissingExtraError
        If py-ctcmetrics is not installed.
    """
    evaluate = _library()
    check_shapes(truth, labels)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        found = _write_tracks(labels, folder / "RES", "mask", "res_track.txt")
        if not _write_tracks(truth, folder / "GT" / "TRA", "man_track", "man_track.txt"):
            raise EvaluationError("the truth has no object on any frame: nothing can be compared with it")
        if not found:
            return CtcScores(0.0, 0.0, 0.0)
        _write_segmentation(truth, folder / "GT" / "SEG")
        # It prints what it does; and it must not start processes of its own.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(record=True) as complaints:
            warnings.simplefilter("always")
            scores = evaluate(str(folder / "RES"), str(folder / "GT"), ["Valid", "SEG", "DET", "TRA"], 1)
    if not scores["Valid"]:
        raise EvaluationError(
            f"py-ctcmetrics takes the tracks for invalid ({complaints[0].message if complaints else ''})"
        )
    return CtcScores(*(float(scores[name]) for name in ("SEG", "DET", "TRA")))


def split_at_gaps(ids_by_frame: Sequence[set[int]], lines: Sequence[TrackLine] = ()) -> list[tuple[int, TrackLine]]:
    """Make tracks without gaps: (ID, track), the tracks numbered from 1 on.

    Parameters
    ----------
    ids_by_frame
        The IDs on each of T frames.
    lines
        Who is whose parent; begins and ends are as the frames have them.
    """
    runs: list[tuple[int, int, int]] = []
    for object_id in sorted(set().union(*ids_by_frame)):
        frames = [t for t, ids in enumerate(ids_by_frame) if object_id in ids]
        starts = [t for k, t in enumerate(frames) if k == 0 or frames[k - 1] != t - 1]
        ends = [t for k, t in enumerate(frames) if k == len(frames) - 1 or frames[k + 1] != t + 1]
        runs += [(object_id, start, end) for start, end in zip(starts, ends, strict=True)]
    parents = {line.label: line.parent for line in lines}
    last: dict[int, int] = {object_id: k for k, (object_id, _, _) in enumerate(runs, start=1)}
    tracks: list[tuple[int, TrackLine]] = []
    for k, (object_id, start, end) in enumerate(runs, start=1):
        goes_on = k > 1 and runs[k - 2][0] == object_id
        parent = k - 1 if goes_on else last.get(parents.get(object_id, 0), 0)
        if parent and runs[parent - 1][2] >= start:
            parent = 0
        tracks.append((object_id, TrackLine(k, start, end, parent)))
    return tracks


def _write_tracks(labels: Labels, folder: Path, stem: str, name: str) -> bool:
    """Write a folder as the challenge has them; returns whether there is any object."""
    folder.mkdir(parents=True)
    lines = labels.lines if isinstance(labels, LabelMovie) else None
    tracks = split_at_gaps([set(np.unique(frame).tolist()) - {0} for frame in labels], lines or ())
    for t, frame in enumerate(labels):
        ids = np.array([0, *(i for i, track in tracks if track.begin <= t <= track.end)])
        numbers = np.array([0, *(track.label for _, track in tracks if track.begin <= t <= track.end)])
        order = np.argsort(ids)
        _write_frame(folder / f"{stem}{t:05d}.tif", numbers[order][np.searchsorted(ids[order], frame)])
    if labels.shape[0] == 1:
        # The library needs two frames to look for links between.
        _write_frame(folder / f"{stem}{1:05d}.tif", np.zeros(labels.shape[1:], np.int64))
    write_track_lines(folder / name, [line for _, line in tracks])
    return bool(tracks)


def _write_segmentation(truth: Labels, folder: Path) -> None:
    folder.mkdir()
    exact = truth.segmentation if isinstance(truth, LabelMovie) else None
    if exact is None or not isinstance(truth, LabelMovie):
        for t, frame in enumerate(truth):
            _write_frame(folder / f"man_seg{t:05d}.tif", np.unique(frame, return_inverse=True)[1].reshape(frame.shape))
        return
    compared = {number: k for k, number in enumerate(exact.numbers) if number in truth.numbers}
    if not compared:
        raise EvaluationError(f"{exact.name} has none of the frames that are compared; leave SEG out, or compare more")
    for number, k in compared.items():
        _write_frame(folder / f"man_seg{truth.numbers.index(number):05d}.tif", exact.frame(k))


def _write_frame(path: Path, labels: NDArray[Any]) -> None:
    # The library takes the smallest label for the background, so that there must be some; and it adds to the labels.
    tifffile.imwrite(path, np.pad(labels, 1).astype(np.int32), compression="zlib")


def _library() -> Callable[..., dict[str, Any]]:
    try:
        from ctc_metrics import evaluate_sequence
    except ImportError as exc:
        raise MissingExtraError(
            'SEG, DET and TRA need py-ctcmetrics, which is not installed: pip install "napari-sam2[evaluate]"'
        ) from exc
    measure: Callable[..., dict[str, Any]] = evaluate_sequence
    return measure
