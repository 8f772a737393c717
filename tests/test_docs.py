"""The examples of the documentation, run in order, one after the other."""

import re
from pathlib import Path

import pytest

import napari_sam2
from napari_sam2.synthetic import render_movie
from test_tracking_session import SPEC

DOCS = Path(__file__).parents[1] / "docs"


def blocks(path: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", path.read_text(), flags=re.DOTALL)


def test_scripting_examples_run(repository, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rendered = render_movie(SPEC)
    names = {"movie": rendered.frames, "cell_mask": rendered.labels[0] == 4}
    examples = blocks(repository / "docs" / "scripting.md")
    assert len(examples) == 8
    for example in examples:
        exec(compile(example, "docs/scripting.md", "exec"), names)
    assert (tmp_path / "tracked" / "labels.tif").exists()
    assert (tmp_path / "tracked" / "tracks.csv").exists()
    assert names["labels"].shape == rendered.frames.shape[1:]
    assert "end of object 1 merge of objects 1 and 2\n" in capsys.readouterr().out
    assert set(names["session"].objects) == {1, 3}


def test_windows_examples_run(repository):
    names = {"movie": render_movie(SPEC).frames, "napari_sam2": napari_sam2, "PointPrompt": napari_sam2.PointPrompt}
    (example,) = blocks(repository / "docs" / "windows.md")
    exec(compile(example, "docs/windows.md", "exec"), names)
    assert len(names["session"].masklets[1]) == SPEC.num_frames


def test_evaluation_example_runs(repository, capsys):
    truth = render_movie(SPEC).labels
    (example,) = blocks(repository / "docs" / "evaluation.md")
    exec(compile(example, "docs/evaluation.md", "exec"), {"truth": truth, "labels": truth})
    assert capsys.readouterr().out.split() == ["1.0", "1.0", "1.0", "0"]


def test_sessions_examples_run(repository, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"movie": render_movie(SPEC).frames}
    (example,) = blocks(repository / "docs" / "sessions.md")
    exec(compile(example, "docs/sessions.md", "exec"), names)
    assert capsys.readouterr().out == f"{tuple(range(SPEC.num_frames))}\n"


PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{page.name}" for page in sorted(DOCS.glob("*.md")))]


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(repository, name):
    page = repository / name
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", page.read_text())]
    local = [link for link in links if link and not link.startswith(("http", "mailto"))]
    assert [link for link in local if not (page.parent / link).exists()] == []
