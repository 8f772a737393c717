"""Movies in images of many axes: a plane or a projection, one or several channels, whatever the file or the array."""

from types import SimpleNamespace

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr

from napari_sam2 import InputChoice, Video, open_session, reopen_session
from napari_sam2.errors import MovieError, NapariSam2Error, SessionError
from napari_sam2.session_files.info import describe
from toy_scene import HEIGHT, RADIUS, STILL, WIDTH, click, truth

T, C, Z, Y, X = SHAPE = (4, 2, 3, 20, 30)
DATA = np.random.default_rng(0).integers(0, 4000, SHAPE).astype(np.uint16)


def same(video, expected):
    """Whether a movie is what these arrays (T, Y, X) are."""
    other = Video(expected)
    assert video.shape_yx == other.shape_yx and video.num_frames == other.num_frames
    return all(np.array_equal(video.frame(t), other.frame(t)) for t in range(other.num_frames))


@pytest.mark.parametrize(
    ("axes", "order"), [("TCZYX", (0, 1, 2, 3, 4)), ("CZTYX", (1, 2, 0, 3, 4)), ("YXZCT", (3, 4, 2, 1, 0))]
)
@pytest.mark.parametrize("made", [np.asarray, da.from_array, zarr.array])
def test_row13_a_plane_of_axes_in_any_order(axes, order, made):
    video = Video.open(made(DATA.transpose(order)), InputChoice(axes, plane=1, channels=1))
    assert same(video, DATA[:, 1, 1])


@pytest.mark.parametrize("projection", ["max", "mean"])
def test_row13_projections(projection):
    video = Video.open(DATA[:, 0], InputChoice("tzyx", projection=projection))
    expected = DATA[:, 0].max(1) if projection == "max" else DATA[:, 0].mean(1).astype(np.float32)
    assert same(video, expected)


@pytest.mark.parametrize("projection", ["max", "mean"])
def test_row09_pixels_that_are_no_numbers_do_not_count_in_projections(projection):
    data = DATA[:, 0].astype(np.float32)
    data[0, 1], data[1, 0], data[2, :, 0, 0] = np.nan, np.inf, np.nan
    video = Video.open(data, InputChoice("TZYX", projection=projection))
    frames = np.array([video.frame(t) for t in range(T)])
    assert np.isfinite(frames).all() and frames[0].max() > 0.5
    assert (frames[2, 0, 0] == 0).all()


def test_row12_several_channels_have_a_contrast_each():
    data = DATA[:, :, 0].astype(np.float32)
    data[:, 1] *= 1000
    both = Video.open(data, InputChoice("TCYX", channels=(1, 0)))
    each = [Video(data[:, c]).frame(2)[..., 0] for c in (1, 0)]
    np.testing.assert_array_equal(both.frame(2)[..., :2], np.stack(each, -1))
    np.testing.assert_allclose(both.frame(2)[..., 2], (each[0] + each[1]) / 2, atol=1e-6)
    assert len(both.choice.contrasts) == 2
    again = Video.open(data[:2], both.choice)
    np.testing.assert_array_equal(again.frame(1), both.frame(1))


def test_row12_color_with_planes():
    data = np.random.default_rng(0).integers(0, 255, (4, 3, 20, 30, 3)).astype(np.uint8)
    video = Video.open(data, InputChoice("TZYXS", plane=2))
    assert video.rgb
    np.testing.assert_allclose(video.frame(1), data[1, 2] / 255, atol=1e-6)


def test_row12_levels_and_layers_say_their_axes():
    levels = SimpleNamespace(data=[DATA[:, 0], DATA[:, 0, :, ::2, ::2]], rgb=False, axis_labels=("t", "z", "y", "x"))
    assert same(Video.open(levels, InputChoice(plane=2)), DATA[:, 0, 2])
    plain = SimpleNamespace(data=DATA[:, 0], rgb=False, axis_labels=("-4", "-3", "-2", "-1"))
    with pytest.raises(MovieError, match="nothing says what its axes are: name them, for example axes='TZYX'"):
        Video.open(plain, InputChoice(plane=2))


@pytest.mark.parametrize("options", [{"imagej": True}, {"ome": True}, {"ome": True, "compression": "zlib"}])
def test_tiffs_say_their_axes_and_only_the_pages_of_the_plane_are_read(tmp_path, options):
    path = tmp_path / "movie.ome.tif"
    # The order of ImageJ.
    data = DATA.transpose(0, 2, 1, 3, 4)
    tifffile.imwrite(path, data, metadata={"axes": "TZCYX"}, photometric="minisblack", **options)
    video = Video.open(path, InputChoice(plane=2, channels=1))
    assert same(video, DATA[:, 1, 2])
    assert same(Video.open(path, InputChoice("TZCYX", projection="max", channels=0)), DATA[:, 0].max(1))
    with pytest.raises(MovieError, match=r"3 planes: choose one with plane=0 to 2, or projection='max' or 'mean'"):
        Video.open(path, InputChoice(channels=1))
    with pytest.raises(MovieError, match=r"2 channels: choose one with channels=0 to 1"):
        Video.open(path, InputChoice(plane=1))


