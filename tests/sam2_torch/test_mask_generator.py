"""The mask generator on discs, with a network that sees discs, and with the bundled one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

import sam2_torch.mask_generator as mask_generator
from sam2_torch.config import TINY
from sam2_torch.mask_decoder import Proposals
from sam2_torch.mask_generator import GeneratorSettings, MaskFilter, MaskGenerator, Progress, masks_under
from sam2_torch.outputs import FrameFeatures
from sam2_torch.windows import Window, whole_frame

DISCS = ((30, 30, 12), (60, 90, 15), (25, 100, 6), (2, 60, 10))


class Seer:
    """Stands in for a network: under a point it sees the bright piece, part of it, and all pieces as one."""

    config = replace(TINY, image_size=256)
    device = torch.device("cpu")

    def __init__(self, monkeypatch):
        self.batches, self.fed_back = [], []
        monkeypatch.setattr(mask_generator, "encode_frame", self.encode)
        monkeypatch.setattr(mask_generator, "propose", self.propose)

    def encode(self, _, image):
        return FrameFeatures(torch.zeros(1, 1, 16, 16), image, torch.zeros(1))

    def propose(self, _, features, tokens, mask_logits=None):
        self.batches.append(len(tokens.xy))
        self.fed_back.append(mask_logits)
        image = features.stride8[0, 0].reshape(64, 4, 64, 4).mean((1, 3)).numpy()
        pieces = ndimage.label(image > 0.5)[0]
        logits, ious, scores = [], [], []
        for x, y in tokens.xy[:, 0].tolist():
            label = pieces[min(63, max(0, int(y / 4))), min(63, max(0, int(x / 4)))]
            piece = (pieces == label) & (label > 0)
            core = ndimage.binary_erosion(piece, iterations=2)
            masks = [piece, piece, core, pieces > 0]
            logits.append([np.where(m, 8.0, -8.0) for m in masks])
            ious.append([0.5, 0.95, 0.6, 0.85] if label else [0.1] * 4)
            scores.append(4.0 if label else -4.0)
        return Proposals(
            torch.tensor(np.array(logits), dtype=torch.float32),
            torch.tensor(ious),
            torch.zeros(len(ious), 4, 1),
            torch.tensor(scores),
        )


@pytest.fixture
def seer(monkeypatch):
    return Seer(monkeypatch)


def discs(shape=(128, 128)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.max([(y - cy) ** 2 + (x - cx) ** 2 <= r**2 for cy, cx, r in DISCS], axis=0)


def image_of(mask):
    return np.repeat(mask[..., None], 3, axis=2).astype(np.float32)


def test_defaults_are_those_of_the_original():
    s = GeneratorSettings()
    assert (s.points_per_side, s.points_per_batch, s.pred_iou_thresh, s.stability_score_thresh) == (32, 64, 0.8, 0.95)
    assert (s.stability_score_offset, s.box_nms_thresh, s.crop_n_layers, s.crop_nms_thresh) == (1.0, 0.7, 0, 0.7)
    assert (s.crop_overlap_ratio, s.crop_n_points_downscale_factor) == (512 / 1500, 1)


def test_each_disc_is_found_once_and_exactly(seer):
    settings = GeneratorSettings(points_per_side=24, pred_iou_thresh=0.9, stability_score_thresh=0.7)
    found = MaskGenerator(seer, settings).generate(image_of(discs()))
    assert len(found) == len(DISCS)
    labels = ndimage.label(discs())[0]
    for mask in found:
        y0, x0, y1, x1 = mask.box
        true = labels == labels[y0:y1, x0:x1][mask.crop].max()
        seen = np.zeros_like(true)
        seen[y0:y1, x0:x1] = mask.crop
        assert (seen & true).sum() / (seen | true).sum() > 0.8
        assert mask.predicted_iou == pytest.approx(0.95)
        assert mask.object_score == 4
        y, x = mask.point
        assert seen[round(y), round(x)]


def test_thresholds(seer):
    def count(**changed):
        settings = GeneratorSettings(points_per_side=24, pred_iou_thresh=0.9, stability_score_thresh=0.5)
        return len(MaskGenerator(seer, replace(settings, **changed)).generate(image_of(discs())))

    assert count() == 4
    assert count(pred_iou_thresh=0.8) == 5, "the mask of all discs as well"
    assert count(pred_iou_thresh=0.96) == 0
    assert count(stability_score_thresh=0.999) < 4
    assert count(min_mask_area=200) == 3
    assert count(box_nms_thresh=1.0) > 10, "the same disc from many points"


def test_masks_in_a_halo_are_not_stable(seer, monkeypatch):
    """What is between the offset and 0 counts wherever it is, as in the original."""
    generator = MaskGenerator(seer, GeneratorSettings(points_per_side=24, stability_score_thresh=0.5))
    assert generator.generate(image_of(discs()))
    real = seer.propose

    def in_a_halo(*arguments):
        proposals = real(*arguments)
        return replace(proposals, logits=proposals.logits.clamp(min=-0.5))

    monkeypatch.setattr(mask_generator, "propose", in_a_halo)
    assert generator.generate(image_of(discs())) == []


def test_batches_and_progress(seer):
    settings = GeneratorSettings(points_per_side=5, points_per_batch=10)
    steps = list(MaskGenerator(seer, settings).search(image_of(discs())))
    assert seer.batches == [10, 10, 5]
    assert steps == [Progress(10, 25), Progress(20, 25), Progress(25, 25)]


def test_crops_find_what_a_coarse_grid_misses(seer):
    settings = GeneratorSettings(points_per_side=5, pred_iou_thresh=0.9, stability_score_thresh=0.5)
    crops = replace(settings, crop_n_layers=1)
    image = image_of(np.kron(discs(), np.ones((4, 4))))
    assert len(MaskGenerator(seer, settings).generate(image)) == 1
    assert len(MaskGenerator(seer, crops).generate(image)) == 4
    assert list(MaskGenerator(seer, crops).search(image))[-1] == Progress(5 * 25, 5 * 25)
    halved = replace(crops, crop_n_points_downscale_factor=2)
    assert list(MaskGenerator(seer, halved).search(image))[-1] == Progress(25 + 4 * 4, 41)


def test_what_a_crop_cuts_is_left_out(seer):
    frame = torch.from_numpy(image_of(discs())).permute(2, 0, 1)
    wanted = MaskFilter(predicted_iou=0.9, stability=0.5, edge_margin=1)
    points = np.array([[30.0, 30.0], [60.0, 90.0], [2.0, 60.0]])
    half = Window(0, 0, 128, 85, (256, 256))  # its right edge goes through the disc at (60, 90)
    (answers,) = masks_under(seer, frame, half, points, wanted)
    assert [mask.point for mask in answers.masks] == [(30, 30), (2, 60)], "the image's own edge cuts nothing"
    (answers,) = masks_under(seer, frame, whole_frame((128, 128), seer.config), points, wanted)
    assert len(answers.masks) == 3
    assert answers.object_scores.tolist() == [4, 4, 4]


def test_points_without_an_object(seer):
    frame = torch.from_numpy(image_of(discs())).permute(2, 0, 1)
    window, points = whole_frame((128, 128), seer.config), np.array([[30.0, 30.0], [110.0, 10.0]])
    (answers,) = masks_under(seer, frame, window, points, MaskFilter(predicted_iou=0, stability=0, object_score=0))
    assert answers.object_scores.tolist() == [4, -4]
    assert {mask.point for mask in answers.masks} == {(30, 30)}


def test_refinement_feeds_each_mask_back(seer):
    settings = GeneratorSettings(points_per_side=8, pred_iou_thresh=0.4, stability_score_thresh=0.5, refinements=1)
    found = MaskGenerator(seer, settings).generate(image_of(discs()))
    assert seer.batches == [64, 192]
    assert seer.fed_back[0] is None
    assert seer.fed_back[1].shape == (192, 1, 64, 64)
    assert {round(mask.predicted_iou, 3) for mask in found} == {0.5}, "of the mask for an unambiguous prompt"


def test_cleaned_masks_give_way_to_those_that_were_clean(seer):
    holed = discs()
    holed[28:33, 28:33] = False
    settings = GeneratorSettings(points_per_side=24, pred_iou_thresh=0.9, stability_score_thresh=0.5)
    plain = MaskGenerator(seer, settings).generate(image_of(holed))
    filled = MaskGenerator(seer, settings, clean=ndimage.binary_fill_holes).generate(image_of(holed))
    assert len(filled) == len(plain) == 4
    holes = [sum(int((ndimage.binary_fill_holes(m.crop) ^ m.crop).sum()) for m in masks) for masks in (plain, filled)]
    assert holes[0] > 20
    assert holes[1] == 0
    nothing = MaskGenerator(seer, settings, clean=np.zeros_like).generate(image_of(holed))
    assert nothing == []


@pytest.mark.parametrize("wrong", [{"points_per_side": 0}, {"crop_n_layers": -1}, {"min_mask_area": 0}])
def test_settings_that_make_no_sense(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=name):
        GeneratorSettings(**wrong)
