import gc
import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_sam2.errors import NapariSam2Error
from napari_sam2.masklets import FrameMask, Masklet, compose_labels
from napari_sam2.shelf import Pile, Shelf


def block(object_id, y0, x0, y1, x1, frame=0):
    return FrameMask(frame, object_id, (y0, x0, y1, x1), np.ones((y1 - y0, x1 - x0), bool), 2.0, 0.9)


def test_from_full_crops():
    full = np.zeros((10, 12), bool)
    full[2, 3] = full[4, 8] = full[4, 3] = True
    mask = FrameMask.from_full(full, frame=6, object_id=2, score=1.5, predicted_iou=0.5)
    assert (mask.frame, mask.object_id, mask.score, mask.predicted_iou) == (6, 2, 1.5, 0.5)
    assert mask.box == (2, 3, 5, 9)
    assert mask.area == 3
    assert mask.centroid == pytest.approx((10 / 3, 14 / 3))
    labels = np.zeros(full.shape, np.uint32)
    mask.paint(labels)
    np.testing.assert_array_equal(labels, full * 2)


def test_from_full_owns_its_crop():
    full = np.ones((3, 3), bool)
    mask = FrameMask.from_full(full, frame=0, object_id=1, score=0, predicted_iou=0)
    full[:] = False
    assert mask.area == 9


def test_from_full_with_an_offset():
    mask = FrameMask.from_full(np.eye(3, dtype=bool), frame=0, object_id=1, score=0, predicted_iou=0, offset=(10, 20))
    assert mask.box == (10, 20, 13, 23)
    assert mask.centroid == (11.0, 21.0)


def test_from_full_of_nothing():
    assert FrameMask.from_full(np.zeros((4, 4), bool), frame=0, object_id=1, score=0, predicted_iou=0) is None


def test_crop_must_fit_its_box():
    with pytest.raises(ValueError, match=r"crop has the shape \(2, 2\), expected \(3, 2\)"):
        FrameMask(0, 1, (0, 0, 3, 2), np.ones((2, 2), bool), 0.0, 0.0)


@pytest.mark.parametrize("offset", [(-2, -3), (4, 5), (-9, 0), (0, 40), (8, -1)])
def test_paint_leaves_out_what_is_outside(offset):
    crop = np.random.default_rng(0).random((5, 6)) > 0.5
    crop[0, 0] = crop[-1, -1] = True
    mask = FrameMask.from_full(crop, frame=0, object_id=3, score=0, predicted_iou=0, offset=offset)
    labels = np.zeros((8, 9), np.uint32)
    mask.paint(labels)
    expected = np.zeros((60, 60), np.uint32)
    y, x = offset[0] + 20, offset[1] + 20
    expected[y : y + 5, x : x + 6] = (crop * 3)[: 60 - y, : 60 - x]
    np.testing.assert_array_equal(labels, expected[20:28, 20:29])


def test_paint_another_value():
    labels = np.full((4, 4), 9, np.int64)
    block(5, 0, 0, 2, 2).paint(labels, 0)
    assert labels.sum() == 12 * 9


@pytest.mark.parametrize(("dtype", "object_id"), [("u1", 300), ("i1", 128), ("u2", 65536), ("u4", 2**32)])
def test_ids_never_wrap(dtype, object_id):
    labels = np.zeros((4, 4), dtype)
    with pytest.raises(NapariSam2Error, match=f"object ID {object_id} does not fit labels of {labels.dtype}"):
        block(object_id, 0, 0, 2, 2).paint(labels)
    assert not labels.any()


def test_three_hundred_objects():
    labels = compose_labels((block(n, n, n, n + 1, n + 1) for n in range(1, 301)), (301, 301))
    assert labels.dtype == np.uint32
    np.testing.assert_array_equal(np.diag(labels), np.arange(301))


def test_smaller_ids_win_in_any_order():
    masks = [block(7, 0, 0, 4, 4), block(2, 2, 2, 6, 6), block(5, 3, 0, 5, 3)]
    labels = compose_labels(masks, (6, 6))
    assert labels[2, 2] == 2 and labels[3, 2] == 2 and labels[3, 1] == 5 and labels[0, 0] == 7 and labels[0, 5] == 0
    for order in ([2, 1, 0], [1, 0, 2], [0, 2, 1]):
        np.testing.assert_array_equal(compose_labels([masks[n] for n in order], (6, 6)), labels)


