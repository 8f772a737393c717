"""Each thing that can be tuned changes what it should, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_sam2 import Tuning, frame_encoder
from napari_sam2.errors import PromptError
from napari_sam2.memory_policy import CELLS, ORIGINAL
from napari_sam2.prompts import MaskPrompt
from napari_sam2.session_files.session_folder import open_stored
from napari_sam2.session_setup import SessionSetup
from sam2_torch.build import build
from sam2_torch.config import CELL
from sam2_torch.outputs import PointTokens
from sam2_torch.video_predictor import encode_frame, memorize, segment
from toy_scene import FAST, STILL, click, open_scene, run, stored, truth
from toy_session import again, begin


def tracked(toy, **settings):
    session = open_scene(toy, **settings)
    session.add_prompts(click(0, 1, STILL))
    run(session, last=3)
    return session


def test_a_higher_mask_threshold_makes_masks_smaller(toy):
    areas = {
        above: [mask.area for mask in tracked(toy, tuning=Tuning(mask_threshold=above)).masklets[1].values()]
        for above in (-8.0, 0.0, 8.0)
    }
    assert all(low > usual > high for low, usual, high in zip(*areas.values(), strict=True))


def test_a_painted_mask_keeps_its_pixels_whatever_the_mask_threshold(toy):
    session = open_scene(toy, tuning=Tuning(mask_threshold=5.0))
    session.add_prompts(MaskPrompt(0, 1, truth()[0] == STILL))
    mask = session.segment(0, 1)
    assert mask is not None and mask.area == np.count_nonzero(truth()[0] == STILL)


def test_the_object_threshold_says_who_is_absent(toy):
    """The stand-in gives what it sees a score of 5, and what it does not see one of -5."""
    assert tracked(toy, tuning=Tuning(score_threshold=4.9)).masklets[1].absent == ()
    lost = tracked(toy, tuning=Tuning(score_threshold=5.0))
    assert lost.masklets[1].absent == (0, 1, 2, 3), "also where it was clicked"
    kept = tracked(toy, hidden=range(2, 4), tuning=Tuning(score_threshold=-6.0))
    assert kept.masklets[1].absent == ()
    assert tracked(toy, hidden=range(2, 4)).masklets[1].absent == (2, 3)


@pytest.mark.parametrize("version", ["2.0", "2.1"])
@torch.inference_mode()
def test_the_network_takes_an_object_for_absent_up_to_the_threshold(version):
    torch.manual_seed(0)
    model = build(replace(CELL, version=version)).eval()
    features = encode_frame(model, torch.rand(1, 3, 96, 96))
    click_at = PointTokens(torch.tensor([[[40.0, 40.0]]]), torch.tensor([[1]]))
    usual = segment(model, features, click_at)
    score = float(usual.object_score[0])
    there = segment(model, features, click_at, present_above=score - 0.1)
    gone = segment(model, features, click_at, present_above=score + 0.1)
    assert float(there.logits.max()) > -1024 == float(gone.logits.max())
    torch.testing.assert_close(gone.pointer, model.no_obj_ptr.expand_as(gone.pointer))
    torch.testing.assert_close(gone.object_score, there.object_score)
    if version == "2.1":
        below = memorize(model, features, there, prompted=False, present_above=score - 0.1)
        above = memorize(model, features, there, prompted=False, present_above=score + 0.1)
        assert not torch.equal(below.features, above.features)


def test_a_shorter_memory_looks_at_fewer_frames(toy):
    looked_at = {}
    for most in (None, 1, 5):
        toy.log.clear()
        tracked(toy, max_recent=most)
        looked_at[most] = max(len(frames) for what, frames, _ in toy.log if what == "track")
    assert looked_at == {None: 3, 1: 2, 5: 3}


def test_the_memory_policy_keeps_its_rules_with_another_length(toy):
    assert open_scene(toy, memory_policy="original", max_recent=2).settings.memory_policy == replace(
        ORIGINAL, max_recent=2
    )
    assert open_scene(toy, max_recent=2).settings.memory_policy == replace(CELLS, max_recent=2)
    with pytest.raises(PromptError, match="max_recent is -1"):
        open_scene(toy, max_recent=-1)


def test_a_wider_window_shows_more_of_the_frame(toy):
    usual, wide = tracked(toy), tracked(toy, tuning=Tuning(window_tokens=16))
    widths = [session.objects[1].followed.window.width for session in (usual, wide)]
    assert widths[1] == pytest.approx(widths[0] * 16 / CELL.window_tokens)
    with pytest.raises(PromptError, match="window_tokens is 18, expected 16 or less with this model"):
        open_scene(toy, tuning=Tuning(window_tokens=18))


def test_what_is_kept_of_frames_stays_within_what_it_may_take(toy, monkeypatch):
    encoded = []
    real = frame_encoder.encode_frame
    monkeypatch.setattr(frame_encoder, "encode_frame", lambda model, x: encoded.append(len(x)) or real(model, x))
    counts = {}
    for kept in (0, 2**30):
        session = open_scene(toy, tuning=Tuning(cache_bytes=kept))
        encoded.clear()
        for frame in (0, 1, 0, 1):
            session.add_prompts(click(frame, 10 + len(session.object_ids), STILL))
            session.segment(frame, session.object_ids[-1])
        counts[kept] = len(encoded)
    assert counts == {0: 4, 2**30: 2}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"mask_threshold": 9.5}, "mask_threshold is 9.5, expected a logit of -9 to 9"),
        ({"mask_threshold": float("nan")}, "mask_threshold is nan"),
        ({"score_threshold": -10.0}, "score_threshold is -10.0, expected a logit"),
        ({"window_tokens": 7}, "window_tokens is 7, expected an even number of 4 to 64"),
        ({"window_tokens": 2}, "window_tokens is 2"),
        ({"cache_bytes": -1}, "cache_bytes is -1, expected 0 or more"),
    ],
)
def test_what_makes_no_sense_is_refused(values, said):
    with pytest.raises(PromptError, match=said):
        Tuning(**values)


def test_a_stored_session_goes_on_as_it_was_tuned(toy, tmp_path):
    tuning = Tuning(mask_threshold=1.5, score_threshold=-2, window_tokens=14, cache_bytes=10_000)
    session = begin(toy, tmp_path / "s.sam2", tuning=tuning, max_recent=2)
    session.add_prompts(click(0, 1, FAST))
    run(session, last=3)
    before = stored(session)
    session.close()
    opened = again(toy, tmp_path / "s.sam2")
    assert opened.settings == session.settings
    assert opened.settings.tuning == tuning
    assert {i: {t: m.area for t, m in masks.items()} for i, masks in stored(opened).items()} == {
        i: {t: m.area for t, m in masks.items()} for i, masks in before.items()
    }
    opened.close()


def test_a_change_of_tuning_is_stored_and_has_prompts_answered_anew(toy, tmp_path):
    folder = tmp_path / "s.sam2"
    session = begin(toy, folder)
    session.add_prompts(click(0, 1, STILL))
    usual = session.segment(0, 1)
    diameter, movie = session.settings.diameter, session.video
    session.close()

    def reopened(**tuning):
        setup = SessionSetup(diameter, tuning=Tuning(**tuning))
        return open_stored(folder, movie, model=toy, setup=setup).session

    kept = reopened(cache_bytes=1000)
    assert kept.objects[1].is_answered(0), "how much is kept changes no mask"
    kept.close()
    tight = reopened(mask_threshold=8.0)
    assert not tight.objects[1].is_answered(0)
    assert tight.segment(0, 1).area < usual.area
    tight.close()
    last = again(toy, folder)
    assert last.settings.tuning == Tuning(mask_threshold=8.0)
    last.close()
