import gc
import logging
import tracemalloc

import numpy as np
import pytest
import tifffile
import zarr

from napari_sam2.errors import MovieError
from napari_sam2.io.movies import TiffMovie, open_movie_file
from napari_sam2.video import Video

DATA = np.random.default_rng(0).integers(0, 60000, (6, 33, 21)).astype(np.uint16)
COLOR = np.random.default_rng(1).integers(0, 256, (6, 33, 21, 3)).astype(np.uint8)

KINDS = {
    "plain": dict(data=DATA, photometric="minisblack"),
    "big-endian": dict(data=DATA.astype(">u2"), photometric="minisblack", byteorder=">"),
    "compressed": dict(data=DATA, photometric="minisblack", compression="zlib"),
    "compressed with predictor": dict(data=DATA, photometric="minisblack", compression="zlib", predictor=True),
    "bigtiff": dict(data=DATA, photometric="minisblack", bigtiff=True),
    "tiled": dict(data=DATA, photometric="minisblack", tile=(16, 16)),
    "no metadata": dict(data=DATA, photometric="minisblack", metadata=None),
    "imagej": dict(data=DATA, imagej=True, metadata={"axes": "TYX"}),
    "imagej z": dict(data=DATA, imagej=True, metadata={"axes": "ZYX"}),
    "imagej compressed": dict(data=DATA, imagej=True, metadata={"axes": "TYX"}, compression="zlib"),
    "ome": dict(data=DATA, photometric="minisblack", ome=True, metadata={"axes": "TYX"}),
    "ome compressed": dict(data=DATA, photometric="minisblack", ome=True, metadata={"axes": "TYX"}, compression="zlib"),
    "float": dict(data=DATA.astype(np.float32) / 7, photometric="minisblack"),
    "int16": dict(data=DATA.astype(np.int16), photometric="minisblack"),
    "bool": dict(data=DATA > 30000, photometric="minisblack"),
    "one frame": dict(data=DATA[:1], photometric="minisblack"),
    "rgb": dict(data=COLOR, photometric="rgb"),
    "rgb compressed": dict(data=COLOR, photometric="rgb", compression="zlib"),
    "rgb imagej": dict(data=COLOR, imagej=True, metadata={"axes": "TYXS"}),
    "rgb ome": dict(data=COLOR, photometric="rgb", ome=True, metadata={"axes": "TYXS"}),
}


@pytest.fixture
def write(tmp_path):
    def write_tiff(name="movie.tif", **options):
        path = tmp_path / name
        tifffile.imwrite(path, **options)
        return path

    return write_tiff


@pytest.mark.parametrize("kind", KINDS)
def test_round_trip(write, kind):
    options = KINDS[kind]
    path = write("movie.ome.tif" if "ome" in kind.split() else "movie.tif", **options)
    movie = open_movie_file(path)
    assert movie.shape == options["data"].shape
    assert movie.dtype == options["data"].dtype.newbyteorder("=")
    for t, expected in enumerate(options["data"]):
        np.testing.assert_array_equal(movie[t], expected)
    np.testing.assert_array_equal(Video(movie).frame(0), Video(options["data"]).frame(0))
    movie.close()


def test_planar_color(write):
    path = write(data=np.moveaxis(COLOR, -1, 1), photometric="rgb", planarconfig="separate")
    movie = TiffMovie(path)
    assert movie.shape == COLOR.shape
    np.testing.assert_array_equal(movie[4], COLOR[4])
    movie.close()


def test_appended_frames(tmp_path):
    path = tmp_path / "movie.tif"
    for frame in DATA:
        tifffile.imwrite(path, frame, append=True)
    movie = TiffMovie(path)
    assert movie.shape == DATA.shape
    np.testing.assert_array_equal(np.stack([movie[t] for t in range(6)]), DATA)
    movie.close()


def test_one_page_for_all_frames(tmp_path):
    """ImageJ writes movies of more than 4 GB like this: one page, and the frames one after the other."""
    path = tmp_path / "movie.tif"
    description = "ImageJ=1.53c\nimages=6\nframes=6\n"
    with tifffile.TiffWriter(path, byteorder=">") as tiff:
        tiff.write(DATA[0].astype(">u2"), description=description, metadata=None, photometric="minisblack")
    path.write_bytes(path.read_bytes() + DATA[1:].astype(">u2").tobytes())
    movie = TiffMovie(path)
    assert movie.shape == DATA.shape
    np.testing.assert_array_equal(np.stack([movie[t] for t in range(6)]), DATA)
    movie.close()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 100)
    with pytest.raises(MovieError, match="cut short"):
        open_movie_file(path)


