import numpy as np
import pytest

from napari_sam2.errors import NapariSam2Error
from napari_sam2.io.tracks import TrackRow, read_tracks, write_tracks
from napari_sam2.masklets import FrameMask, Masklet


def block(object_id, frame, y0, x0, y1, x1, score=2.5, iou=0.875):
    return FrameMask(frame, object_id, (y0, x0, y1, x1), np.ones((y1 - y0, x1 - x0), bool), score, iou)


def test_the_file_is_as_documented(tmp_path):
    path = tmp_path / "tracks.csv"
    masks = [block(2, 0, 1, 1, 2, 4, score=-1 / 3, iou=2 / 3), block(2, 9, 3, 4, 6, 8), block(10, 0, 0, 0, 1, 1)]
    write_tracks(path, map(TrackRow.of, masks))
    assert path.read_bytes() == (
        b"object_id,frame,y,x,area,score,predicted_iou,confidence\n"
        b"2,0,1.0,2.0,3,-0.3333,0.6667,0.2783\n"
        b"2,9,4.0,5.5,12,2.5,0.875,0.8086\n"
        b"10,0,0.0,0.0,1,2.5,0.875,0.8086\n"
    )
    assert read_tracks(path) == [
        TrackRow(2, 0, 1.0, 2.0, 3, -0.3333, 0.6667, 0.2783),
        TrackRow(2, 9, 4.0, 5.5, 12, 2.5, 0.875, 0.8086),
        TrackRow(10, 0, 0.0, 0.0, 1, 2.5, 0.875, 0.8086),
    ]
    assert list(tmp_path.iterdir()) == [path]


def test_a_masklet(tmp_path):
    masklet = Masklet(3)
    for frame in (4, 2):
        masklet.add(block(3, frame, 0, 0, 2, 2))
    write_tracks(tmp_path / "tracks.csv", map(TrackRow.of, masklet.values()))
    assert [(row.frame, row.area) for row in read_tracks(tmp_path / "tracks.csv")] == [(2, 4), (4, 4)]


@pytest.mark.parametrize("places", [[(2, 0), (1, 5)], [(1, 3), (1, 2)], [(1, 3), (1, 3)]])
def test_rows_that_are_not_sorted_leave_no_file(tmp_path, places):
    rows = [TrackRow.of(block(object_id, frame, 0, 0, 1, 1)) for object_id, frame in places]
    with pytest.raises(NapariSam2Error, match="write tracks in rising order"):
        write_tracks(tmp_path / "tracks.csv", rows)
    assert not list(tmp_path.iterdir())


def test_no_masks(tmp_path):
    write_tracks(tmp_path / "tracks.csv", [])
    assert (tmp_path / "tracks.csv").read_text() == "object_id,frame,y,x,area,score,predicted_iou,confidence\n"
    assert read_tracks(tmp_path / "tracks.csv") == []


def test_bad_files(tmp_path):
    path = tmp_path / "tracks.csv"
    with pytest.raises(NapariSam2Error, match="cannot read the tracks"):
        read_tracks(path)
    path.write_text("object_id,frame\n1,2\n")
    with pytest.raises(NapariSam2Error, match="line 1: expected the header object_id,frame,y,x,area"):
        read_tracks(path)
    for row in ("1,0,y,1,1,1,1,1", "1,0,1,1", "1.5,0,1,1,1,1,1,1"):
        path.write_text(f"object_id,frame,y,x,area,score,predicted_iou,confidence\n1,0,1,1,1,1,1,1\n{row}\n")
        with pytest.raises(NapariSam2Error, match=r"line 3: .*; write the file again"):
            read_tracks(path)
