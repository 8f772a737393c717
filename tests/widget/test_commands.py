"""Commands of the palette act on the widget of the current viewer."""

from importlib import import_module
from pathlib import Path
from typing import Any

import npe2
import pytest
from napari._app_model import get_app_model

from napari_sam2.widget import commands
from widget.conftest import Desk

pytestmark = pytest.mark.widget

OTHERS = {"napari-sam2.track", "napari-sam2.sample", "napari-sam2.read_session"}


def declared(repository: Path) -> dict[str, Any]:
    manifest = npe2.PluginManifest.from_file(repository / "napari.yaml")
    return {command.id: command for command in manifest.contributions.commands if command.id not in OTHERS}


def test_each_command_has_a_function_that_the_widget_knows(desk: Desk, repository: Path, monkeypatch: Any) -> None:
    acted: list[str] = []
    monkeypatch.setattr(
        desk.widget,
        "named_actions",
        {name: lambda name=name: acted.append(name) for name in desk.widget.named_actions},
    )
    for command in declared(repository).values():
        module, name = command.python_name.split(":")
        getattr(import_module(module), name)()
    assert acted == [
        *("propagate", "stop", "pause", "next_doubtful", "previous_doubtful"),
        *("approve", "undo", "redo", "new_object", "end", "divide"),
    ]


def test_without_the_widget_a_command_says_how_to_open_it(bare_desk: Desk, repository: Path) -> None:
    for command in declared(repository).values():
        getattr(commands, command.python_name.split(":")[1])()
    assert bare_desk.notes() == [commands.NOT_OPEN] * 11


def test_commands_are_in_the_palette_and_run_from_there(desk: Desk, repository: Path) -> None:
    app = get_app_model()
    assert declared(repository).keys() <= set(dict(app.commands))
    desk.click_canvas(desk.viewer.layers["movie"], 30, 30)
    desk.wait_idle()
    app.commands.execute_command("napari-sam2.propagate").result()
    desk.wait_idle()
    assert len(desk.session.masklets[1]) == desk.session.shape[0]
    app.commands.execute_command("napari-sam2.new_object").result()
    assert desk.widget._movie.tool.object_id == 2
