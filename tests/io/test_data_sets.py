"""Movies of a data set, and the results that belong to them."""

import pytest

from napari_sam2.errors import EvaluationError
from napari_sam2.io.data_sets import Entry, find_entries, result_of


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_folders_with_img_and_gt(tmp_path):
    touch(tmp_path / "b" / "img.tif", tmp_path / "b" / "gt.tif", tmp_path / "a" / "gt.tif", tmp_path / "c" / "x.txt")
    a = Entry("a", None, tmp_path / "a")
    b = Entry("b", tmp_path / "b" / "img.tif", tmp_path / "b")
    assert find_entries(tmp_path) == [a, b]
    assert find_entries(tmp_path, ["b"]) == [b] == find_entries(tmp_path / "b")
    with pytest.raises(EvaluationError, match=r"there is no movie 'd' in .*: it has a, b"):
        find_entries(tmp_path, ["d"])


def test_cell_tracking_challenge(tmp_path):
    touch(tmp_path / "01_GT" / "TRA" / "man_track000.tif", tmp_path / "01" / "t000.tif")
    touch(tmp_path / "02_GT" / "TRA" / "man_track000.tif", tmp_path / "01_RES" / "mask000.tif")
    first, second = find_entries(tmp_path)
    assert first == Entry("01", tmp_path / "01", tmp_path / "01_GT")
    assert second.movie is None
    assert find_entries(tmp_path / "01_GT") == [first]
    assert result_of(tmp_path, first, alone=False) == tmp_path / "01_RES", "not the movie itself"


@pytest.mark.parametrize("below", ["", "480p/"])
def test_pictures_and_annotations(tmp_path, below):
    touch(tmp_path / f"JPEGImages/{below}bear/00000.jpg", tmp_path / f"Annotations/{below}bear/00000.png")
    touch(tmp_path / f"Annotations/{below}cow/00000.png")
    bear, cow = find_entries(tmp_path)
    assert bear.movie == tmp_path / f"JPEGImages/{below}bear"
    assert (cow.name, cow.movie) == ("cow", None)


def test_results_of_several_movies_have_a_folder_each(tmp_path):
    touch(tmp_path / "bear" / "labels.tif")
    bear, cow = (Entry(name, None, tmp_path) for name in ("bear", "cow"))
    assert result_of(tmp_path, bear, alone=False) == tmp_path / "bear"
    assert result_of(tmp_path, cow, alone=True) == tmp_path
    with pytest.raises(EvaluationError, match="there are no results on the movie cow"):
        result_of(tmp_path, cow, alone=False)


def test_no_data_set(tmp_path):
    with pytest.raises(EvaluationError, match=r"there is no .*nowhere: expected folders with img.tif and gt.tif"):
        find_entries(tmp_path / "nowhere")
    with pytest.raises(EvaluationError, match="there is no movie with truth"):
        find_entries(tmp_path)