def test_a_tiff_of_planes_is_read_page_by_page(tmp_path, monkeypatch):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, DATA[:, 0], metadata={"axes": "TZYX"}, photometric="minisblack", compression="zlib")
    video = Video.open(path, InputChoice(plane=1), contrast=(0, 4000))
    read, plain = [], tifffile.TiffPage.asarray
    frame = tifffile.TiffFrame.asarray
    monkeypatch.setattr(tifffile.TiffPage, "asarray", lambda page, *a, **k: read.append(page) or plain(page, *a, **k))
    monkeypatch.setattr(tifffile.TiffFrame, "asarray", lambda page, *a, **k: read.append(page) or frame(page, *a, **k))
    np.testing.assert_allclose(video.frame(2)[..., 0], DATA[2, 0, 1] / 4000, atol=1e-6)
    assert len({id(page) for page in read}) == 1


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_an_ome_zarr_says_its_axes(tmp_path, version):
    group = zarr.create_group(tmp_path / "movie.zarr", zarr_format=2 if version == "0.4" else 3)
    array = group.create_array("0", shape=SHAPE, dtype=DATA.dtype, chunks=(1, 1, 1, Y, X))
    array[:] = DATA
    scales = {"multiscales": [{"axes": [{"name": n} for n in "tczyx"], "datasets": [{"path": "0"}]}]}
    group.attrs.update(scales if version == "0.4" else {"ome": scales})
    assert same(Video.open(tmp_path / "movie.zarr", InputChoice(plane=0, channels=1)), DATA[:, 1, 0])


def test_row22_only_the_chunks_of_the_plane_are_read():
    read = []

    def block(block_info=None):
        read.append(block_info[None]["chunk-location"])
        return np.full((1, 1, 16, 16), len(read), np.uint16)

    chunks = ((1,) * 5000, (1,) * 40, (16,), (16,))
    data = da.map_blocks(block, chunks=chunks, dtype=np.uint16, meta=np.empty((0,) * 4, np.uint16))
    video = Video.open(data, InputChoice("TZYX", plane=7), contrast=(0, 100))
    video.frame(4000)
    assert read == [(4000, 7, 0, 0)]
    both = Video.open(data, InputChoice("TCYX", channels=(7, 9), contrasts=((0, 1), (0, 1))))
    both.frame(3)
    assert read[1:] == [(3, 7, 0, 0), (3, 9, 0, 0)] or read[1:] == [(3, 9, 0, 0), (3, 7, 0, 0)]


def test_row23_parts_of_large_planes_are_those_of_the_frame():
    data = np.random.default_rng(0).integers(0, 255, (1, 2, 2100, 2050)).astype(np.uint8)
    for choice in (InputChoice("TZYX", projection="max"), InputChoice("TCYX", channels=(0, 1))):
        video = Video.open(data, choice)
        assert video.reads_parts
        whole = np.moveaxis(video.frame(0), -1, 0)
        part = video.part(0, slice(100, 140), slice(2000, 2050))
        np.testing.assert_allclose(np.broadcast_to(part, (3, 40, 50)), whole[:, 100:140, 2000:2050])


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (lambda: InputChoice("TZYX", plane=1, projection="max"), "both plane 1 and the projection 'max'"),
        (lambda: InputChoice("TZYX", projection="min"), "the projection is 'min', expected one of max, mean"),
        (lambda: InputChoice("TCYX", channels=(0, 0)), r"the channels are \[0, 0\], expected one to 3 different"),
        (lambda: InputChoice("TCYX", channels=(0, 1, 2, 3)), "expected one to 3"),
        (lambda: InputChoice("ZYX"), "to go through the planes of a stack as if they were frames, call them T"),
        (lambda: InputChoice("TZYQ"), "the axes are 'TZYQ'"),
        (lambda: InputChoice("TYX", plane=0), "the axes given are TYX"),
        (lambda: InputChoice("TZYX", plane=3), "has no plane 3: it has the planes 0 to 2"),
        (lambda: InputChoice("TZYX", plane=-1), "has no plane -1"),
        (lambda: InputChoice("TCYX", channels=5), "has no channel 5: it has the channels 0 to 2"),
        (lambda: InputChoice("TCYX", plane=0), "has no axis Z among TCYX"),
        (lambda: InputChoice("TZYX", plane=0, channels=0), "has no axis C among TZYX"),
        (lambda: InputChoice("TSYX", channels=0), "has no axis C"),
    ],
)
def test_row10_choices_that_make_no_sense(choice, message):
    with pytest.raises(MovieError, match=message):
        Video.open(DATA[:, 0], choice())


