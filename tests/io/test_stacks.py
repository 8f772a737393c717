import numpy as np
import pytest
import tifffile

from napari_sam2.errors import NapariSam2Error
from napari_sam2.io import stacks
from napari_sam2.io.movies import TiffMovie
from napari_sam2.io.stacks import LabelsTiffWriter


def labels(frames, height=13, width=17):
    return np.random.default_rng(0).integers(0, 2**32, (frames, height, width)).astype(np.uint32)


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_round_trip(tmp_path, frames):
    data = labels(frames)
    path = tmp_path / "labels.tif"
    with LabelsTiffWriter(path, frames, (13, 17)) as writer:
        for t, frame in enumerate(data):
            writer.write(t, frame)
            assert not path.exists()
    back = tifffile.imread(path)
    assert back.shape == (frames, 13, 17) and back.dtype == np.uint32
    np.testing.assert_array_equal(back, data)
    assert list(tmp_path.iterdir()) == [path]
    with tifffile.TiffFile(path) as tiff:
        assert tiff.series[0].axes == "TYX"
        assert len(tiff.series) == 1 and len(tiff.pages) == frames
        assert all(page.asarray().shape == (13, 17) for page in tiff.pages)
        assert tiff.pages[0].compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert not tiff.is_bigtiff
    movie = TiffMovie(path)
    np.testing.assert_array_equal(movie[frames - 1], data[-1])
    movie.close()


def test_frames_left_out_are_zeros(tmp_path):
    data = labels(8)
    with LabelsTiffWriter(tmp_path / "labels.tif", 8, (13, 17)) as writer:
        for t in (2, 3, 6):
            writer.write(t, data[t])
    back = tifffile.imread(tmp_path / "labels.tif")
    for t in range(8):
        np.testing.assert_array_equal(back[t], data[t] * (t in (2, 3, 6)))


def test_nothing_written_is_all_zeros(tmp_path):
    with LabelsTiffWriter(tmp_path / "labels.tif", 3, (5, 6)):
        pass
    back = tifffile.imread(tmp_path / "labels.tif")
    assert back.shape == (3, 5, 6) and not back.any()


def test_an_error_leaves_the_old_file(tmp_path):
    path = tmp_path / "labels.tif"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="out of memory"), LabelsTiffWriter(path, 3, (13, 17)) as writer:
        writer.write(0, labels(1)[0])
        raise RuntimeError("out of memory")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_is_full_at_the_end(tmp_path, monkeypatch):
    path = tmp_path / "labels.tif"
    writer = LabelsTiffWriter(path, 2, (13, 17))

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tifffile.TiffWriter, "write", full)
        with pytest.raises(OSError, match="No space left"):
            writer.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("frame", [-1, 1, 2, 5])
def test_frames_out_of_order(tmp_path, frame):
    with LabelsTiffWriter(tmp_path / "labels.tif", 5, (13, 17)) as writer:
        writer.write(2, labels(1)[0])
        with pytest.raises(NapariSam2Error) as info:
            writer.write(frame, labels(1)[0])
    assert str(info.value) == (
        f"frame {frame} of labels.tif out of order: expected one from 3 to 4; write frames in rising order"
    )


def test_other_integer_types(tmp_path):
    with LabelsTiffWriter(tmp_path / "labels.tif", 5, (4, 4)) as writer:
        for t, dtype in enumerate([bool, np.uint8, ">u2", np.int64, np.uint64]):
            writer.write(t, np.eye(4, dtype=dtype))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "labels.tif"), [np.eye(4)] * 5)


@pytest.mark.parametrize("value", [-1, 2**32])
def test_row19_labels_never_wrap(tmp_path, value):
    with LabelsTiffWriter(tmp_path / "labels.tif", 1, (2, 2)) as writer:
        with pytest.raises(NapariSam2Error, match="do not fit uint32: renumber the objects"):
            writer.write(0, np.full((2, 2), value))
        writer.write(0, np.full((2, 2), 2**32 - 1))
    assert (tifffile.imread(tmp_path / "labels.tif") == 2**32 - 1).all()


@pytest.mark.parametrize("bad", [np.zeros((17, 13), np.uint32), np.zeros((1, 13, 17), np.uint32), np.zeros((13, 17))])
def test_what_are_no_labels(tmp_path, bad):
    with (
        LabelsTiffWriter(tmp_path / "labels.tif", 1, (13, 17)) as writer,
        pytest.raises(NapariSam2Error, match=r"expected \(13, 17\) and integers"),
    ):
        writer.write(0, bad)


def test_large_files_are_bigtiff(tmp_path, monkeypatch):
    monkeypatch.setattr(stacks, "_BIGTIFF_BYTES", 13 * 17 * 4 * 2)
    for frames, big in ((2, False), (3, True)):
        path = tmp_path / f"{frames}.tif"
        with LabelsTiffWriter(path, frames, (13, 17)) as writer:
            writer.write(0, labels(1)[0])
        with tifffile.TiffFile(path) as tiff:
            assert tiff.is_bigtiff == big
        assert tifffile.imread(path).shape == (frames, 13, 17)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        LabelsTiffWriter(tmp_path / "none" / "labels.tif", 1, (2, 2))
