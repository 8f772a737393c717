"""On a CUDA device: the same numbers as on the CPU, the same masks in bfloat16 and compiled."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from napari_sam2.evaluation.overlap import true_clicks
from napari_sam2.models import load_model
from napari_sam2.synthetic import MovieSpec, render_movie
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.video import Video
from parity.reference import spec
from sam2_torch.image_predictor import ImagePredictor

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def movie():
    return render_movie(MovieSpec(seed=7, num_frames=12, shape_yx=(256, 256), diameter=36.0))


def tracked(movie, **options):
    session = TrackingSession(Video(movie.frames), load_model("cell", **options), diameter=36)
    session.set_prompts(true_clicks(movie.labels[0], max_objects=8))
    for _ in session.propagate("forward"):
        pass
    return np.stack([session.labels(t) for t in range(len(movie.frames))])


def agreement(a, b):
    """Mean IoU of the objects of two labelled movies."""
    ids = np.unique(a[a > 0])
    assert len(ids) >= 6
    return np.mean([((a == i) & (b == i)).sum() / ((a == i) | (b == i)).sum() for i in ids])


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


def test_a_movie_on_cuda_is_tracked_as_on_the_cpu(movie):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    assert agreement(tracked(movie, device="cpu"), tracked(movie, device="cuda")) > 0.99


def test_a_movie_in_bfloat16_on_cuda_is_tracked_as_in_float32(movie):
    assert agreement(tracked(movie, device="cuda"), tracked(movie, device="cuda", precision="bfloat16")) > 0.97


def test_a_compiled_model_tracks_as_one_that_is_not(movie):
    plain = tracked(movie, device="cuda", precision="bfloat16")
    assert agreement(plain, tracked(movie, device="cuda", precision="bfloat16", compiled=True)) > 0.97
