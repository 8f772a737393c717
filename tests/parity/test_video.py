"""The video predictor and the memory bank against what the original computed.

The driver below does what a caller does: it keeps each object's bank, stores memories in bfloat16, keeps the prediction
of a prompted frame until propagation starts, and passes over prompted frames.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose

from sam2_torch.memory_bank import BACKWARD, FORWARD, MemoryBank, MemoryRules
from sam2_torch.outputs import MaskInput, PointTokens
from sam2_torch.video_predictor import memorize, segment, track

TOLERANCE = {"atol": 1e-3, "rtol": 1e-3}
TO_MODEL = 1024 / 256  # prompts were given in pixels of a 256 x 256 video


class OneObject:
    """One object of one movie, followed with the four functions."""

    def __init__(self, model, encoded, num_frames):
        self.model, self.encode = model, lambda t: encoded(model, t)
        # The original divides pointer distances by the length of the movie where that is short.
        self.bank = MemoryBank(MemoryRules(max_pointers=min(16, num_frames)))
        self.predictions, self.prompted, self.num_frames = {}, {}, num_frames
        self.memories = {}

    def points(self, frame, xy, labels):
        tokens = PointTokens(torch.tensor([xy], dtype=torch.float32) * TO_MODEL, torch.tensor([labels]))
        before = self.predictions.get(frame)
        self.prompted[frame] = self.predictions[frame] = segment(
            self.model,
            self.encode(frame),
            tokens,
            memories=self.bank.select(frame, FORWARD) if before is not None else None,
            previous_logits=None if before is None else before.logits,
        )

    def mask(self, frame, mask):
        self.prompted[frame] = self.predictions[frame] = segment(self.model, self.encode(frame), MaskInput(mask))

    def _remember(self, t, *, prompted):
        memory = memorize(self.model, self.encode(t), self.predictions[t], prompted=prompted).to(torch.bfloat16)
        self.bank.add(t, memory, prompted=prompted)
        self.memories[t] = memory

    def propagate(self, direction):
        for t in self.prompted:
            if t not in self.bank.prompted or self.predictions[t] is not self.prompted[t]:
                self._remember(t, prompted=True)
        start, stop = min(self.prompted), (self.num_frames if direction == FORWARD else -1)
        for t in range(start, stop, direction):
            if t not in self.prompted:
                self.predictions[t] = track(self.model, self.encode(t), self.bank.select(t, direction))
                self._remember(t, prompted=False)


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
    clicked, boxed = (OneObject(model, encoded, num_frames) for _ in range(2))
    clicked.points(0, [(75, 80)], [1])
    boxed.points(0, [(142, 88), (178, 123)], [2, 3])
    for label, followed in ((1, clicked), (2, boxed)):
        followed.propagate(FORWARD)
        check(recorded, f"{version}/t/forward", label, followed)


def test_correction_on_a_tracked_frame_and_reverse_propagation(tiny, encoded, recorded):
    followed = OneObject(tiny, encoded, 6)
    followed.points(2, [(160, 105), (175, 120)], [1, 0])
    followed.propagate(FORWARD)
    followed.points(4, [(150, 112)], [1])
    followed.propagate(FORWARD)
    followed.propagate(BACKWARD)
    check(recorded, "2.1/t/correct", 7, followed)


def test_mask_prompt(tiny, encoded, recorded):
    y, x = np.mgrid[:256, :256]
    disc = torch.from_numpy(((x - 120) ** 2 + (y - 190) ** 2 < 900).astype(np.float32))[None, None]
    mask = (F.interpolate(disc, size=(1024, 1024), mode="bilinear", antialias=True) >= 0.5).float()
    followed = OneObject(tiny, encoded, 3)
    followed.mask(0, mask)
    followed.propagate(FORWARD)
    check(recorded, "2.1/t/mask", 3, followed)


def test_objects_in_one_batch_are_the_objects_one_by_one(tiny, encoded):
    from sam2_torch.memory_bank import stack_selections

    first, second = (OneObject(tiny, encoded, 6) for _ in range(2))
    first.points(0, [(75, 80)], [1])
    second.points(0, [(160, 105)], [1])
    for followed in (first, second):
        followed._remember(0, prompted=True)
    features = encoded(tiny, 1)
    selections = [o.bank.select(1, FORWARD) for o in (first, second)]
    together = track(tiny, features, stack_selections(selections))
    for i, selection in enumerate(selections):
        alone = track(tiny, features, selection)
        assert_allclose(together.logits[i], alone.logits[0], atol=1e-3, rtol=1e-3)
        assert_allclose(together.pointer[i], alone.pointer[0], atol=1e-3, rtol=1e-3)
