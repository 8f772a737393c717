"""Choice of device and precision, and what happens when a device fails in the middle of a movie."""

import dataclasses
import os

import numpy as np
import pytest
import torch

from napari_sam2 import devices, frame_encoder, propagation
from napari_sam2.devices import choose_device, choose_precision, is_out_of_memory
from napari_sam2.errors import DeviceError, NapariSam2Warning, PropagationError
from napari_sam2.models import load_model
from napari_sam2.prompts import PointPrompt
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.video import Video
from sam2_torch.build import build
from sam2_torch.config import CELL

CPU = torch.device("cpu")


@pytest.fixture
def session():
    torch.manual_seed(0)
    frames = np.random.default_rng(0).integers(0, 255, (4, 96, 96), dtype=np.uint8)
    session = TrackingSession(Video(frames), build(CELL).requires_grad_(False), diameter=24)
    session.set_prompts([PointPrompt(0, i, 12.0 * i, 48.0) for i in range(1, 7)])
    return session


def _answer_all(session):
    for object_id in session.object_ids:
        session.segment(0, object_id)


def test_a_device_that_is_not_there_is_refused_with_those_that_are():
    assert choose_device("cpu") == CPU
    with pytest.raises(DeviceError, match=r"cuda:77.*auto, cpu"):
        choose_device("cuda:77")


def test_precision(monkeypatch):
    for fast in (True, False):
        monkeypatch.setattr(devices, "is_made_for_bfloat16", lambda _, fast=fast: fast)
        assert choose_precision("float32", CPU) == torch.float32
        assert choose_precision("auto", CPU) == (torch.bfloat16 if fast else torch.float32)
    with pytest.raises(DeviceError, match="not made for bfloat16"):
        choose_precision("bfloat16", CPU)
    with pytest.raises(DeviceError, match="half"):
        choose_precision("half", CPU)


def test_a_model_in_bfloat16(monkeypatch):
    monkeypatch.setattr(devices, "is_made_for_bfloat16", lambda _: True)
    assert load_model("cell", device="cpu").precision == torch.float32
    assert load_model("cell", device="cpu", precision="auto").precision == torch.bfloat16
    with pytest.raises(DeviceError, match="CUDA"):
        load_model("cell", device="cpu", compiled=True)


def test_only_cpus_with_bfloat16_in_hardware_are_made_for_it(monkeypatch):
    for has in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda has=has: has, raising=False)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
        assert devices.is_made_for_bfloat16(CPU) is has
    assert not devices.is_made_for_bfloat16(torch.device("mps"))


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory"), True),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error, is_it):
    assert is_out_of_memory(error) is is_it


def test_row06_out_of_memory_halves_the_batch_and_carries_on(session, monkeypatch):
    _answer_all(session)
    expected = {r.frame: [(m.object_id, m.area) for m in r.masks] for r in session.propagate("forward")}
    real, sizes = propagation.track, []

    def small_device(model, features, memories, **more):
        sizes.append(len(memories.steps))
        if len(memories.steps) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(model, features, memories)

    monkeypatch.setattr(propagation, "track", small_device)
    found = {r.frame: [(m.object_id, m.area) for m in r.masks] for r in session.propagate("forward")}
    assert sizes[:2] == [6, 3]
    assert set(sizes[2:]) <= {1, 2}, "the smaller batch is kept"
    assert found.keys() == expected.keys()
    for frame in found:
        assert [i for i, _ in found[frame]] == [i for i, _ in expected[frame]]
        assert np.allclose([a for _, a in found[frame]], [a for _, a in expected[frame]], atol=3)


def test_a_device_too_small_for_one_object_says_so(session, monkeypatch):
    def no_device(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    _answer_all(session)
    monkeypatch.setattr(propagation, "track", no_device)
    with pytest.raises(PropagationError, match=r"frame 1.*out of memory.*smaller model"):
        list(session.propagate("forward"))


class OnApple(torch.nn.Module):
    """A network that believes to be on Apple's GPU until it is moved."""

    def __init__(self, network):
        super().__init__()
        self.network, self.config, self.where = network, network.config, "mps"

    @property
    def device(self):
        # Work is done on the CPU throughout; only the name is asked for by the code under test.
        return type("Device", (), {"type": self.where, "__str__": lambda d: d.type})()

    def to(self, where):
        self.where = where
        return self


def test_numbers_that_are_not_finite_go_to_the_cpu_from_apples_gpu(session, monkeypatch):
    _answer_all(session)
    follower = session._follower
    apple, real, tried = OnApple(session._follower.model), propagation.track, []

    def wrong_on_apple(model, features, memories, **more):
        tried.append(model.where)
        prediction = real(model.network, features, memories, **more)
        if model.where == "mps":
            return dataclasses.replace(prediction, logits=prediction.logits * torch.nan)
        return prediction

    monkeypatch.setattr(propagation, "track", wrong_on_apple)
    monkeypatch.setattr(propagation, "memorize", lambda m, *a, f=propagation.memorize, **k: f(m.network, *a, **k))
    monkeypatch.setattr(frame_encoder, "encode_frame", lambda m, *a, f=frame_encoder.encode_frame: f(m.network, *a))
    for kind in ("MemorySelection", "MaskPrediction"):
        monkeypatch.setattr(getattr(propagation, kind), "to", lambda self, _: self)
    monkeypatch.setattr(
        torch.Tensor,
        "to",
        lambda self, *a, f=torch.Tensor.to: (
            self if "type" in dir(a[0]) and not isinstance(a[0], torch.device) else f(self, *a)
        ),
    )
    follower.model = follower.encoder.model = follower._runs._model = apple
    with pytest.warns(NapariSam2Warning, match=r"mps.*CPU"):
        results = list(session.propagate("forward"))
    assert tried == ["mps", "cpu", "cpu", "cpu"]
    assert len(results) == 4 or len(results) == 3


@pytest.mark.parametrize(("function", "number"), [("track", "object_score"), ("memorize", "features")])
def test_numbers_that_are_not_finite_elsewhere_are_an_error_and_are_not_kept(session, monkeypatch, function, number):
    _answer_all(session)
    real = getattr(propagation, function)

    def wrong(*args, **more):
        made = real(*args, **more)
        return dataclasses.replace(made, **{number: getattr(made, number) * torch.nan})

    with monkeypatch.context() as patch, pytest.raises(DeviceError, match=r"not finite.*cpu"):
        patch.setattr(propagation, function, wrong)
        list(session.propagate("forward"))
    assert all(len(result.masks) for result in session.propagate("forward"))


@pytest.mark.parametrize(("told", "kept"), [(None, "256"), ("7", "7")])
def test_few_kernels_are_kept_unless_the_environment_says_otherwise(monkeypatch, told, kept):
    name = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
    monkeypatch.delenv(name, raising=False)
    if told is not None:
        monkeypatch.setenv(name, told)
    load_model("cell", device="cpu")
    assert os.environ[name] == kept
