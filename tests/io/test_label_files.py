"""Labels in the layouts that people have."""

import json
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam2.errors import EvaluationError, MissingExtraError
from napari_sam2.io.label_files import open_labels
from napari_sam2.io.stacks import LabelsTiffWriter
from napari_sam2.io.track_lines import TrackLine, read_track_lines


@pytest.fixture
def labels():
    stack = np.zeros((3, 12, 16), np.uint16)
    stack[:, 2:6, 2:6] = 1
    stack[1:, 7:11, 8:14] = 300
    return stack


def write_palette(path, frame):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(frame.astype(np.uint8)).convert("L")
    picture = Image.frombytes("P", picture.size, picture.tobytes())
    picture.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0] + [9] * (3 * 253))
    picture.save(path)


def test_stacks_and_folders_with_one(tmp_path, labels):
    tifffile.imwrite(tmp_path / "gt.tif", labels, photometric="minisblack")
    (tmp_path / "man_track.txt").write_text("1 0 2 0\n300 1 2 1\n")
    for path in (tmp_path, tmp_path / "gt.tif"):
        movie = open_labels(path)
        assert movie.shape == labels.shape
        assert not movie.numbered
        assert np.array_equal(list(movie), labels)
    assert open_labels(tmp_path).lines == (TrackLine(1, 0, 2, 0), TrackLine(300, 1, 2, 1))


def test_our_results(tmp_path, labels):
    with LabelsTiffWriter(tmp_path / "labels.tif", 3, (12, 16)) as writer:
        for t, frame in enumerate(labels):
            writer.write(t, frame)
    assert np.array_equal(list(open_labels(tmp_path)), labels)