def test_ten_thousand_frames(write, monkeypatch):
    data = np.random.default_rng(0).integers(0, 200, (10_000, 8, 9)).astype(np.uint8)
    path = write(data=data, photometric="minisblack", compression="zlib")
    reads = []
    asarray = tifffile.TiffPage.asarray
    monkeypatch.setattr(
        tifffile.TiffPage, "asarray", lambda self, *a, **k: reads.append(self) or asarray(self, *a, **k)
    )
    video = Video.open(path)
    assert video.num_frames == 10_000 and reads == []
    assert np.isfinite(video.contrast).all()
    assert len(reads) <= 8
    reads.clear()
    np.testing.assert_allclose(video.frame(9_876)[..., 0], video.frame(9_876)[..., 1])
    assert len(reads) == 2
    video.close()


def test_opening_takes_no_memory(write):
    path = write(data=np.zeros((64, 512, 512), np.uint16), photometric="minisblack")
    tracemalloc.start()
    try:
        movie = TiffMovie(path)
        movie[3]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    movie.close()
    assert peak < 4 * 512 * 512 * 2


@pytest.mark.parametrize("kind", ["plain", "compressed", "imagej", "ome", "no metadata", "bigtiff", "rgb", "tiled"])
@pytest.mark.parametrize("kept", [0.0, 0.001, 0.05, 0.5, 0.9, 0.97, 0.999])
def test_row08_a_file_cut_short(write, kind, kept):
    options = dict(KINDS[kind])
    options["data"] = np.concatenate([options["data"]] * 10)
    path = write("movie.ome.tif" if kind == "ome" else "movie.tif", **options)
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * kept))
    if (kind, kept) == ("ome", 0.999):
        # The XML comes last, and only some of it is lost.
        assert frames_read(path, options["data"]) == 60
        return
    with pytest.raises(MovieError, match=r"cannot open the movie .*movie|frame \d+ of movie.* cannot be read"):
        frames_read(path, options["data"])


def frames_read(path, expected):
    """Read every frame: one that comes out of a damaged file at all must be right."""
    video = Video.open(path, contrast=(0, 60000))
    reference = Video(expected, contrast=(0, 60000))
    try:
        for t in range(video.num_frames):
            np.testing.assert_array_equal(video.frame(t), reference.frame(t))
    finally:
        video.close()
    return video.num_frames


def test_what_is_no_tiff(tmp_path):
    path = tmp_path / "movie.tif"
    path.write_text("<html>404</html>")
    with pytest.raises(MovieError, match=r"cannot open the movie .*not a TIFF file"):
        open_movie_file(path)


def test_a_single_picture(write):
    for options in (dict(data=DATA[0]), dict(data=COLOR[0], photometric="rgb")):
        with pytest.raises(MovieError, match=r"movie.tif has the shape .* and no time axis"):
            Video.open(write(**options))


def test_more_axes(write):
    data = np.zeros((4, 3, 16, 17), np.uint16)
    for axes in ("TZYX", "TCYX"):
        path = write(data=data, imagej=True, metadata={"axes": axes})
        with pytest.raises(MovieError, match=r"shape \(4, 3, 16, 17\).* choose a plane or a channel"):
            Video.open(path)


def test_a_compression_that_is_not_installed(write, monkeypatch):
    path = write(data=DATA, photometric="minisblack", compression="zlib")
    page = "<COMPRESSION.LZW: 5> requires the 'imagecodecs' package"
    video = Video.open(path)

    def asarray(self, *args, **kwargs):
        raise KeyError(page)

    monkeypatch.setattr(tifffile.TiffPage, "asarray", asarray)
    with pytest.raises(MovieError, match="requires the 'imagecodecs' package: pip install imagecodecs"):
        video.frame(0)
    video.close()


