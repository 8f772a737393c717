"""Labels of one frame as prompts."""

import os
import tracemalloc
import warnings

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from napari_sam2 import network_runs, prompts_from_labels, propagation
from napari_sam2.api import open_session
from napari_sam2.errors import PromptError
from napari_sam2.prompts import MAX_OBJECT_ID
from toy_scene import FAST, STILL, iou, open_scene, truth


def two(dtype=np.int32, values=(1, 7)):
    labels = np.zeros((20, 30), dtype)
    labels[2:6, 3:9], labels[10:15, 20:30] = values
    return labels


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, ">u2", np.uint32, np.int64, np.uint64, np.float32])
def test_row11_an_object_keeps_its_label_as_id(dtype):
    labels = two(dtype)
    prompts = prompts_from_labels(labels, 3)
    assert [(p.object_id, p.frame, p.offset) for p in prompts] == [(1, 3, (2, 3)), (7, 3, (10, 20))]
    for prompt in prompts:
        np.testing.assert_array_equal(prompt.mask, labels == prompt.object_id)
    assert len(prompts_from_labels(two(bool, (True, True)), 0, min_area=30)) == 1


def test_row19_labels_of_any_size_are_ids_or_refused():
    assert [p.object_id for p in prompts_from_labels(two(np.int64, (5, MAX_OBJECT_ID - 1)), 0)] == [
        5,
        MAX_OBJECT_ID - 1,
    ]
    with pytest.raises(PromptError, match="labels go up to 4294967296, and object IDs to 4294967295: renumber them"):
        prompts_from_labels(two(np.int64, (5, MAX_OBJECT_ID + 1)), 0)


def test_row42_ids_that_are_taken_are_not_given_again():
    assert [p.object_id for p in prompts_from_labels(two(), 0, taken=[7, 9])] == [1, 10]
    assert [p.object_id for p in prompts_from_labels(two(), 0, taken=[1, 7], first_free=40)] == [40, 41]
    assert [p.object_id for p in prompts_from_labels(two(), 0, taken=[1], first_free=4)] == [8, 7]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((20, 30), int), "no object of at least 1 pixels"),
        (two().astype(float) + 0.5, "labels are of float64, expected whole numbers"),
        (two() * -1, "labels go down to -7"),
        (np.zeros((4, 20, 30), int), r"shape \(4, 20, 30\), expected \(Y, X\): take those of one frame"),
        (np.zeros((0, 30), int), "expected"),
        (np.full((3, 3), None), "labels are of object"),
        (two().astype(complex), "labels are of complex128"),
    ],
)
def test_row10_what_are_no_labels(labels, message):
    with pytest.raises(PromptError, match=message):
        prompts_from_labels(labels, 0)


def test_fragments_are_told_of_and_crumbs_left_out():
    labels = two()
    labels[18:20, 0:2] = 1
    with pytest.warns(UserWarning, match="object 1 is in several pieces"):
        prompts = prompts_from_labels(labels, 0)
    assert prompts[0].mask[18, 0]
    prompts = prompts_from_labels(labels, 0, min_area=5)
    assert not prompts[0].mask[18, 0] and prompts[0].mask[2, 3]


@pytest.mark.parametrize("name", ["labels.tif", "labels.png", "labels.npy", "stack.tif"])
def test_files(tmp_path, name):
    path = tmp_path / name
    labels = two(np.uint8)
    if name == "stack.tif":
        tifffile.imwrite(path, np.stack([labels * 0, labels, labels * 0]), photometric="minisblack")
    elif path.suffix == ".tif":
        tifffile.imwrite(path, labels)
    elif path.suffix == ".png":
        Image.fromarray(labels).save(path)
    else:
        np.save(path, labels)
    assert [p.object_id for p in prompts_from_labels(path, 1)] == [1, 7]


@pytest.mark.parametrize("place", ["mask.png", "masks/t003.png"])
@pytest.mark.parametrize("values", [(255, 255), (1, 255)])
def test_in_pngs_255_is_a_label_like_the_others(tmp_path, place, values):
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(two(np.uint8, values)).save(path)
    given = path if path.parent == tmp_path else path.parent
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "object 255 is in several pieces")
        assert {p.object_id: p.crop.sum() for p in prompts_from_labels(given, 3)}[255] == (
            74 if values[0] == 255 else 50
        )


def test_row22_of_a_long_stack_one_frame_is_read(tmp_path):
    with tifffile.TiffWriter(tmp_path / "long.tif") as tif:
        for t in range(60):
            tif.write(np.full((256, 256), t, np.uint16), contiguous=False)
    tracemalloc.start()
    try:
        (prompt,) = prompts_from_labels(tmp_path / "long.tif", 40)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert prompt.object_id == 40 and peak < 60 * 256 * 256


