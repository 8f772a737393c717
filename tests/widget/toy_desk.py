"""Sessions of the widget with the session's own rules and the stand-in network, on a movie of two discs."""

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Shapes

from napari_sam2.layers import create_labels_layer, create_prompt_layer, create_shape_layer, read_frame
from napari_sam2.layers.prompt_reader import prompt_defaults
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.video import Video
from napari_sam2.widget.controller import Controller
from toy_model import ToyModel
from toy_scene import RADIUS, click, truth
from widget.fakes import StepRunner

NUM_FRAMES = 8


def movie() -> np.ndarray:
    return (truth()[:NUM_FRAMES] > 0).astype(np.float32)


def open_toy(toy: ToyModel, **settings: Any) -> TrackingSession:
    return TrackingSession(Video(movie(), contrast=(0, 1)), toy, diameter=2 * RADIUS, **settings)


class ToyBench:
    """A movie, its layers and a controller whose jobs run in this thread; the session is a real one."""

    def __init__(
        self,
        toy: ToyModel,
        *,
        paused: bool = False,
        opener: Callable[[], TrackingSession] | None = None,
        runner: StepRunner | None = None,
    ) -> None:
        self.viewer = ViewerModel()
        self.image = self.viewer.add_layer(Image(movie(), name="movie"))
        self.points = self.viewer.add_layer(create_prompt_layer(self.image))
        self.notes: list[str] = []
        self.errors: list[Exception] = []
        self.said: list[str] = []
        self.written: list[int] = []
        self.runner = runner or StepRunner(paused=paused)
        self.controller = Controller(
            self.image,
            self.points,
            open_session=opener or (lambda: open_toy(toy)),
            make_labels=lambda name: self.add(create_labels_layer(self.image, name)),
            make_shapes=self.make_shapes,
            runner=self.runner,
            shown_frame=lambda: 0,
        )
        self.controller.note.connect(self.notes.append)
        self.controller.failed.connect(self.errors.append)
        self.controller.status.connect(self.said.append)
        self.controller.frame_written.connect(self.written.append)

    @property
    def session(self) -> TrackingSession:
        return self.controller.session

    @property
    def labels(self) -> Labels:
        return self.controller.masks.main.layer

    @property
    def shapes(self) -> Shapes | None:
        return self.controller.prompts.shapes

    def add(self, layer: Any) -> Any:
        return self.viewer.add_layer(layer)

    def make_shapes(self) -> Shapes:
        shapes = create_shape_layer(self.image)
        self.controller.prompts.watch(shapes)
        return self.add(shapes)

    def click(self, frame: int, object_id: int, disc: int, *, positive: bool = True) -> None:
        prompt = click(frame, object_id, disc)
        self.points.feature_defaults = prompt_defaults(object_id, positive=positive)
        self.points.add([frame, prompt.y, prompt.x])

    def point_ids(self) -> list[int]:
        return self.points.features["object_id"].tolist()

    def frames(self) -> np.ndarray:
        return np.stack([read_frame(self.labels, frame) for frame in range(NUM_FRAMES)])

    def check(self) -> None:
        """What the layers show is what the session knows, and being told of it again changes nothing in it."""
        np.testing.assert_array_equal(self.frames(), [self.session.labels(t) for t in range(NUM_FRAMES)])
        said = [*self.controller.prompts.usable(self.controller.masks.mask_prompts())[0]]
        undo = self.session.history.undo_name
        assert self.session.set_prompts(said) == set()
        assert self.session.history.undo_name == undo
        assert not self.errors
