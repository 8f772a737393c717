import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2.errors import PromptError
from napari_sam2.io.clicks import read_clicks, write_clicks
from napari_sam2.prompts import PointPrompt

HEADER = "object_id,frame,y,x,positive\n"
CLICKS = [PointPrompt(0, 1, 120.5, 88.0), PointPrompt(3, 1, 131.0, 97.25, positive=False), PointPrompt(0, 2, 0.1, 0.2)]


@pytest.fixture
def write(tmp_path):
    def write_text(text, encoding="utf-8"):
        path = tmp_path / "clicks.csv"
        path.write_text(text, encoding=encoding, newline="")
        return path

    return write_text


def test_the_file_is_as_documented(tmp_path):
    path = tmp_path / "clicks.csv"
    write_clicks(path, CLICKS)
    assert path.read_bytes() == (b"object_id,frame,y,x,positive\n1,0,120.5,88.0,1\n1,3,131.0,97.25,0\n2,0,0.1,0.2,1\n")
    assert read_clicks(path) == CLICKS
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_while_writing_keeps_the_old_file(tmp_path):
    path = tmp_path / "clicks.csv"
    write_clicks(path, CLICKS)

    def broken():
        yield CLICKS[0]
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write_clicks(path, broken())
    assert read_clicks(path) == CLICKS
    assert list(tmp_path.iterdir()) == [path]


@given(
    st.lists(
        st.builds(
            PointPrompt,
            st.integers(0, 10**6),
            st.integers(1, 2**32 - 1),
            st.floats(allow_nan=False, allow_infinity=False),
            st.floats(allow_nan=False, allow_infinity=False),
            st.booleans(),
        )
    )
)
def test_round_trip(tmp_path, clicks):
    write_clicks(tmp_path / "clicks.csv", clicks)
    assert read_clicks(tmp_path / "clicks.csv") == clicks


def test_any_order_more_columns_and_what_spreadsheets_do(write):
    header = "x, y,note,positive,frame,object_id"
    rows = "88,120.5,mother,1,0,1", "", "97.25,131,,False,3.0,1", ".2,1e-1,,TRUE,0,2"
    assert read_clicks(write("\r\n".join([header, *rows, ""]), "utf-8-sig")) == CLICKS


def test_only_a_header(write):
    assert read_clicks(write(HEADER)) == []


@pytest.mark.parametrize(
    ("text", "missing", "found"),
    [
        ("", "object_id, frame, y, x, positive", "an empty file"),
        ("object_id,frame,y,x\n1,0,2,3\n", "positive", "object_id,frame,y,x"),
        ("index,axis-0,axis-1,axis-2\n", "object_id, frame, y, x, positive", "index,axis-0,axis-1,axis-2"),
        ("object_id;frame;y;x;positive\n", "object_id, frame, y, x, positive", "object_id;frame;y;x;positive"),
    ],
)
def test_columns_that_are_missing(write, text, missing, found):
    path = write(text)
    with pytest.raises(PromptError) as info:
        read_clicks(path)
    assert str(info.value) == (
        f"{path}, line 1: no column {missing}; expected the header object_id,frame,y,x,positive, found {found}"
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("one,0,1,1,1", "object_id is 'one', expected a number"),
        ("0,0,1,1,1", "object_id is '0', expected a whole number from 1 on"),
        ("1.5,0,1,1,1", "object_id is '1.5', expected a whole number from 1 on"),
        ("1,-1,1,1,1", "frame is '-1', expected a whole number from 0 on"),
        ("1,2.4,1,1,1", "frame is '2.4', expected a whole number from 0 on"),
        ("1,inf,1,1,1", "frame is 'inf', expected a number"),
        ("1,0,,1,1", "y is '', expected a number"),
        ("1,0,nan,1,1", "y is 'nan', expected a number"),
        ('1,0,1,"1,5",1', "x is '1,5', expected a number"),
        ("1,0,1,1,2", "positive is '2', expected 1 or 0"),
        ("1,0,1,1,", "positive is '', expected 1 or 0"),
        ("1,0,1", "x is None, expected a number"),
        ("1,0,1,1", "positive is None, expected 1 or 0"),
    ],
)
def test_bad_values_come_with_their_line(write, row, message):
    path = write(f"{HEADER}1,0,1,1,1\n{row}\n")
    with pytest.raises(PromptError) as info:
        read_clicks(path)
    assert str(info.value) == f"{path}, line 3: {message}"


def test_files_that_cannot_be_read(tmp_path, write):
    with pytest.raises(PromptError, match=r"cannot read the clicks .*none.csv"):
        read_clicks(tmp_path / "none.csv")
    path = write("")
    path.write_bytes(b"\xff\xfe\x00o")
    with pytest.raises(PromptError, match=r"cannot read the clicks .*clicks.csv: .*utf-8"):
        read_clicks(path)
