"""Keys: none takes one of napari's or of another plugin, all are given back, and users choose their own."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import napari
import npe2
import pytest
from napari.layers import Image, Labels, Points, Shapes, Tracks
from napari.settings import get_plugin_settings, get_settings
from napari.utils.events import EmitterGroup
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QWidget

from napari_sam2.widget.keys import DEFAULTS, KEYS, PLACES, Keys, captioned, spelled
from napari_sam2.widget.preferences import read_preferences, understood
from widget.conftest import Desk

pytestmark = pytest.mark.widget

SHIFT, CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier


def settings(**given: Any) -> SimpleNamespace:
    """Settings as napari keeps them, otherwise as usual."""
    keys = SimpleNamespace(**(DEFAULTS | {name: value for name, value in given.items() if name in DEFAULTS}))
    sessions = SimpleNamespace(autosave=given.get("autosave", True), folder=given.get("folder", ""))
    runs = SimpleNamespace(
        device=given.get("device", "auto"),
        precision=given.get("precision", "float32"),
        follow=given.get("follow", True),
        ahead=given.get("ahead", True),
    )
    return SimpleNamespace(keys=keys, sessions=sessions, runs=runs)


def watched_settings(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Settings as usual in place of those of the user; `events.changed()` tells of changes."""
    chosen = settings()
    chosen.events = EmitterGroup(source=None, changed=None)
    for module in ("preferences", "preference_watch"):
        monkeypatch.setattr(f"napari_sam2.widget.{module}.plugin_settings", lambda: chosen)
    return chosen


def meanings(*kinds: type) -> set[str]:
    """The keys that mean something to napari on the viewer or on layers of some kinds."""
    return {str(key) for kind in kinds for parent in kind.__mro__ for key in vars(parent).get("class_keymap", {})}


def test_no_key_on_the_viewer_means_anything_to_napari(bare_desk: Desk) -> None:
    taken = meanings(napari.Viewer, Points, Shapes, Labels, Image, Tracks)
    taken |= {str(key) for keys in get_settings().shortcuts.shortcuts.values() for key in keys}
    assert {"S", "T", "Ctrl+Z", "1", "Shift+V"} <= taken, "these are napari's, as ever"
    ours = {key.default for key in KEYS if "viewer" in key.places}
    assert ours and not ours & taken
    assert all(re.fullmatch(r"[GHJKNQUW]|Shift\+[B-KM-OQ-UW-Z]", key) for key in ours)


@pytest.mark.parametrize(("place", "kind"), [("points", Points), ("shapes", Shapes)])
def test_no_key_on_our_layers_shadows_what_napari_does_there(bare_desk: Desk, place: Any, kind: type) -> None:
    bare_desk.add_movie()
    ours = [key.default for key in KEYS if place in key.places]
    assert len(ours) == len(set(ours)) and not set(ours) & meanings(napari.Viewer, kind)


def test_keys_are_written_as_napari_writes_them() -> None:
    assert all(spelled(key.default) == key.default for key in KEYS)
    assert len(DEFAULTS) == len(KEYS)
    assert spelled("shift-s") == "Shift+S" and spelled("Control-Z") == "Ctrl+Z" and spelled("") == ""
    assert spelled("nonsense") == ""
    assert captioned("Undo", "U") == "Undo [U]" and captioned("Undo", "") == "Undo"


def bound(provider: Any) -> set[str]:
    return {str(key) for key in provider.keymap}


def test_all_keys_are_bound_and_given_back(desk: Desk) -> None:
    points = desk.viewer.layers["point_prompts"]
    desk.widget.form.box.click()
    shapes = desk.viewer.layers["shape_prompts"]
    providers = {"viewer": desk.viewer, "points": points, "shapes": shapes}
    for place, provider in providers.items():
        assert bound(provider) == {key.default for key in KEYS if place in key.places}
    desk.widget.shut_down()
    assert not any(bound(provider) for provider in providers.values())


def test_every_key_does_something(desk: Desk) -> None:
    assert {key.action for key in KEYS} <= desk.widget.named_actions.keys()
    assert {place for key in KEYS for place in key.places} == PLACES.keys()


def test_the_key_of_another_plugin_stays_and_the_user_is_told(empty_desk: Desk) -> None:
    called = []
    empty_desk.viewer.bind_key("Shift-S", lambda viewer: called.append("theirs"))
    empty_desk.add_movie()
    empty_desk.dock()
    empty_desk.settle()
    (note,) = [note for note in empty_desk.notes() if "Shift+S" in note]
    assert "was taken by another plugin, so it does not mean 'propagates'" in note
    empty_desk.viewer.layers.selection.active = empty_desk.viewer.layers["movie"]
    empty_desk.press_key("S", SHIFT)
    assert called == ["theirs"]
    assert "Shift+S" in bound(empty_desk.viewer.layers["point_prompts"]), "on our own layer it is ours"
    empty_desk.widget.shut_down()
    assert bound(empty_desk.viewer) == {"Shift+S"}


