"""A session that was stored goes on as if it had never been closed."""

import numpy as np
import pytest
import torch

from napari_sam2.api import go_on, open_session, reopen_session
from napari_sam2.errors import PromptError, SessionError
from napari_sam2.prompts import PointPrompt
from napari_sam2.video import Video
from parity.networks import REDUCED, filled_and_present
from parity.reference import spec
from toy_model import ToyModel
from toy_scene import FAST, STILL, click, discs
from toy_session import NUM_FRAMES, again, begin, movie, shown

SIZE = 128


@pytest.fixture(scope="module")
def model():
    return filled_and_present(REDUCED)


@pytest.fixture(scope="module")
def frames():
    return np.stack([spec.frame(t, SIZE) for t in range(10)])


def full(mask):
    labels = np.zeros((SIZE, SIZE), np.uint8)
    if mask is not None:
        mask.paint(labels, 1)
    return labels > 0


@pytest.mark.parametrize("stop", [2, 5, 8])
def test_row31_going_on_gives_nearly_the_masks_of_an_uninterrupted_run(model, frames, tmp_path, stop):
    clicks = [PointPrompt(0, 4, 40, 37), PointPrompt(0, 2, 55, 82), PointPrompt(3, 9, 95, 60)]
    whole = open_session(frames, model=model, contrast=(0, 255))
    whole.set_prompts(clicks)
    list(whole.propagate("both"))
    session = open_session(frames, model=model, contrast=(0, 255), autosave=tmp_path / "s.sam2")
    session.set_prompts(clicks)
    for result in session.propagate("both"):
        if result.frame == stop:
            break
    session.close()
    opened = reopen_session(tmp_path / "s.sam2", frames, model=model)
    assert opened.remaining() == len(list(opened.resume())) == 10 - 1 - stop + 3
    assert all(len(masklet) == 10 for masklet in whole.masklets.values()), "there is something to compare"
    for i, masklet in whole.masklets.items():
        for t in range(10):
            # Weights that were never trained say little the same of a mask as of what it was made of.
            differing = (full(masklet.get(t)) != full(opened.masklets[i].get(t))).mean()
            assert differing == 0 if t <= stop and i != 9 else differing < 0.05, (i, t)
    opened.close()


@pytest.mark.parametrize(("stop", "left"), [(1, [2, 10, 9, 8]), (2, [10, 9, 8]), (9, [8])])
def test_a_run_of_so_many_frames_each_way_goes_on_to_those_and_no_others(toy, tmp_path, stop, left):
    session = begin(toy, tmp_path / "s.sam2")
    session.add_prompts(click(0, 1, FAST), click(11, 2, STILL))
    assert session.plan("both", count=3) == 6
    for result in session.propagate("both", count=3):
        if result.frame == stop:
            break
    session.close()
    session = again(toy, tmp_path / "s.sam2")
    assert session.remaining() == len(left)
    assert [result.frame for result in session.resume()] == left
    assert not session.can_resume
    assert (session.masklets[1].frames, session.masklets[2].frames) == ((0, 1, 2), (8, 9, 10, 11))
    session.close()


def test_an_answer_comes_back_to_the_bit_and_is_refined_further(model, frames, tmp_path):
    """One more click feeds back the logits of the answer before, whether or not that was stored meanwhile."""
    first, second = PointPrompt(3, 1, 95, 60), PointPrompt(3, 1, 102, 75)
    session = open_session(frames, model=model, contrast=(0, 255), autosave=tmp_path / "s.sam2")
    session.add_prompts(first)
    session.segment(3, 1)
    known = session.objects[1].followed.prompted[3]
    session.close()
    opened = reopen_session(tmp_path / "s.sam2", frames, model=model)
    stored = opened.objects[1].followed.prompted[3]
    assert stored.window == known.window
    for name in ("logits", "predicted_iou", "object_score", "pointer", "candidates", "candidate_ious"):
        assert torch.equal(getattr(stored.prediction, name), getattr(known.prediction, name))
    opened.add_prompts(second)
    session.add_prompts(second)
    assert opened.segment(3, 1) == session.segment(3, 1)
    opened.close()


def test_frames_that_are_done_are_not_visited_again(toy, tmp_path):
    session = begin(toy, tmp_path / "s.sam2")
    session.add_prompts(click(4, 1, FAST), click(6, 2, STILL))
    visited = []
    for result in session.propagate("both", last=9):
        visited.append(result.frame)
        if len(visited) == 8:
            break
    session.close()
    opened = again(toy, tmp_path / "s.sam2")
    count = opened.remaining()
    seen = []
    go_on(opened, "both", lambda result, done, total: seen.append((result.frame, done, total)), last=9)
    assert visited + [t for t, _, _ in seen] == [4, 5, 6, 7, 8, 9, 5, 4, 3, 2, 1, 0]
    assert [(done, total) for _, done, total in seen] == [(i, count) for i in range(1, count + 1)]
    go_on(opened, "both", lambda *_: pytest.fail("all of it is done"), last=9)
    with pytest.raises(PromptError, match="No propagation was stopped half way"):
        opened.resume()
    assert set(discs(opened).values()) == {FAST}
    seen.clear()
    go_on(opened, "both", lambda result, *_: seen.append(result.frame))
    assert seen[:8] == [4, 5, 6, 7, 8, 9, 10, 11], "another run is begun anew"
    opened.close()