def test_folders_of_one_frame_and_of_several(tmp_path):
    """A stack of one frame, as `everything` writes it, is of any frame; files with numbers are of theirs."""
    tifffile.imwrite(tmp_path / "labels.tif", two()[None], photometric="minisblack", metadata={"axes": "TYX"})
    assert [p.object_id for p in prompts_from_labels(tmp_path, 5)] == [1, 7]
    tifffile.imwrite(tmp_path / "labels.tif", np.stack([two()] * 4), photometric="minisblack", metadata={"axes": "TYX"})
    with pytest.raises(PromptError, match="are of the frames 0 to 3, and there are none of frame 5"):
        prompts_from_labels(tmp_path, 5)
    numbered = tmp_path / "numbered"
    numbered.mkdir()
    for number, message in ((2, "are of frame 2, and"), (9, "are of 2 frames, 2, 9, and")):
        tifffile.imwrite(numbered / f"mask{number:03d}.tif", two())
        with pytest.raises(PromptError, match=f"{message} there are none of frame 5"):
            prompts_from_labels(numbered, 5)
    assert [p.object_id for p in prompts_from_labels(numbered, 9)] == [1, 7]


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_row38_files_that_cannot_be_read_run_nothing(tmp_path):
    np.save(tmp_path / "seg.npy", {"masks": Trap(str(tmp_path / "trapped"))}, allow_pickle=True)
    with pytest.raises(PromptError, match=r"cannot read labels of frame 0 .* an \.npy file without objects"):
        prompts_from_labels(tmp_path / "seg.npy", 0)
    assert not (tmp_path / "trapped").exists()
    np.load(tmp_path / "seg.npy", allow_pickle=True)
    assert (tmp_path / "trapped").exists(), "a trap that does not work would show nothing"
    with pytest.raises(PromptError, match="cannot read labels"):
        prompts_from_labels(tmp_path / "none.tif", 0)
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((3, 8, 8), np.uint8), photometric="minisblack")
    with pytest.raises(PromptError, match="of the frames 0 to 2, and there are none of frame 5"):
        prompts_from_labels(tmp_path / "stack.tif", 5)


def test_all_labels_are_tracked(toy):
    session = open_scene(toy)
    session.add_prompts(*prompts_from_labels(truth()[0], 0))
    masks = list(session.segment_all(0))
    assert [mask.object_id for mask in masks] == [FAST, STILL]
    np.testing.assert_array_equal(session.labels(0), truth()[0])
    assert list(session.segment_all(0)) == []
    for _ in session.propagate(last=5):
        pass
    assert all(iou(session.masklets[i][5], truth()[5] == i) > 0.8 for i in (FAST, STILL))


def test_row21_hundreds_of_labels_keep_small_masks():
    labels = np.zeros((1024, 1024), np.int32)
    numbers = np.arange(1, 401).reshape(20, 20)
    labels[:1000, :1000] = np.kron(numbers, np.pad(np.ones((40, 40), int), 5))
    prompts = prompts_from_labels(labels, 0)
    assert len(prompts) == 400
    assert sum(prompt.crop.nbytes for prompt in prompts) < labels.nbytes


def grid_of_labels(count=40):
    """As many discs of two sizes on a movie of 320 x 320, and their labels."""
    labels = np.zeros((320, 320), np.int32)
    for i in range(count):
        y, x, radius = 20 + 44 * (i // 7), 20 + 44 * (i % 7), 8 if i % 3 else 15
        labels[np.hypot(*np.ogrid[-y : 320 - y, -x : 320 - x]) < radius] = i + 1
    noise = np.random.default_rng(0).integers(0, 50, (3, 320, 320))
    return labels, ((labels > 0) * 150 + noise).astype(np.uint8)


def test_many_masks_at_once_give_what_one_by_one_gives(monkeypatch):
    labels, movie = grid_of_labels()
    prompts = prompts_from_labels(labels, 0)
    together = open_session(movie, model="cell", history_bytes=0)
    monkeypatch.setattr(network_runs, "OBJECTS_PER_BATCH", 1)
    alone = open_session(movie, model=together.model, history_bytes=0)
    answered = []
    segment = propagation.segment
    monkeypatch.setattr(propagation, "segment", lambda *a, **kw: answered.append(1) or segment(*a, **kw))
    for session in (alone, together):
        session.set_prompts(prompts)
    list(alone.segment_all(0))
    assert len(answered) == len(prompts)
    masks = list(together.segment_all(0))
    assert [mask.object_id for mask in masks] == [prompt.object_id for prompt in prompts]
    assert len(answered) - len(prompts) < 8, "two sizes of windows at most, in batches"
    for _ in (*alone.propagate(count=2), *together.propagate(count=2)):
        pass
    for prompt in prompts:
        one, other = (session.objects[prompt.object_id].followed for session in (alone, together))
        a, b = one.prompted[0], other.prompted[0]
        assert a.window == b.window
        for name in ("logits", "predicted_iou", "object_score", "pointer"):
            torch.testing.assert_close(getattr(a.prediction, name), getattr(b.prediction, name), atol=1e-4, rtol=0)
        a, b = one.bank.prompted[0], other.bank.prompted[0]
        # Features are kept in bfloat16.
        torch.testing.assert_close(a.features.float(), b.features.float(), atol=0.02, rtol=0)
    np.testing.assert_array_equal(alone.labels(0), together.labels(0))
    assert np.mean(alone.labels(1) == together.labels(1)) > 0.9999


def test_labels_of_objects_that_are_known_already_are_answered_as_before(toy):
    session = open_scene(toy, diameter=None)
    session.add_prompts(*prompts_from_labels(truth()[0], 0))
    list(session.segment_all(0))
    for _ in session.propagate(last=4):
        pass
    session.add_prompts(*prompts_from_labels(truth()[4], 4))
    assert [mask.object_id for mask in session.segment_all(4)] == [FAST, STILL]
    np.testing.assert_array_equal(session.labels(4), truth()[4])
