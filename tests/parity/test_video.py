"""The video predictor and the memory bank against what the original computed."""

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose

from parity.one_object import OneObject
from sam2_torch.memory_bank import BACKWARD, FORWARD, stack_selections
from sam2_torch.video_predictor import track

TOLERANCE = {"atol": 1e-3, "rtol": 1e-3}
TO_MODEL = 1024 / 256  # prompts were given in pixels of a 256 x 256 video


def followed_object(model, encoded, num_frames):
    return OneObject(model, partial(encoded, model), num_frames)


def pixels(*xy):
    return [(x * TO_MODEL, y * TO_MODEL) for x, y in xy]


def bfloat16_steps(a, b):
    """How many bfloat16 values lie between a and b."""

    def order(x):
        bits = torch.from_numpy(np.ascontiguousarray(x)).to(torch.bfloat16).view(torch.int16).to(torch.int32)
        return torch.where(bits < 0, -32768 - bits, bits)

    return (order(a) - order(b)).abs().numpy()


def check(recorded, case, label, followed):
    steps = []
    for t in range(followed.num_frames):
        key = f"{case}/obj{label}/frame{t}"
        prediction = followed.predictions[t]
        assert_allclose(prediction.logits[0, 0, ::4, ::4], recorded[f"{key}/logits"], **TOLERANCE, err_msg=key)
        assert_allclose(prediction.pointer[0, ::8], recorded[f"{key}/pointer"], **TOLERANCE, err_msg=key)
        assert_allclose(prediction.object_score, recorded[f"{key}/score"], **TOLERANCE, err_msg=key)
        assert (t in followed.prompted) == bool(recorded[f"{key}/cond"]), key
        ours = followed.memories[t].features[0, ::8, ::8, ::8].float().numpy()
        steps.append(bfloat16_steps(ours, recorded[f"{key}/memory"]))
    assert (np.stack(steps) <= 1).mean() >= 0.999


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.inference_mode():
        yield


@pytest.mark.parametrize(("version", "num_frames"), [("2.1", 6), ("2.0", 4)])
def test_forward_from_a_click_and_from_a_box(version, num_frames, tiny, tiny_2_0, encoded, recorded):
    model = tiny if version == "2.1" else tiny_2_0
    clicked, boxed = (followed_object(model, encoded, num_frames) for _ in range(2))
    clicked.points(0, pixels((75, 80)), [1])
    boxed.points(0, pixels((142, 88), (178, 123)), [2, 3])
    for label, followed in ((1, clicked), (2, boxed)):
        followed.propagate(FORWARD)
        check(recorded, f"{version}/t/forward", label, followed)


def test_correction_on_a_tracked_frame_and_reverse_propagation(tiny, encoded, recorded):
    followed = followed_object(tiny, encoded, 6)
    followed.points(2, pixels((160, 105), (175, 120)), [1, 0])
    followed.propagate(FORWARD)
    followed.points(4, pixels((150, 112)), [1])
    followed.propagate(FORWARD)
    followed.propagate(BACKWARD)
    check(recorded, "2.1/t/correct", 7, followed)


def test_mask_prompt(tiny, encoded, recorded):
    y, x = np.mgrid[:256, :256]
    disc = torch.from_numpy(((x - 120) ** 2 + (y - 190) ** 2 < 900).astype(np.float32))[None, None]
    mask = (F.interpolate(disc, size=(1024, 1024), mode="bilinear", antialias=True) >= 0.5).float()
    followed = followed_object(tiny, encoded, 3)
    followed.mask(0, mask)
    followed.propagate(FORWARD)
    check(recorded, "2.1/t/mask", 3, followed)


def test_objects_in_one_batch_are_the_objects_one_by_one(tiny, encoded):
    first, second = (followed_object(tiny, encoded, 6) for _ in range(2))
    first.points(0, pixels((75, 80)), [1])
    second.points(0, pixels((160, 105)), [1])
    for followed in (first, second):
        followed.remember(0, prompted=True)
    features = encoded(tiny, 1)
    selections = [o.bank.select(1, FORWARD) for o in (first, second)]
    together = track(tiny, features, stack_selections(selections))
    for i, selection in enumerate(selections):
        alone = track(tiny, features, selection)
        assert_allclose(together.logits[i], alone.logits[0], atol=1e-3, rtol=1e-3)
        assert_allclose(together.pointer[i], alone.pointer[0], atol=1e-3, rtol=1e-3)
