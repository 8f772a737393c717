"""The stand-in network, and a session that was stored half way through."""

import pytest

from toy_scene import FAST, STILL, click
from toy_session import begin


@pytest.fixture
def folder(toy, tmp_path):
    """A session of two objects, half way through."""
    session = begin(toy, tmp_path / "s.sam2")
    session.add_prompts(click(0, 1, FAST), click(0, 2, STILL))
    for _ in session.propagate("forward", last=5):
        pass
    session.close()
    return tmp_path / "s.sam2"