def test_a_key_that_napari_uses_is_left_to_it(bare_desk: Desk) -> None:
    notes: list[str] = []
    actions = dict.fromkeys((key.action for key in KEYS), bare_desk.settle)
    keys = Keys(DEFAULTS | {"undo": "Ctrl+G"}, actions, notes.append)
    keys.bind(bare_desk.viewer, "viewer")
    (note,) = notes
    assert note.startswith("The key Ctrl+G is napari's own, so it does not mean 'undo'.")
    keys.unbind(bare_desk.viewer)
    assert not bound(bare_desk.viewer)


def test_a_second_widget_takes_the_keys_over_and_the_first_leaves_them(bare_desk: Desk) -> None:
    pressed: list[str] = []

    class Hand:
        def __init__(self, name: str) -> None:
            self.name = name

        def press(self) -> None:
            pressed.append(self.name)

    hands = [Hand("first"), Hand("second")]
    both = [Keys(DEFAULTS, {key.action: hand.press for key in KEYS}, pressed.append) for hand in hands]
    for keys in both:
        keys.bind(bare_desk.viewer, "viewer")
    both[0].unbind(bare_desk.viewer)
    bare_desk.press_key("U")
    assert pressed == ["second"]
    hands.clear()
    both[1].unbind(bare_desk.viewer)
    assert not bound(bare_desk.viewer)


def test_keys_of_peers_work_on_the_prompt_layers(desk: Desk) -> None:
    desk.click_canvas(desk.viewer.layers["movie"], 30, 30)
    desk.wait_idle()
    desk.press_key("T")
    assert not desk.widget._movie.tool.positive
    desk.press_key("M")
    assert desk.widget._movie.tool.object_id == 2
    desk.press_key("S", SHIFT)
    desk.wait_idle()
    assert len(desk.session.masklets[1]) == desk.session.shape[0]
    desk.widget._movie.tool.object_id = 1
    desk.press_key("C")
    desk.wait_idle()
    assert desk.session.approvals == {(1, desk.widget._review._frame())}


def test_a_key_that_was_chosen_is_bound_and_shown(
    npe2pm: Any, plugin_settings: Any, empty_desk: Desk, repository: Path
) -> None:
    with npe2pm.tmp_plugin(manifest=npe2.PluginManifest.from_file(repository / "napari.yaml")):
        chosen = get_plugin_settings("napari-sam2")
        chosen.keys.new_object, chosen.keys.undo, chosen.runs.follow = "J", "", False
        empty_desk.add_movie()
        form = empty_desk.dock().form
        points = empty_desk.viewer.layers["point_prompts"]
        assert "J" in bound(points) and "M" not in bound(points)
        assert "U" not in bound(empty_desk.viewer)
        assert form.new_object.text() == "New object [J]" and form.undo_line.undo.text() == "Undo"
        assert "<b>J</b>" in form.keys_list.texts and "<b>U</b>" not in form.keys_list.texts
        assert not form.follow.isChecked()


def test_preferences_count_in_an_open_widget(
    npe2pm: Any, plugin_settings: Any, empty_desk: Desk, repository: Path, tmp_path: Path
) -> None:
    with npe2pm.tmp_plugin(manifest=npe2.PluginManifest.from_file(repository / "napari.yaml")):
        chosen = get_plugin_settings("napari-sam2")
        empty_desk.add_movie()
        form = empty_desk.dock().form
        points = empty_desk.viewer.layers["point_prompts"]
        chosen.keys.new_object, chosen.keys.undo, chosen.keys.end, chosen.runs.follow = "J", "", "Q", False
        empty_desk.qtbot.waitUntil(lambda: "J" in bound(points), timeout=5000)
        assert "M" not in bound(points)
        assert {"Q"} <= bound(empty_desk.viewer) and not {"H", "U"} & bound(empty_desk.viewer)
        assert form.new_object.text() == "New object [J]" and form.undo_line.undo.text() == "Undo"
        assert form.objects.end.text() == "Ends here [Q]"
        assert "<b>J</b>" in form.keys_list.texts and "<b>U</b>" not in form.keys_list.texts
        assert not form.follow.isChecked()
        empty_desk.widget.shut_down()
        chosen.keys.end = "H"
        empty_desk.qtbot.wait(500)
        assert not {"H", "Q"} & bound(empty_desk.viewer)


