"""Tidying up masks."""

import numpy as np
import pytest

from napari_sam2.cleaning import WHOLE, Cleaning
from napari_sam2.errors import PromptError
from napari_sam2.masklets import FrameMask
from napari_sam2.overlaps import SeenMask, resolve_overlaps
from napari_sam2.prompts import MaskPrompt, PointPrompt
from toy_model import ToyModel
from toy_scene import STILL_YX, open_scene, run


def picture(*rows):
    return np.array([[c == "#" for c in row] for row in rows])


HOLED = picture(
    "..........",
    ".########.",
    ".#.####.#.",
    ".#####..#.",
    ".########.",
    "..........",
    "##......#.",
    ".........#",
)


def changed(cleaning):
    cleaned = cleaning.apply(HOLED)
    return int((cleaned & ~HOLED).sum()), int((HOLED & ~cleaned).sum())


def test_nothing_is_done_by_default():
    assert changed(Cleaning()) == (0, 0)
    assert Cleaning().separate


@pytest.mark.parametrize(("size", "filled"), [(1, 1), (2, 1), (3, 4), (1000, 4)])
def test_holes_up_to_a_size_are_filled(size, filled):
    assert changed(Cleaning(fill_holes=size)) == (filled, 0)


@pytest.mark.parametrize(("size", "removed"), [(1, 0), (2, 4), (1000, 4)])
def test_pieces_up_to_a_size_are_removed_corners_connect_and_the_largest_stays(size, removed):
    assert changed(Cleaning(remove_pieces=size)) == (0, removed)


def test_a_hole_is_filled_before_pieces_are_weighed():
    mask = picture("####..", "#..#.#", "####..")
    assert np.array_equal(Cleaning(fill_holes=2, remove_pieces=11).apply(mask), picture("####..", "####..", "####.."))


def test_what_reaches_the_border_is_no_hole():
    mask = picture("###", "#..", "###")
    assert np.array_equal(Cleaning(fill_holes=9).apply(mask), mask)
    assert np.array_equal(WHOLE.apply(mask), mask)


def test_the_mask_given_is_left_alone():
    before = HOLED.copy()
    WHOLE.apply(HOLED)
    assert np.array_equal(HOLED, before)
    empty = np.zeros((3, 3), bool)
    assert WHOLE.apply(empty) is not empty
    assert not WHOLE.apply(empty).any()


@pytest.mark.parametrize("wrong", [{"fill_holes": -1}, {"remove_pieces": 2**40}])
def test_sizes_that_are_none(wrong):
    (name,) = wrong
    with pytest.raises(PromptError, match=f"{name} is .*, expected an area of 0 to"):
        Cleaning(**wrong)


def test_an_object_in_the_hole_of_another_keeps_it():
    ring = np.where(picture("####", "#..#", "#..#", "####"), np.float32(9), np.float32(-9))
    inner = np.full((2, 2), 0.5, np.float32)
    seen = {1: SeenMask(ring, (0, 0), 3.0, 0.9).cleaned(Cleaning(fill_holes=4)), 2: SeenMask(inner, (1, 1), 3.0, 0.9)}
    won = resolve_overlaps(seen, (4, 4))
    assert won[2].all()
    assert won[1].sum() == 12
    assert (SeenMask(ring, (0, 0), 3.0, 0.9).cleaned(Cleaning(fill_holes=4)).logits > 0).all()


class Ragged(ToyModel):
    """Its tracked masks have a hole of a pixel of the network's, and a loose piece."""

    def track(self, model, features, memories, **more):
        found = super().track(model, features, memories, **more)
        logits = found.logits.clone()
        for one in logits[:, 0]:
            ys, xs = np.nonzero(one.numpy() > 0)
            if len(ys):
                one[int(ys.mean()), int(xs.mean())] = -10
                one[4, 4] = 10
        return type(found)(logits, *[getattr(found, n) for n in found.__slots__[1:]])


@pytest.fixture
def ragged(monkeypatch):
    return Ragged().install(monkeypatch)


def test_what_is_shown_and_stored_is_clean_and_what_is_remembered_is_not(ragged, monkeypatch):
    remembered = []
    memorize = ragged.memorize

    def noting(model, features, prediction, *, prompted, **more):
        if not prompted:
            remembered.append(float((prediction.logits > 0).sum()))
        return memorize(model, features, prediction, prompted=prompted, **more)

    monkeypatch.setattr("napari_sam2.propagation.memorize", noting)
    areas, first_memories = {}, []
    for cleaning in (None, Cleaning(fill_holes=500), Cleaning(remove_pieces=500), WHOLE):
        session = open_scene(ragged, cleaning=cleaning)
        session.add_prompts(PointPrompt(0, 1, *STILL_YX))
        remembered.clear()
        run(session, "forward", last=3)
        first_memories.append(remembered[0])
        areas[cleaning] = session.masklets[1][3].area
        assert session.masklets[1][3] in next(session.propagate("forward", first=3, last=3)).masks
    plain, filled, single, whole = areas.values()
    assert filled > plain > single
    assert whole == filled + single - plain
    # Later windows move with the mask that is shown, so only the first ones are the same.
    assert len(set(first_memories)) == 1


def test_a_painted_mask_stays_as_it_was_painted(ragged):
    session = open_scene(ragged, cleaning=WHOLE)
    mask = np.zeros(session.video.shape_yx, bool)
    mask[10:30, 10:30] = True
    mask[15:18, 15:18] = False
    mask[40, 40] = True
    session.add_prompts(MaskPrompt(0, 1, mask))
    assert session.segment(0, 1).area == mask.sum()


def test_objects_may_overlap_if_that_is_wanted(ragged):
    def area_of_second(cleaning):
        session = open_scene(ragged, cleaning=cleaning)
        session.add_prompts(PointPrompt(0, 1, *STILL_YX), PointPrompt(0, 2, *STILL_YX))
        run(session, "forward", last=2)
        found = session.masklets[2].get(2)
        return 0 if found is None else found.area

    assert area_of_second(None) == 0
    assert area_of_second(Cleaning(separate=False)) > 50


def test_a_frame_mask_of_a_clean_mask():
    mask = FrameMask.from_full(WHOLE.apply(HOLED), frame=0, object_id=1, score=1, predicted_iou=1)
    assert mask.box == (1, 1, 5, 9)
    assert mask.crop.all()