def test_compose_nothing():
    assert compose_labels([], (2, 3)).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_masklet_is_a_sorted_mapping():
    masklet = Masklet(4)
    assert len(masklet) == 0 and masklet.frames == () and masklet.get(0) is None
    for frame in (5, 1, 3):
        masklet.add(block(4, frame, 0, frame + 2, 3, frame))
    assert masklet.frames == (1, 3, 5)
    assert list(masklet) == [1, 3, 5]
    assert [mask.frame for mask in masklet.values()] == [1, 3, 5]
    assert 3 in masklet and 2 not in masklet
    assert masklet.get(3) == block(4, 3, 0, 5, 3, 3)
    masklet.add(block(4, 0, 0, 1, 1, 3))
    assert masklet[3].area == 1 and len(masklet) == 3
    masklet.remove(3)
    masklet.remove(3)
    assert masklet.frames == (1, 5)
    with pytest.raises(KeyError):
        masklet[3]


def test_masklet_refuses_the_masks_of_others():
    with pytest.raises(ValueError, match="mask of object 2 given to the masklet of object 1"):
        Masklet(1).add(block(2, 0, 0, 1, 1))


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=20)), st.floats(-9, 9), st.floats(0, 1))
def test_masklet_gives_back_what_it_got(full, score, iou):
    mask = FrameMask.from_full(full, frame=2, object_id=1, score=score, predicted_iou=iou, offset=(3, 0))
    assert (mask is None) == (not full.any())
    if mask is None:
        return
    masklet = Masklet(1)
    masklet.add(mask)
    assert masklet[2] == mask
    assert hash(masklet[2]) == hash(mask)
    assert masklet[2].crop.dtype == np.bool_


def test_masklet_is_packed():
    masklet = Masklet(1)
    for frame in range(100):
        masklet.add(block(1, 0, 0, 64, 64, frame))
    packed = 100 * 64 * 64 // 8
    assert packed + 100 * 41 <= masklet.nbytes <= packed + 160 * 41


def test_masks_differ_by_pixels():
    mask = block(1, 0, 0, 2, 2)
    assert mask != FrameMask(0, 1, (0, 0, 2, 2), np.eye(2, dtype=bool), 2.0, 0.9)
    assert mask != "mask"


def test_an_absent_object_is_neither_there_nor_unknown():
    masklet = Masklet(3)
    present = FrameMask.from_full(np.ones((2, 2), bool), frame=1, object_id=3, score=2.0, predicted_iou=0.5)
    masklet.add(present)
    for frame in (2, 0, 1):
        masklet.mark_absent(frame)
    assert masklet.absent == (0, 1, 2)
    assert masklet.frames == ()
    masklet.add(present)
    assert masklet.absent == (0, 2)
    masklet.remove(2)
    assert masklet.absent == (0,)


def noise(frame, seed=0, side=30, object_id=1):
    """A random mask in a random place; the same seed makes the same one."""
    rng = np.random.default_rng((frame, seed))
    (y0, x0), (height, width) = rng.integers(-5, 2000, 2).tolist(), rng.integers(0, side + 1, 2).tolist()
    crop = rng.random((height, width)) > 0.5
    box = (y0, x0, y0 + height, x0 + width)
    return FrameMask(frame, object_id, box, crop, float(rng.normal()), float(rng.random()))


steps = st.tuples(st.sampled_from(["add", "add", "add", "remove", "absent"]), st.integers(0, 60), st.integers(0, 3))


@given(st.lists(steps, max_size=120), st.integers(1, 600), st.sampled_from([0, 300, 10**6]))
def test_masklet_as_a_dict(steps, segment, budget):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pile, "SEGMENT", segment)
        shelf = Shelf(budget)
        masklet, model, absent = Masklet(1, shelf), {}, set()
        for what, frame, seed in steps:
            model.pop(frame, None)
            absent.discard(frame)
            if what == "add":
                model[frame] = noise(frame, seed)
                masklet.add(model[frame])
            elif what == "remove":
                masklet.remove(frame)
            else:
                masklet.mark_absent(frame)
                absent.add(frame)
            assert len(masklet) == len(model)
        assert masklet.frames == tuple(masklet) == tuple(sorted(model))
        assert masklet.absent == tuple(sorted(absent))
        assert dict(masklet) == model
        boxes = [list(model[frame].box) if frame in model else [0, 0, 0, 0] for frame in range(-2, 200)]
        assert masklet.boxes(range(-2, 200)).tolist() == boxes
        assert [frame in masklet for frame in range(-2, 200)] == [frame in model for frame in range(-2, 200)]
        alive = sum(np.packbits(mask.crop).size for mask in model.values())
        assert shelf.nbytes <= min(4 * alive, budget)
        for frame in model:
            masklet.remove(frame)
        assert (shelf.nbytes, shelf.nbytes_on_disk) == (0, 0)


