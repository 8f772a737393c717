"""Write the session that a later version must still open: `python tests/session_files/make_golden.py`.

It is made once for each version of the format, by the version that introduced it, and never again.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import pytest

from napari_sam2.cleaning import Cleaning
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt
from napari_sam2.session_files.schema import FORMAT_VERSION
from toy_model import ToyModel
from toy_scene import FAST, STILL, STILL_YX, click, truth
from toy_session import begin

FOLDER = Path(__file__).parent / f"version-{FORMAT_VERSION}.sam2"

if __name__ == "__main__":
    toy = ToyModel().install(pytest.MonkeyPatch())
    session = begin(toy, FOLDER, max_prompted=4, cleaning=Cleaning(fill_holes=3))
    session.add_prompts(click(2, 1, FAST), BoxPrompt(3, 2, 170, 310, 210, 350))
    session.add_prompts(MaskPrompt(4, 5, truth()[4] == STILL), PointPrompt(4, 5, *STILL_YX))
    for _ in session.propagate("forward"):
        pass
    session.add_prompts(click(6, 1, FAST, 4), PointPrompt(8, 2, 20, 20.25, positive=False))
    session.segment(6, 1)
    for result in session.propagate("both"):
        if result.frame == 9:
            break
    session.approve(2, 6)
    session.close()
    (FOLDER / "lock").unlink()