def test_cell_tracking_challenge(tmp_path, labels):
    truth, result = tmp_path / "01_GT", tmp_path / "01_RES"
    for folder in (truth / "TRA", truth / "SEG", result):
        folder.mkdir(parents=True)
    for t, frame in enumerate(labels):
        tifffile.imwrite(truth / "TRA" / f"man_track{t:03d}.tif", frame)
        tifffile.imwrite(result / f"mask{t:03d}.tif", frame // 300)
    tifffile.imwrite(truth / "SEG" / "man_seg002.tif", labels[2] + 1)
    (truth / "TRA" / "man_track.txt").write_text("1 0 2 0\n300 1 2 0\n")
    (result / "res_track.txt").write_text("1 1 2 0\n")
    movie = open_labels(truth)
    assert np.array_equal(list(movie), labels)
    assert movie.segmentation.numbers == (2,)
    assert movie.segmentation.frame(0)[0, 0] == 1
    assert open_labels(result).lines == (TrackLine(1, 1, 2, 0),)
    (truth / "SEG" / "man_seg_002_000.tif").write_bytes(b"")
    with pytest.raises(EvaluationError, match="volumes cannot be evaluated"):
        (truth / "SEG" / "man_seg_002.tif").write_bytes(b"")
        open_labels(truth)


def test_palette_pictures_give_their_indices_and_numbers(tmp_path):
    frame = np.zeros((5, 6), int)
    frame[1, 1:3], frame[4, 4] = (1, 2), 255
    for number in (0, 5, 15):
        write_palette(tmp_path / "bear" / f"{number:05d}.png", frame)
    movie = open_labels(tmp_path / "bear")
    assert (movie.numbers, movie.numbered) == ((0, 5, 15), True)
    assert movie.frame(2)[1].tolist() == [0, 1, 2, 0, 0, 0]
    assert movie.frame(0)[4, 4] == 0, "void is background"
    Image.new("RGB", (6, 5)).save(tmp_path / "bear" / "00005.png")
    with pytest.raises(EvaluationError, match=r"cannot read frame 5 of bear: the PNG is in color \(RGB\)"):
        movie.frame(1)


def test_a_folder_an_object(tmp_path):
    first, second = np.zeros((5, 6), np.uint8), np.zeros((5, 6), np.uint8)
    first[0:3, 0:3], second[2:5, 2:5] = 255, 255
    for name, mask in (("000", first), ("001", second)):
        (tmp_path / name).mkdir()
        Image.fromarray(mask).save(tmp_path / name / "00004.png")
    movie = open_labels(tmp_path)
    assert movie.numbers == (4,)
    assert [(movie.frame(0) == i).sum() for i in (1, 2)] == [9, 8], "where they overlap the smaller ID wins"


def sav_file(path, masks):
    """`masks` (T, N, Y, X) bool, encoded here column by column in the uncompressed form of COCO."""
    from pycocotools import mask as coco

    frames = []
    for frame in masks:
        codes = [coco.encode(np.asfortranarray(m.astype(np.uint8))) for m in frame]
        frames.append([{"size": c["size"], "counts": c["counts"].decode()} for c in codes])
    height, width = masks.shape[2:]
    content = {"masklet": frames, "masklet_id": [0, 1], "video_height": height, "video_width": width}
    path.write_text(json.dumps(content))
    return path


def test_sav_masklets(tmp_path):
    pytest.importorskip("pycocotools")
    masks = np.zeros((2, 2, 7, 9), bool)
    masks[:, 0, 1:3, 1:8] = True
    masks[1, 1, 2:6, 3:5] = True
    movie = open_labels(sav_file(tmp_path / "sav_000001_manual.json", masks))
    assert (movie.numbers, movie.shape) == ((0, 4), (2, 7, 9))
    assert np.array_equal(movie.frame(0), masks[0, 0])
    assert np.array_equal(movie.frame(1), np.where(masks[1, 0], 1, 2 * masks[1, 1]))


def test_sav_masklets_that_are_none(tmp_path, monkeypatch):
    path = tmp_path / "other.json"
    path.write_text('{"boxes": []}')
    pytest.importorskip("pycocotools")
    with pytest.raises(EvaluationError, match="expected a JSON with masklet, video_height and video_width"):
        open_labels(path)
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(MissingExtraError, match=r'pip install "napari-sam2\[evaluate\]"'):
        open_labels(path)


def test_frames_are_read_one_by_one_and_found_by_number(tmp_path, labels):
    for t in range(3):
        write_palette(tmp_path / f"{t:05d}.png", labels[t] % 256)
    (tmp_path / "00001.png").write_bytes(b"not a picture")
    movie = open_labels(tmp_path)
    assert movie.frame(2).any(), "a damaged frame hinders no other"
    with pytest.raises(EvaluationError, match="cannot read frame 1 of"):
        movie.frame(1)
    assert np.array_equal(movie.at([2]).frame(0), movie.frame(2))
    with pytest.raises(EvaluationError, match=r"labels of 3 frames, but none of frame 7.*1 of 2 are missing"):
        movie.at([2, 7])


def test_stacks_without_numbers_are_taken_in_order_if_they_are_as_many(tmp_path, labels):
    tifffile.imwrite(tmp_path / "labels.tif", labels, photometric="minisblack")
    movie = open_labels(tmp_path)
    assert movie.at([0, 5, 10]).numbers == (0, 5, 10)
    assert np.array_equal(movie.at([0, 2]).frame(1), labels[2])


def test_what_is_no_label_image(tmp_path):
    with pytest.raises(EvaluationError, match=r"there are no labels at .*nowhere: give a labels TIFF"):
        open_labels(tmp_path / "nowhere")
    with pytest.raises(EvaluationError, match="there are no labels in the folder"):
        open_labels(tmp_path)
    tifffile.imwrite(tmp_path / "gt.tif", np.zeros((2, 4, 4), np.float32), photometric="minisblack")
    with pytest.raises(EvaluationError, match="holds float32, expected labels: whole numbers"):
        open_labels(tmp_path).frame(0)
    tifffile.imwrite(tmp_path / "gt.tif", np.zeros((5, 2, 4, 4), np.uint8), photometric="minisblack")
    with pytest.raises(EvaluationError, match=r"shape \(5, 2, 4, 4\), expected \(T, Y, X\)"):
        open_labels(tmp_path)


@pytest.mark.parametrize("row", ["1 0 2", "1 0 x 0", "0 0 2 0", "1 3 2 0", "1 0 2 -1"])
def test_lineage_with_a_mistake(tmp_path, row):
    (tmp_path / "man_track.txt").write_text(f"7 0 1 0\n{row}\n")
    with pytest.raises(EvaluationError, match=r"man_track.txt, line 2: .*, expected"):
        read_track_lines(tmp_path / "man_track.txt")