@given(st.floats(), st.floats())
@example(np.nextafter(0.1, 1), np.float32(0.1))
def test_scores_are_kept_to_the_last_bit(score, iou):
    masklet = Masklet(1)
    masklet.add(FrameMask(0, 1, (0, 0, 1, 1), np.ones((1, 1), bool), score, iou))
    got = masklet[0]
    assert type(got.score) is float and type(got.box[0]) is int
    np.testing.assert_array_equal([got.score, got.predicted_iou], [score, iou])


def test_frames_of_any_integer_type():
    masklet = Masklet(1)
    masklet.add(block(1, 0, 0, 2, 2, np.int64(700)))
    masklet.add(block(1, 0, 0, 2, 2, np.uint8(3)))
    masklet.add(block(1, 0, 0, 2, 2, -4))
    assert masklet.frames == (-4, 3, 700)
    assert np.uint16(700) in masklet and type(masklet[np.uint16(700)].frame) is int
    assert "3" not in masklet and None not in masklet and np.uint8(0) not in masklet
    assert repr(masklet) == "Masklet(object_id=1, 3 masks, frames -4 to 700)"
    assert repr(Masklet(2)) == "Masklet(object_id=2, 0 masks, frames none)"


def test_crops_are_the_callers_own():
    masklet = Masklet(1)
    masklet.add(block(1, 0, 0, 2, 2))
    masklet[0].crop[:] = False
    assert masklet[0].area == 4


def test_propagating_again_does_not_fill_the_shelf():
    shelf = Shelf(budget=300_000)
    masklets = [Masklet(object_id, shelf) for object_id in (1, 2)]
    sizes = []
    for seed in range(8):
        for frame in range(1500) if seed % 2 else range(1499, -1, -1):
            for masklet in masklets:
                masklet.add(noise(frame, seed, 60, masklet.object_id))
        sizes.append(shelf.nbytes + shelf.nbytes_on_disk)
    alive = sum(np.packbits(mask.crop).size for masklet in masklets for mask in masklet.values())
    assert max(sizes) < 2.5 * alive
    assert alive + 3000 * 41 <= sum(masklet.nbytes for masklet in masklets) < 2.5 * alive
    for masklet in masklets:
        assert dict(masklet) == {frame: noise(frame, 7, 60, masklet.object_id) for frame in range(1500)}


def test_few_masks_do_not_hold_a_whole_segment():
    shelf = Shelf()
    masklet = Masklet(1, shelf)
    for frame in range(20):
        masklet.add(block(1, 0, 0, 9, 9, frame))
        for _ in range(20):
            masklet.add(block(1, 0, 0, 200, 200, 500))
    assert shelf.nbytes <= Pile.SEGMENT + 5000
    assert all(masklet[frame].area == 81 for frame in range(20))


def test_a_masklet_that_is_forgotten_takes_nothing_along():
    shelf = Shelf(budget=100_000)
    masklets = [Masklet(object_id, shelf) for object_id in (1, 2)]
    for masklet in masklets:
        for frame in range(100):
            masklet.add(block(masklet.object_id, 0, 0, 100, 100, frame))
    before = shelf.nbytes + shelf.nbytes_on_disk
    del masklet, masklets[0]
    gc.collect()
    shelf.put(b"")
    assert shelf.nbytes + shelf.nbytes_on_disk < before
    assert [mask.area for mask in masklets[0].values()] == [10_000] * 100
    masklets.clear()
    gc.collect()
    assert (shelf.nbytes, shelf.nbytes_on_disk) == (0, 0)


@pytest.mark.slow
def test_a_hundred_thousand_masks_take_little():
    crop = np.random.default_rng(0).random((30, 30)) > 0.5
    shelf = Shelf()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        masklets = [Masklet(object_id, shelf) for object_id in range(200)]
        for frame in range(500):
            for masklet in masklets:
                masklet.add(FrameMask(frame, masklet.object_id, (5, 5, 35, 35), crop, 1.5, 0.5))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / 100_000 < 250
    assert sum(masklet.nbytes for masklet in masklets) / 100_000 < 200


def test_reading_while_another_thread_adds(monkeypatch):
    monkeypatch.setattr(Pile, "SEGMENT", 1000)
    masklet, wrong = Masklet(1, Shelf(budget=2000)), []
    known = {(frame, seed): noise(frame, seed) for frame in range(50) for seed in range(2)}

    def write():
        for turn in range(20):
            for frame in range(50):
                masklet.add(known[49 - frame, turn % 2])

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        for frame in masklet:
            if masklet[frame] not in (known[frame, 0], known[frame, 1]):
                wrong.append(frame)
    writer.join()
    assert not wrong and len(masklet) == 50