def test_a_stopped_run_goes_on_without_objects_that_were_removed(toy):
    session = begin(toy, None)
    session.add_prompts(click(0, 1, FAST), click(0, 2, STILL))
    results = session.propagate("forward")
    for _ in range(4):
        next(results)
    session.remove_object(2)
    assert [len(result.masks) for result in session.resume()] == [1] * (NUM_FRAMES - 4)
    assert session.run.is_done


def test_row35_a_moved_movie_is_found_beside_the_session_or_asked_for(toy, tmp_path):
    np_path = tmp_path / "one" / "movie.tif"
    np_path.parent.mkdir()
    write(np_path, movie())
    session = begin(toy, tmp_path / "one" / "s.sam2")
    session.close()
    with pytest.raises(SessionError, match=r"was an array or a layer: give it as `reopen_session\("):
        reopen_session(tmp_path / "one" / "s.sam2", model=toy)
    session = open_session(np_path, model=toy, contrast=(0, 1), autosave=tmp_path / "one" / "file.sam2")
    session.add_prompts(click(0, 1, FAST))
    session.close()
    (tmp_path / "one").rename(tmp_path / "two")
    opened = reopen_session(tmp_path / "two" / "file.sam2", model=toy)
    assert (1, 0) in opened.prompts
    opened.close()
    (tmp_path / "two" / "movie.tif").rename(tmp_path / "elsewhere.tif")
    with pytest.raises(SessionError, match=r"two.movie\.tif, which is not there: give it as `reopen_session"):
        reopen_session(tmp_path / "two" / "file.sam2", model=toy)
    reopen_session(tmp_path / "two" / "file.sam2", tmp_path / "elsewhere.tif", model=toy).close()
    reopen_session(tmp_path / "two" / "file.sam2", model=toy).close()


def write(path, frames):
    import tifffile

    tifffile.imwrite(path, frames, photometric="minisblack")


def changed(t):
    other = movie()
    other[t, 5, 5] = 1
    return other


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (changed(0), "other pixels are on frame 0"),
        (changed(NUM_FRAMES // 2), "other pixels are on frame 6"),
        (changed(NUM_FRAMES - 1), "other pixels are on frame 11"),
        (movie().astype(np.uint8), "its pixels are uint8, and were float32"),
        (movie()[:-1], r"its shape is \(11, 256, 420\), and was \(12, 256, 420\)"),
    ],
)
def test_row35_a_changed_movie_is_refused_unless_it_is_wanted(toy, tmp_path, other, message):
    session = begin(toy, tmp_path / "s.sam2")
    session.add_prompts(click(0, 1, FAST))
    session.close()
    with pytest.raises(SessionError, match=f"is not the movie of the session .*{message}"):
        again(toy, tmp_path / "s.sam2", movie=other)
    if len(other) < NUM_FRAMES:
        with pytest.raises(SessionError, match=message):
            again(toy, tmp_path / "s.sam2", movie=other, despite_changes=True)
        return
    opened = again(toy, tmp_path / "s.sam2", movie=other, despite_changes=True)
    opened.close()
    again(toy, tmp_path / "s.sam2", movie=other).close()


def test_row35_a_movie_at_another_contrast_is_refused_unless_it_is_wanted(toy, tmp_path):
    begin(toy, tmp_path / "s.sam2", movie=Video(movie(), contrast=(0, 2)), contrast=None).close()
    opened = again(toy, tmp_path / "s.sam2", movie=Video(movie()))
    assert opened.video.contrast == (0, 2), "where none was chosen, that of the session counts"
    opened.close()
    other = Video(movie(), contrast=(0, 4))
    with pytest.raises(SessionError, match="its contrast is 0 to 4, and was 0 to 2; give the movie it was made on, or"):
        again(toy, tmp_path / "s.sam2", movie=other)
    again(toy, tmp_path / "s.sam2", movie=Video(movie(), contrast=(0, 2))).close()
    again(toy, tmp_path / "s.sam2", movie=other, despite_changes=True).close()
    opened = again(toy, tmp_path / "s.sam2")
    assert opened.video.contrast == (0, 4)
    opened.close()


def test_row35_the_byte_order_of_a_movie_does_not_matter(toy, tmp_path):
    session = begin(toy, tmp_path / "s.sam2")
    before = shown(session)
    session.close()
    opened = again(toy, tmp_path / "s.sam2", movie=movie().astype(">f4"))
    assert shown(opened) == before
    opened.close()


def test_row34_another_model_is_refused_unless_it_is_wanted(toy, tmp_path, monkeypatch):
    session = begin(toy, tmp_path / "s.sam2")
    session.add_prompts(click(0, 1, FAST))
    session.segment(0, 1)
    before = shown(session)
    session.close()
    monkeypatch.setattr(ToyModel, "state_dict", lambda _: {"weight": torch.ones(2)})
    with pytest.raises(SessionError, match="the model is not the one that the session"):
        again(toy, tmp_path / "s.sam2")
    with pytest.raises(SessionError, match="a model that had been loaded already: reopen it in Python"):
        again(toy, tmp_path / "s.sam2", model=None)
    opened = again(toy, tmp_path / "s.sam2", despite_changes=True)
    assert shown(opened) == before
    assert not opened.objects[1].is_answered(0), "its prompts are answered anew"
    assert set(discs(opened).values()) == {FAST}
    list(opened.propagate("forward"))
    opened.close()
    again(toy, tmp_path / "s.sam2").close()
