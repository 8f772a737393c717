"""Which of its masks a model answers a correction with."""

from dataclasses import replace

import pytest
import torch

from sam2_torch.config import CELL
from sam2_torch.network import SAM2
from sam2_torch.outputs import PointTokens
from sam2_torch.video_predictor import encode_frame, segment


@pytest.mark.parametrize("ambiguous", [False, True])
@torch.inference_mode()
def test_a_correction_of_two_clicks_is_the_best_of_three_if_the_model_says_so(ambiguous: bool) -> None:
    torch.manual_seed(0)
    model = SAM2(replace(CELL, ambiguous_corrections=ambiguous)).eval()
    features = encode_frame(model, torch.rand(1, 3, 64, 64))
    clicks = PointTokens(torch.tensor([[[20.0, 20.0], [40.0, 40.0]]]), torch.tensor([[1, 0]]))
    first = segment(model, features, clicks)
    corrected = segment(model, features, clicks, previous_logits=first.logits)
    assert first.candidates.shape[1] == 1, "two clicks are not ambiguous by themselves"
    assert corrected.candidates.shape[1] == (3 if ambiguous else 1)
    assert corrected.predicted_iou == corrected.candidate_ious.max()