def test_plain_movies_need_no_choice_and_do_not_mind_one():
    plain = DATA[:, 0, 0]
    assert same(Video.open(plain, InputChoice("TYX")), plain)
    assert Video.open(plain, InputChoice()).choice is None
    video = Video.open(DATA[:, 0], InputChoice("TZYX", plane=0))
    assert Video.open(video) is video
    with pytest.raises(MovieError, match="opened already"):
        Video.open(video, InputChoice("TZYX", plane=1))
    # A stack whose planes are followed like frames.
    assert same(Video.open(DATA[0, 0], InputChoice("TYX")), DATA[0, 0])


def test_a_choice_survives_json():
    choice = InputChoice("TCZYX", projection="max", channels=(1, 0), contrasts=((0, 1), (2.5, 7)))
    assert InputChoice.from_json(choice.to_json()) == choice
    bad = ({"axes": "nonsense"}, {"channels": [0]}, {"contrasts": [[1, 1], [0, 1]]}, {"plane": "x"}, {"projection": 1})
    for change in bad:
        with pytest.raises((ValueError, TypeError)):
            InputChoice.from_json(choice.to_json() | change)


def test_row08_a_chunk_that_cannot_be_read_names_its_frame_and_the_rest_goes_on(toy):
    def block(block_info=None):
        t = block_info[None]["chunk-location"][0]
        if t == 3 and broken:
            raise OSError("input/output error")
        return (truth()[t][None, None] > 0).astype(np.float32)

    broken = [True]
    chunks = ((1,) * 6, (1, 1), (HEIGHT,), (WIDTH,))
    data = da.map_blocks(block, chunks=chunks, dtype=np.float32, meta=np.empty((0,) * 4, np.float32))
    movie = Video.open(data, InputChoice("TZYX", plane=1), contrast=(0, 1))
    session = open_session(movie, model=toy, diameter=2 * RADIUS)
    session.add_prompts(click(0, STILL, STILL))
    done = []
    with pytest.raises(NapariSam2Error, match=r"frame 3 of movie cannot be read .*input/output error"):
        done += [result.frame for result in session.propagate()]
    assert sorted(session.masklets[STILL]) == [0, 1, 2]
    broken.clear()
    assert [result.frame for result in session.resume()] == [3, 4, 5]
    assert sorted(session.masklets[STILL]) == [0, 1, 2, 3, 4, 5]


def test_row35_a_session_knows_its_plane_and_channels(toy, tmp_path):
    discs = (truth()[:6] > 0).astype(np.float32)
    path = tmp_path / "movie.tif"
    data = np.stack([discs[::-1], discs], axis=1)
    tifffile.imwrite(path, data, metadata={"axes": "TZYX"}, photometric="minisblack")
    movie = Video.open(path, InputChoice(plane=1))
    session = open_session(movie, model=toy, diameter=2 * RADIUS, autosave=tmp_path / "a.sam2")
    session.add_prompts(click(0, STILL, STILL))
    session.close()
    del session
    again = reopen_session(tmp_path / "a.sam2", model=toy)
    assert again.video.choice == InputChoice("TZYX", plane=1)
    np.testing.assert_array_equal(again.video.frame(0), movie.frame(0))
    again.close()
    with pytest.raises(SessionError, match="it is axes TZYX, plane 0, and was axes TZYX, plane 1"):
        reopen_session(tmp_path / "a.sam2", Video.open(path, InputChoice(plane=0)), model=toy)
    assert "plane 1" in describe(tmp_path / "a.sam2")["movie"]


def test_row35_a_session_on_several_channels_sees_them_as_before(toy, tmp_path):
    discs = (truth()[:4] > 0).astype(np.float32)
    data = np.stack([discs, 50 * discs + 7], axis=1)
    movie = Video.open(data, InputChoice("TCYX", channels=(0, 1)))
    session = open_session(movie, model=toy, diameter=2 * RADIUS, autosave=tmp_path / "a.sam2")
    session.close()
    del session
    again = reopen_session(tmp_path / "a.sam2", data, model=toy)
    assert again.video.choice == movie.choice
    np.testing.assert_array_equal(again.video.frame(2), movie.frame(2))
    again.close()
