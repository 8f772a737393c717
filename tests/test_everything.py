"""All objects of a frame without a click: the search with the bundled model, and what a session makes of it."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import torch

import napari_sam2
from napari_sam2 import found_objects
from napari_sam2.cell_search import CellSearch
from napari_sam2.cleaning import Cleaning
from napari_sam2.errors import MovieError, PromptError, PropagationError
from napari_sam2.evaluation.counts import count_cells
from napari_sam2.found_objects import Everything, find_everything
from napari_sam2.masklets import FrameMask
from napari_sam2.models import load_model
from napari_sam2.prompts import PointPrompt
from napari_sam2.settings import EverythingSettings
from napari_sam2.synthetic import MovieSpec, render_movie
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.video import Video
from sam2_torch.config import CELL, TINY
from sam2_torch.found_masks import FoundMask
from sam2_torch.mask_generator import GeneratorSettings, Progress
from toy_model import ToyModel
from toy_scene import FAST, STILL, STILL_YX, discs, fast_yx, iou, open_scene, run, truth

SPEC = MovieSpec(
    seed=21, num_frames=2, shape_yx=(200, 260), diameter=28, num_cells=14, clustering=0.5, debris=0, noise=0.02
)


@pytest.fixture(scope="module")
def model():
    return load_model("cell", device="cpu")


@pytest.fixture(scope="module")
def movie():
    return render_movie(SPEC)


@pytest.fixture(scope="module")
def image(movie):
    return Video(movie.frames).frame(0)


def last(search):
    """The steps of a search, and what it found."""
    steps = []
    while True:
        try:
            steps.append(next(search))
        except StopIteration as end:
            return steps, end.value


@pytest.fixture(scope="module")
def found(model, image):
    return last(find_everything(model, image, diameter=28))


def test_nearly_all_cells_are_found(found, movie):
    _, everything = found
    counts = count_cells(movie.labels[0], everything.labels())
    assert counts.cells >= 10
    assert counts.found >= 0.85 * counts.cells
    assert counts.false <= 2
    assert counts.iou > 0.7
    assert everything.diameter == 28


def test_steps_tell_how_far_it_is(found):
    steps, _ = found
    assert all(isinstance(step, Progress) and 0 < step.done <= step.total for step in steps)
    assert steps[-1].done == steps[-1].total
    assert [s.done for s in steps] == sorted(s.done for s in steps)


def test_masks_keep_apart_are_whole_and_come_with_a_click_each(found):
    _, everything = found
    areas = np.bincount(everything.labels().ravel(), minlength=len(everything.masks) + 1)[1:]
    assert areas.tolist() == [mask.area for mask in everything.masks]
    for i, (mask, click) in enumerate(zip(everything.masks, everything.clicks, strict=True), start=1):
        assert mask.object_id == click.object_id == i
        assert mask.frame == click.frame == everything.frame
        y0, x0, _, _ = mask.box
        assert mask.crop[int(click.y) - y0, int(click.x) - x0]
        assert Cleaning(remove_pieces=10**6).apply(mask.crop).sum() == mask.area


def test_the_diameter_is_found_out(model, image, movie):
    frame = torch.from_numpy(image).permute(2, 0, 1)
    areas = np.bincount(movie.labels[0].ravel())[1:]
    true = 2 * np.sqrt(np.median(areas[areas > 0]) / np.pi)
    _, estimate = last(CellSearch(model, frame).estimate_diameter())
    assert 0.75 < estimate / true < 1.33


def test_nothing_is_found_where_nothing_is(model):
    steps, everything = last(find_everything(model, np.full((90, 100, 3), 0.5, np.float32)))
    assert everything.masks == everything.clicks == ()
    assert not everything.labels().any()
    assert steps


def test_a_higher_quality_finds_fewer(model, image, found):
    _, fewer = last(find_everything(model, image, diameter=28, settings=EverythingSettings(quality=0.75)))
    assert 0 < len(fewer.masks) < len(found[1].masks)
    _, none = last(find_everything(model, image, diameter=28, settings=EverythingSettings(quality=1)))
    assert none.masks == ()


def test_pixels_that_are_taken_stay_so(model, image, found):
    _, before = found
    taken = before.labels() > 0
    taken[:, 130:] = False
    _, again = last(find_everything(model, image, diameter=28, taken=taken))
    assert 0 < len(again.masks) < len(before.masks)
    assert not (again.labels() > 0)[taken].any()


def test_numbered_from(found):
    _, everything = found
    moved = everything.numbered_from(40)
    assert [m.object_id for m in moved.masks] == [c.object_id for c in moved.clicks]
    assert moved.masks[0].object_id == 40
    assert moved.masks[0].box == everything.masks[0].box


def test_models_that_see_whole_frames_use_the_generator(monkeypatch):
    asked = []

    class Generator:
        def __init__(self, model, settings):
            asked.append(settings)

        def search(self, image):
            yield Progress(1, 1)
            crop = np.ones((10, 10), bool)
            return [
                FoundMask((0, 0, 10, 10), crop, 0.95, 0.96, 5.0, (4.0, 4.0)),
                FoundMask((2, 2, 12, 12), crop, 0.9, 0.96, 5.0, (6.0, 6.0)),
                FoundMask((30, 30, 40, 40), crop, 0.9, 0.96, 5.0, (34.0, 34.0)),
                FoundMask((60, 60, 70, 70), crop, 0.5, 0.96, 5.0, (64.0, 64.0)),
            ]

    class Whole(ToyModel):
        config = TINY

    monkeypatch.setattr(found_objects, "MaskGenerator", Generator)
    settings = EverythingSettings(generator=GeneratorSettings(points_per_side=7))
    steps, found = last(find_everything(Whole(), np.zeros((80, 80, 3), np.float32), diameter=20, settings=settings))
    assert asked == [settings.generator]
    assert steps == [Progress(1, 1)]
    assert [mask.box for mask in found.masks] == [(0, 0, 10, 10), (30, 30, 40, 40)]
    assert found.diameter is None


@pytest.mark.parametrize("kind", ["picture", "file", "color", "movie", "layer"])
def test_a_picture_or_a_frame_of_a_movie_in_any_form(kind, model, movie, tmp_path):
    picture = movie.frames[1, :120, :120]
    tifffile.imwrite(tmp_path / "picture.tif", picture)
    forms = {
        "picture": picture,
        "file": tmp_path / "picture.tif",
        "color": np.repeat(picture[..., None], 3, axis=2),
        "movie": movie.frames[:, :120, :120],
        "layer": SimpleNamespace(data=picture),
    }
    done = []
    found = napari_sam2.everything(
        forms[kind],
        frame=int(kind == "movie"),
        model=model,
        diameter=28,
        contrast=(float(picture.min()), float(picture.max())),
        progress=lambda *counts: done.append(counts),
    )
    assert count_cells(movie.labels[1, :120, :120], found.labels()).found >= 3
    assert done[-1][0] == done[-1][1] > 0
    assert found.frame == int(kind == "movie")


@pytest.mark.parametrize("wrong", [{"quality": 1.5}, {"min_area": 0}])
def test_settings_that_make_no_sense(wrong):
    (name,) = wrong
    with pytest.raises(PromptError, match=name):
        EverythingSettings(**wrong)


def test_a_search_for_cells_needs_a_model_for_cells():
    class Whole(ToyModel):
        config = replace(CELL, object_diameter=None)

    with pytest.raises(ValueError, match="has no preferred object size"):
        CellSearch(Whole(), torch.zeros(3, 64, 64))


# What a session makes of it, with the stand-in for the network.


def disc_mask(disc, frame=0, object_id=1, grown=0):
    y, x = STILL_YX if disc == STILL else fast_yx(frame)
    ys, xs = np.mgrid[: truth().shape[1], : truth().shape[2]]
    mask = np.hypot(ys - y, xs - x) < 13 + grown
    return FrameMask.from_full(mask, frame=frame, object_id=object_id, score=4.0, predicted_iou=0.8)


def both_discs():
    masks = (disc_mask(FAST, object_id=1), disc_mask(STILL, object_id=2))
    clicks = tuple(PointPrompt.inside(m.crop, frame=0, object_id=m.object_id, offset=m.box[:2]) for m in masks)
    return Everything(0, truth().shape[1:], masks, clicks, 26.0)


def test_what_was_found_becomes_objects_like_clicked_ones(toy):
    session = open_scene(toy)
    session.add_prompts(PointPrompt(5, 3, *STILL_YX))
    ids = session.add_everything(both_discs())
    assert ids == (4, 5)
    assert session.object_ids == (3, 4, 5)
    assert session.masklets[4][0] == replace(both_discs().masks[0], object_id=4)
    run(session, "forward", object_ids=ids, last=6)
    assert set(discs(session, 4).values()) == {FAST}
    assert set(discs(session, 5).values()) == {STILL}
    assert sorted(session.masklets[4]) == list(range(7))


def test_the_mask_found_is_the_answer_until_there_are_other_prompts(toy):
    session = open_scene(toy)
    session.add_everything(both_discs())
    assert iou(session.segment(0, 1), truth()[0] == FAST) > 0.9
    assert session.masklets[1][0].predicted_iou == pytest.approx(0.8)
    assert [entry[0] for entry in toy.log] == ["segment"] * 2, "each mask was given to the network once, no click was"
    session.set_prompts([PointPrompt(0, 1, *STILL_YX), *both_discs().clicks[1:]])
    assert iou(session.segment(0, 1), truth()[0] == STILL) > 0.8, "a moved click is a click"


def test_a_wrong_mask_is_remembered_as_it_was_given(toy):
    """The session takes the mask for true, and not what the network would have made of the click."""
    session = open_scene(toy)
    large = disc_mask(STILL, grown=6)
    session.add_prompts(PointPrompt(0, 1, *STILL_YX))
    session.segment(0, 1)
    session.accept(large)
    assert session.masklets[1][0] == large
    run(session, "forward", last=1)
    assert session.masklets[1][0].area > 1.3 * disc_mask(STILL).area
    session.add_prompts(PointPrompt(0, 1, STILL_YX[0] + 2, STILL_YX[1]))
    assert session.segment(0, 1).area < 1.2 * disc_mask(STILL).area, "one more click corrects it"


def test_accepted_on_a_tracked_frame_it_counts_there(toy):
    session = open_scene(toy)
    session.add_prompts(PointPrompt(0, 1, *STILL_YX))
    run(session, "forward", last=8)
    session.add_prompts(PointPrompt(4, 1, *fast_yx(4)))
    session.accept(disc_mask(FAST, frame=4))
    run(session, "forward", first=4, last=8)
    assert discs(session) == {t: STILL if t < 4 else FAST for t in range(9)}


def test_a_mask_needs_an_object_that_was_clicked_on_its_frame(toy):
    session = open_scene(toy)
    with pytest.raises(PromptError, match="object 1 has no prompt on frame 0: click it there first"):
        session.accept(disc_mask(STILL))


def test_removed_in_one_go(toy):
    session = open_scene(toy)
    session.add_prompts(PointPrompt(0, 9, *STILL_YX))
    session.segment(0, 9)
    session.add_everything(replace(both_discs(), masks=both_discs().masks[:1], clicks=both_discs().clicks[:1]))
    session.set_prompts([PointPrompt(0, 9, *STILL_YX)])
    assert session.object_ids == (9,)
    assert set(np.unique(session.labels(0))) == {0, 9}


def test_a_session_finds_only_what_it_does_not_have(model, movie):
    session = TrackingSession(Video(movie.frames), model, diameter=28)
    _, found = last(session.everything(1))
    assert found.frame == 1
    ids = session.add_everything(found)
    assert len(ids) == len(found.masks) > 8
    assert np.array_equal(session.labels(1) > 0, found.labels() > 0)
    assert session.prompts[ids[0], 1].points == (replace(found.clicks[0], object_id=ids[0]),)
    _, again = last(session.everything(1))
    assert len(again.masks) <= 2
    with pytest.raises(MovieError, match="no frame 7"):
        next(session.everything(7))


def test_a_failing_network_is_explained(model, movie, monkeypatch):
    def fail(*_):
        raise RuntimeError("out of luck")

    monkeypatch.setattr("sam2_torch.mask_generator.encode_frame", fail)
    session = TrackingSession(Video(movie.frames), model, diameter=28)
    with pytest.raises(PropagationError, match=r"failed on frame 0 \(out of luck\)"):
        next(session.everything(0))
