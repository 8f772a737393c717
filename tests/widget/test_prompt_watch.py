"""Each event of a prompt layer by itself: what it says has happened is read, what it only announces is not."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Points

from napari_sam2.layers import create_prompt_layer
from napari_sam2.widget import prompt_watch
from napari_sam2.widget.prompt_watch import PromptWatch

pytestmark = pytest.mark.widget


def place(points: Points, *places: tuple[int, int, int]) -> None:
    points.data = np.array(places, float).reshape(-1, 3)


def remove(points: Points) -> None:
    points.selected_data = {0}
    points.remove_selected()


WAYS = {
    "added": (lambda points: points.add([3, 5, 6]), [(1, 3)], [(0, 20, 30), (3, 5, 6)]),
    "removed": (remove, [(1, 0)], []),
    "changed": (lambda points: place(points, (2, 8, 9)), [(1, 0), (1, 2)], [(2, 8, 9)]),
    "emptied": (lambda points: place(points), [(1, 0)], []),
}


@pytest.fixture
def watch() -> PromptWatch:
    """Return what follows a layer with one point."""
    viewer = ViewerModel()
    watch = PromptWatch(viewer.add_layer(Image(np.zeros((8, 40, 60), np.uint8))))
    watch.watch(viewer.add_layer(create_prompt_layer(watch.image)))
    watch.points.add([0, 20, 30])
    return watch


@pytest.mark.parametrize("way", WAYS)
def test_row18_a_change_of_the_points_is_read_once_it_has_happened(watch, way, monkeypatch):
    # napari tells of the features after most changes, too: not to depend on that, they are silent here.
    change, expected, left = WAYS[way]
    told, read, real = [], [], prompt_watch.read_prompts
    watch.changed.connect(lambda keys: told.append(sorted(keys)))
    monkeypatch.setattr(prompt_watch, "read_prompts", lambda *a, **k: read.append(len(a[0].data)) or real(*a, **k))
    with watch.points.events.features.blocker():
        change(watch.points)
    assert told == [expected]
    assert read == [len(left)], "only after it has happened, not when it was announced"
    assert [(p.frame, p.y, p.x) for group in watch.groups.values() for p in group.points] == left
    assert watch.highest_id == 1


def test_row18_a_change_of_the_features_is_read(watch):
    told = []
    watch.changed.connect(lambda keys: told.append(sorted(keys)))
    with watch.points.events.data.blocker():
        watch.points.features = watch.points.features.assign(object_id=[7])
    assert told == [[(1, 0), (7, 0)]] and watch.groups.keys() == {(7, 0)}