def test_device_and_precision_count_for_sessions_that_begin_then(
    empty_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = watched_settings(monkeypatch)
    empty_desk.add_movie()
    form = empty_desk.dock().form
    chosen.runs.device, chosen.runs.precision = "cuda:3", "auto"
    chosen.events.changed()
    empty_desk.qtbot.waitUntil(lambda: form.advanced.precision.currentData() == "auto", timeout=5000)
    empty_desk.viewer.layers["point_prompts"].add([0, 20, 20])
    empty_desk.wait_idle()
    assert [(setup.device, setup.precision) for setup in empty_desk.setups] == [("cuda:3", "auto")]
    assert form.advanced.ahead.isChecked()
    chosen.runs.device, chosen.runs.precision, chosen.runs.follow, chosen.runs.ahead = "cpu", "float32", False, False
    chosen.events.changed()
    empty_desk.qtbot.waitUntil(lambda: not form.follow.isChecked(), timeout=5000)
    empty_desk.wait_idle()
    assert not form.advanced.ahead.isChecked()
    assert len(empty_desk.sessions) == 1, "one that is open goes on as it is"
    assert form.advanced.precision.currentData() == "auto"


def test_what_is_typed_in_the_preferences_counts_when_they_are_left(
    npe2pm: Any, plugin_settings: Any, empty_desk: Desk, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with npe2pm.tmp_plugin(manifest=npe2.PluginManifest.from_file(repository / "napari.yaml")):
        chosen = get_plugin_settings("napari-sam2")
        empty_desk.add_movie()
        empty_desk.dock()
        with monkeypatch.context() as at_the_preferences:
            dialog = QWidget(empty_desk.widget)
            at_the_preferences.setattr(QApplication, "activeWindow", lambda: dialog)
            for text in ("S", "Sh", "Shift", "Shift+", "Shift+Q"):
                chosen.keys.undo = text
            empty_desk.qtbot.wait(800)
            assert "U" in bound(empty_desk.viewer)
        empty_desk.qtbot.waitUntil(lambda: "Shift+Q" in bound(empty_desk.viewer), timeout=5000)
        assert empty_desk.notes() == []


def test_what_is_set_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NAPARI_SAM2_SESSIONS")
    notes: list[str] = []
    given = settings(
        autosave=False,
        folder=f" {tmp_path} ",
        device="CUDA:1",
        precision="auto",
        follow=False,
        ahead=False,
        undo="shift-q",
    )
    found = understood(given, notes.append)
    assert (found.autosave, found.folder, found.device) == (False, tmp_path, "cuda:1")
    assert (found.precision, found.follow, found.ahead, found.keys["undo"]) == ("auto", False, False, "Shift+Q")
    assert understood(settings(), notes.append).ahead
    assert not notes
    monkeypatch.setenv("NAPARI_SAM2_SESSIONS", str(tmp_path / "other"))
    assert understood(given, notes.append).folder is None, "the variable stays in charge"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"device": "gpu"}, "the device is 'gpu', which makes no sense; 'auto' is used instead"),
        ({"precision": "half"}, "the precision is 'half'"),
        ({"folder": "relative/place"}, "the folder of sessions is 'relative/place'"),
        ({"folder": __file__}, "the folder of sessions is"),
        ({"undo": "Hyper-Q"}, "'Hyper-Q' for 'undo' is no key; the usual key is used instead"),
        ({"redo": "U"}, "'U' for 'redo' is that of 'undo', too; the usual key is used instead"),
    ],
)
def test_what_makes_no_sense_falls_back_with_a_note(given: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NAPARI_SAM2_SESSIONS")
    notes: list[str] = []
    found = understood(settings(**given), notes.append)
    assert len(notes) == 1 and said in notes[0]
    assert (found.device, found.precision, found.folder) == ("auto", "float32", None)
    assert found.keys == DEFAULTS


def test_without_settings_all_is_as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari.settings.get_plugin_settings", lambda name: {}[name])
    assert read_preferences(print).keys == DEFAULTS
    monkeypatch.delattr("napari.settings.get_plugin_settings")
    assert read_preferences(print).keys == DEFAULTS


def test_the_manifest_declares_each_key_and_each_setting(repository: Path) -> None:
    declared = npe2.PluginManifest.from_file(repository / "napari.yaml").contributions.configurations
    found = {name: prop.default for name, prop in declared["keys"].properties.items()}
    assert found == DEFAULTS
    usual = settings()
    for category in ("sessions", "runs"):
        assert {n: p.default for n, p in declared[category].properties.items()} == vars(getattr(usual, category))


def test_the_documentation_lists_the_keys(repository: Path) -> None:
    text = (repository / "docs" / "napari.md").read_text()
    lines = [f"| {key.default} | {key.where} | {key.help} |" for key in KEYS]
    assert "\n".join(["| key | where | what it does |", "|---|---|---|", *lines]) in text


def test_nothing_is_stored_if_that_is_switched_off(
    bare_desk: Desk, monkeypatch: pytest.MonkeyPatch, sessions_folder: Path
) -> None:
    from napari_sam2.layers import Saving
    from napari_sam2.session_setup import SessionSetup

    image = bare_desk.add_movie()
    for stores in (False, True):
        saving = Saving(image, stores=stores, elsewhere=sessions_folder / "here")
        session = saving.open("cell", SessionSetup())
        assert (saving.folder is not None) == stores
        session.close()
    assert saving.folder is not None and saving.folder.parent == sessions_folder / "here"
