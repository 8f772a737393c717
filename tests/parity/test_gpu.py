"""The same numbers on a CUDA device as on the CPU."""

import pytest
import torch
from numpy.testing import assert_allclose

from parity.reference import spec
from sam2_torch.image_predictor import ImagePredictor


@pytest.mark.gpu
def test_image_predictor_on_cuda(tiny):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    image = spec.frame(0) / 255
    cpu = ImagePredictor(tiny)
    expected = cpu.predict(cpu.encode(image), points_xy=[(300, 320)], labels=[1])
    try:
        cuda = ImagePredictor(tiny.to("cuda"))
        found = cuda.predict(cuda.encode(image), points_xy=[(300, 320)], labels=[1])
    finally:
        tiny.to("cpu")
    assert_allclose(found.logits, expected.logits, atol=1e-3, rtol=1e-3)
    assert_allclose(found.predicted_iou, expected.predicted_iou, atol=1e-3, rtol=1e-3)
