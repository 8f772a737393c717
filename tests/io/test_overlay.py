import numpy as np
import pytest
from PIL import Image

from napari_sam2.io.overlay import draw_overlay, object_color, write_animation, write_overlay

IMAGE = np.full((60, 80, 3), 0.5, np.float32)
LABELS = np.zeros((60, 80), np.uint32)
LABELS[10:30, 10:30] = 1
LABELS[10:30, 30:50] = 4_000_000_000


def test_outline_fill_and_background():
    picture = draw_overlay(IMAGE, LABELS, numbers=False)
    assert picture.shape == (60, 80, 3) and picture.dtype == np.uint8
    for object_id, (left, right) in {1: (10, 29), 4_000_000_000: (30, 49)}.items():
        color = np.round(np.array(object_color(object_id)) * 255)
        for y, x in ((10, left), (29, right), (20, left), (20, right)):
            np.testing.assert_allclose(picture[y, x], color, atol=1)
        np.testing.assert_allclose(picture[20, left + 9], 0.75 * 127.5 + 0.25 * color, atol=1)
    outside = LABELS == 0
    assert (picture[outside] == 128).all()


def test_no_objects():
    assert (draw_overlay(IMAGE, np.zeros_like(LABELS)) == 128).all()


def test_numbers_are_written_on_the_objects():
    plain = draw_overlay(IMAGE, LABELS, numbers=False)
    numbered = draw_overlay(IMAGE, LABELS)
    changed = np.argwhere((plain != numbered).any(axis=-1))
    assert len(changed) > 10
    assert (numbered > 190).all(axis=-1).any()
    assert np.abs(changed - (20, 30)).max() < 50


def test_zoom_keeps_outlines_fine():
    picture = draw_overlay(IMAGE, LABELS, numbers=False, zoom=3)
    assert picture.shape == (180, 240, 3)
    color = np.round(np.array(object_color(1)) * 255)
    np.testing.assert_allclose(picture[30, 30], color, atol=1)
    assert not np.allclose(picture[31, 31], color, atol=9)


def test_colors_are_stable_and_far_apart():
    colors = np.array([object_color(n) for n in range(1, 31)])
    assert object_color(7) == tuple(colors[6])
    assert colors.min() >= 0 and colors.max() <= 1
    distances = np.linalg.norm(colors[:, None] - colors[None], axis=-1) + np.eye(30)
    assert distances.min() > 0.08
    assert min(distances[n, n + 1] for n in range(29)) > 0.4


def test_the_png(tmp_path):
    path = tmp_path / "overlay.png"
    write_overlay(path, IMAGE, LABELS)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), draw_overlay(IMAGE, LABELS))
    assert list(tmp_path.iterdir()) == [path]


def test_the_gif(tmp_path):
    path = tmp_path / "movie.gif"
    frames = [draw_overlay(IMAGE, np.roll(LABELS, 5 * t, axis=1)) for t in range(4)]
    write_animation(path, iter(frames), frames_per_second=5)
    with Image.open(path) as gif:
        assert (gif.n_frames, gif.info["duration"], gif.info["loop"]) == (4, 200, 0)
        for t, frame in enumerate(frames):
            gif.seek(t)
            shown = np.asarray(gif.convert("RGB")).astype(int)
            assert np.abs(shown - frame).mean() < 3
    assert list(tmp_path.iterdir()) == [path]


def test_a_gif_of_nothing(tmp_path):
    with pytest.raises(ValueError, match="no frames to animate"):
        write_animation(tmp_path / "movie.gif", [])
    assert list(tmp_path.iterdir()) == []
