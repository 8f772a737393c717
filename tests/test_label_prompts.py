"""Labels of one frame as prompts."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam2 import prompts_from_labels
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


def test_row38_files_that_cannot_be_read_run_nothing(tmp_path):
    np.save(tmp_path / "seg.npy", {"masks": two()}, allow_pickle=True)
    with pytest.raises(PromptError, match=r"cannot read labels of frame 0 .* an \.npy file without objects"):
        prompts_from_labels(tmp_path / "seg.npy", 0)
    with pytest.raises(PromptError, match="cannot read labels"):
        prompts_from_labels(tmp_path / "none.tif", 0)
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((3, 8, 8), np.uint8), photometric="minisblack")
    with pytest.raises(PromptError, match="the frames 0 to 2, and no frame 5"):
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