@pytest.mark.filterwarnings("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning")
def test_files_are_closed(write, tmp_path):
    path = write(data=DATA, photometric="minisblack")
    movie = TiffMovie(path)
    close = movie.close
    del movie
    gc.collect()
    assert not close.alive
    (tmp_path / "broken.tif").write_bytes(path.read_bytes()[:300])
    with pytest.raises(MovieError):
        Video.open(tmp_path / "broken.tif")
    gc.collect()


def test_the_log_is_left_as_it_was(write):
    before = list(logging.getLogger("tifffile").handlers)
    TiffMovie(write(data=DATA, photometric="minisblack")).close()
    assert logging.getLogger("tifffile").handlers == before


def test_a_folder_of_tiffs(tmp_path):
    folder = tmp_path / "01"
    folder.mkdir()
    for t, frame in enumerate(DATA):
        tifffile.imwrite(folder / f"t{t:03d}.tif", frame)
    (folder / "notes.txt").write_text("x")
    (folder / ".t000.tif").write_text("resource fork")
    video = Video.open(folder)
    assert (video.num_frames, video.shape_yx, video.name) == (6, (33, 21), "01")
    np.testing.assert_array_equal(video.frame(5), Video(DATA).frame(5))
    (folder / "t003.tif").write_bytes(b"II*\0")
    with pytest.raises(MovieError, match="frame 3 of 01 cannot be read"):
        video.frame(3)


@pytest.mark.parametrize("name", ["t{}.tif", "cell 7 t{:02d}.tif", "{}.tif"])
def test_a_folder_is_in_the_order_of_the_numbers(tmp_path, name):
    for t in (100, 11, 10, 9, 2, 1, 0):
        tifffile.imwrite(tmp_path / name.format(t), np.full((4, 5), t, np.uint8))
    movie = open_movie_file(tmp_path)
    assert [int(frame.max()) for frame in movie[:]] == [0, 1, 2, 9, 10, 11, 100]


def test_what_cannot_be_opened(tmp_path):
    with pytest.raises(MovieError, match="holds no TIFF; expected one a frame"):
        open_movie_file(tmp_path)
    path = tmp_path / "movie.nd2"
    path.write_bytes(b"x")
    with pytest.raises(MovieError, match=r"movie.nd2: expected a TIFF, .zarr folder, or folder of TIFFs, JPEGs"):
        open_movie_file(path)


def test_zarr_arrays_and_groups(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", data=DATA, chunks=(1, 33, 21))
    np.testing.assert_array_equal(open_movie_file(tmp_path / "a.zarr")[3], DATA[3])
    for name, attributes in {
        "ngff4.zarr": {"multiscales": [{"datasets": [{"path": "s0"}, {"path": "s1"}]}]},
        "ngff5.zarr": {"ome": {"multiscales": [{"datasets": [{"path": "s0"}, {"path": "s1"}]}]}},
    }.items():
        group = zarr.create_group(tmp_path / name, attributes=attributes)
        group.create_array("s0", data=DATA[:, None, None], chunks=(1, 1, 1, 33, 21))
        group.create_array("s1", data=DATA[:, None, None, ::2, ::2])
        video = Video.open(tmp_path / name)
        assert video.shape_yx == (33, 21)
        np.testing.assert_array_equal(video.frame(3), Video(DATA).frame(3))


def test_zarr_that_holds_no_movie(tmp_path):
    zarr.create_group(tmp_path / "g.zarr").create_array("raw", data=DATA)
    with pytest.raises(MovieError, match=r"the group has no array '0'; give the path of an array in it: \['raw'\]"):
        open_movie_file(tmp_path / "g.zarr")
    np.testing.assert_array_equal(open_movie_file(tmp_path / "g.zarr" / "raw")[0], DATA[0])
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(MovieError, match=r"cannot open the movie .*empty.zarr"):
        open_movie_file(tmp_path / "empty.zarr")


def test_row08_a_zarr_chunk_that_is_damaged(tmp_path):
    array = zarr.create_array(tmp_path / "a.zarr", data=DATA, chunks=(1, 33, 21))
    chunk = tmp_path / "a.zarr" / "c" / "2" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:40])
    with pytest.raises(MovieError, match="frame 2 of movie cannot be read"):
        Video(array).frame(2)
