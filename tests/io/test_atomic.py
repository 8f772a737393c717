import pytest

from napari_sam2.io.atomic import part_path, replacing


def test_the_part_lies_beside_and_keeps_the_suffix(tmp_path):
    part = part_path(tmp_path / "tracks.csv")
    assert part.parent == tmp_path and part.suffix == ".csv" and part.name.startswith(".tracks.")


def test_replaces(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(OSError, match="disk full"), replacing(path) as part:
        part.write_text("ne")
        raise OSError("disk full")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
