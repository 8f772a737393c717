"""Where a user would click to correct a mask."""

import numpy as np

from napari_sam2.evaluation.correction import corrective_click
from napari_sam2.prompts import PointPrompt


def test_clicks_are_in_the_middle_of_the_deeper_error():
    truth, found = np.zeros((20, 40), bool), np.zeros((20, 40), bool)
    truth[2:13, 2:13] = True
    assert corrective_click(truth, found, frame=3, object_id=7) == PointPrompt(3, 7, 7, 7)
    found[2:13, 2:13] = True
    assert corrective_click(truth, found, frame=3, object_id=7) is None
    found[2:7, 20:25] = True
    assert corrective_click(truth, found, frame=3, object_id=7) == PointPrompt(3, 7, 4, 22, positive=False)
    found[4:11, 4:11] = False
    assert corrective_click(truth, found, frame=3, object_id=7) == PointPrompt(3, 7, 7, 7)
