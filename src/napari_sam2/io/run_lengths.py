"""Masklets of SA-V: JSON with run-length masks as of COCO."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.errors import EvaluationError, MissingExtraError
from napari_sam2.io.label_movie import LabelMovie

SAV_STEP = 4
"""SA-V annotates 6 of 24 frames a second."""


def open_sav_masklets(path: Path) -> LabelMovie:
    """Open `sav_NNNNNN_manual.json` or `_auto.json`: `masklet[k][i]` is the mask of object i on frame 4 k.

    IDs are those of the file plus one, for 0 is background. Where masks overlap, the smaller ID wins. The file is read
    whole, masks are decoded frame by frame.

    Raises
    ------
    EvaluationError
        If the file is no such JSON.
    MissingExtraError
        If pycocotools is not installed.
    """
    decode = _decoder()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        frames: list[list[Any]] = content["masklet"]
        shape = int(content["video_height"]), int(content["video_width"])
        ids = [int(i) + 1 for i in content.get("masklet_id", range(len(frames[0])))]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as exc:
        raise EvaluationError(
            f"cannot read {path} as SA-V masklets ({type(exc).__name__}: {exc}): expected a JSON with masklet, "
            "video_height and video_width"
        ) from exc

    def read(k: int) -> NDArray[Any]:
        labels = np.zeros(shape, np.int64)
        for object_id, code in sorted(zip(ids, frames[k], strict=True), key=lambda pair: pair[0], reverse=True):
            if code:
                labels[decode(code) > 0] = object_id
        return labels

    numbers = tuple(range(0, SAV_STEP * len(frames), SAV_STEP))
    return LabelMovie(path.name, numbers, shape, read, numbered=True)


def _decoder() -> Any:
    try:
        from pycocotools import mask
    except ImportError as exc:
        raise MissingExtraError(
            'masks of SA-V need pycocotools, which is not installed: pip install "napari-sam2[evaluate]"'
        ) from exc
    return mask.decode
