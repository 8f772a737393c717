"""The examples of the documentation, run in order, one after the other."""

import re
from pathlib import Path

import pytest

from napari_sam2.synthetic import render_movie
from test_tracking_session import SPEC


def blocks(path: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", path.read_text(), flags=re.DOTALL)


def test_scripting_examples_run(repository, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rendered = render_movie(SPEC)
    names = {"movie": rendered.frames, "cell_mask": rendered.labels[0] == 4}
    examples = blocks(repository / "docs" / "scripting.md")
    assert len(examples) == 4
    for example in examples:
        exec(compile(example, "docs/scripting.md", "exec"), names)
    assert (tmp_path / "tracked" / "labels.tif").exists()
    assert (tmp_path / "tracked" / "tracks.csv").exists()
    assert names["labels"].shape == rendered.frames.shape[1:]


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "docs/scripting.md", "docs/formats.md", "docs/napari.md", "docs/models.md"]
)
def test_links_lead_somewhere(repository, name):
    page = repository / name
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", page.read_text())]
    local = [link for link in links if link and not link.startswith(("http", "mailto"))]
    assert [link for link in local if not (page.parent / link).exists()] == []
