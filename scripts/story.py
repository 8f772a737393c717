"""Play the story of the documentation in napari: from a movie to corrected and approved masks, and back another day.

    python scripts/story.py DATA/phase_yeast_bud docs/images/story

The folder holds `img.tif` and the truth, `gt.tif`; clicks and keys are real events. A picture of each step is saved.
Whoever clicks knows the truth: where a mask is wrong, the middle of the largest error is clicked. In the end the mask
threshold is set so that masks end where those of the truth do, and the worst masks are drawn anew, one after another,
until all are good; clicks, outlines and seconds are printed. Needs a display that can draw the canvas; without one:
QT_QPA_PLATFORM=xcb xvfb-run -a -s "-screen 0 1600x1200x24" python ...
"""

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
from hand import LEFT, RIGHT, Hand, wait_until
from napari.layers import Image
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from skimage.measure import find_contours

from napari_sam2.evaluation.correction import corrective_click
from napari_sam2.evaluation.davis import region_similarity
from napari_sam2.prompts import PointPrompt

GOAL = 0.9
THRESHOLD = 2.0
"""The authors of the truth leave the dark rim of a cell out."""
CLICKED_FROM = 150
"""A bud is clicked on the first frame on which it has so many pixels."""


class Story:
    """One movie, what is true of it, and the viewer it is worked on in.

    Attributes
    ----------
    true_label
        By object ID, its label in the truth.
    """

    def __init__(self, folder: Path, out: Path, work: Path) -> None:
        self.truth = tifffile.imread(folder / "gt.tif")
        self.movie = shutil.copy(folder / "img.tif", work / "yeast.tif")
        self.out, self.num_pictures, self.clicks, self.outlines = out, 0, 0, 0
        self.true_label: dict[int, int] = {}
        self.hand: Hand = None

    @property
    def image(self) -> Image:
        return self.hand.widget.controller.image

    @property
    def session(self):
        return self.hand.widget.session

    def open(self) -> None:
        self.hand = Hand()
        self.hand.viewer.open(self.movie)
        self.hand.dock()
        self.hand.go_to(0)

    def close(self) -> None:
        self.hand.widget.shut_down()
        wait_until(lambda: not self.hand.widget.runner.is_busy)
        self.hand.viewer.close()

    def picture(self, name: str) -> None:
        """Save the window."""
        self.num_pictures += 1
        path = self.out / f"{self.num_pictures}-{name}.png"
        self.hand.picture(path)
        print(f"{path.name}: {path.stat().st_size // 1024} kB")

    def click(self, point: PointPrompt) -> None:
        self.hand.click(self.image, point.y, point.x, LEFT if point.positive else RIGHT)
        self.clicks += 1

    def click_new_cells(self) -> None:
        """Click each cell once, as soon as it is large enough."""
        sizes = {label: (self.truth == label).sum((1, 2)) for label in np.unique(self.truth)[1:].tolist()}
        large = {label: np.flatnonzero(areas >= CLICKED_FROM) for label, areas in sizes.items()}
        for label in sorted((label for label in large if large[label].size), key=lambda label: large[label][0]):
            self.hand.go_to(int(large[label][0]))
            if self.true_label:
                self.hand.push(self.hand.widget.form.new_object)
            object_id = self.hand.widget._movie.tool.object_id
            self.true_label[object_id] = label
            mask = self.truth[large[label][0]] == label
            self.click(PointPrompt.inside(mask, frame=int(large[label][0]), object_id=object_id))

    def propagate(self, direction: str) -> list[int]:
        """Push the button; returns the frames that were written."""
        frames: list[int] = []
        self.hand.widget.controller.frame_written.connect(frames.append)
        self.hand.widget.form.direction.setCurrentText(direction)
        self.hand.push(self.hand.widget.form.propagate)
        self.hand.widget.controller.frame_written.disconnect(frames.append)
        return frames

    def masks(self) -> dict[int, NDArray[np.bool_]]:
        """(T, Y, X) by object ID."""
        found = {i: np.zeros(self.truth.shape, np.uint8) for i in self.true_label}
        for object_id, masklet in self.session.masklets.items():
            for frame in masklet:
                masklet[frame].paint(found[object_id][frame], 1)
        return {i: painted > 0 for i, painted in found.items()}

    def ious(self, masks: dict[int, NDArray[np.bool_]]) -> dict[tuple[int, int], float]:
        """By object ID and frame, wherever the cell is there."""
        return {
            (i, int(t)): region_similarity(self.truth[t] == label, masks[i][t])
            for i, label in self.true_label.items()
            for t in np.flatnonzero((self.truth == label).any((1, 2)))
        }

    def correct(self, object_id: int, frame: int) -> bool:
        """Click the middle of the largest error of a mask, if there is one."""
        true, found = self.truth[frame] == self.true_label[object_id], self.masks()[object_id][frame]
        click = corrective_click(true, found, frame=frame, object_id=object_id)
        if click is None:
            return False
        self.hand.widget._movie.tool.object_id = object_id
        self.hand.go_to(frame)
        self.click(click)
        return True

    def draw(self, object_id: int, frame: int) -> None:
        """Draw the true outline of a cell, with the button held down."""
        true = np.pad(self.truth[frame] == self.true_label[object_id], 1)
        contour = max(find_contours(true, 0.5), key=len)[::3] - 1
        self.hand.widget._movie.tool.object_id = object_id
        self.hand.go_to(frame)
        self.hand.push(self.hand.widget.form.outline)
        self.hand.drag(self.image, contour)
        self.outlines += 1

    def tell(self, began: float) -> float:
        """Print what was done so far; returns how good it is, the mean IoU."""
        ious, seconds = self.ious(self.masks()), time.monotonic() - began
        mean = float(np.mean([*ious.values()]))
        done = f"{self.clicks} clicks, {self.outlines} outlines, {seconds:.0f} s, pictures included"
        print(f"{done}: mean IoU {mean:.3f} over {len(ious)} masks", flush=True)
        return mean


def doubtful(story: Story) -> tuple[int, int]:
    """Go on by key until a mask is in doubt that is really wrong; returns the object and the frame."""
    story.hand.go_to(0)
    ious, seen = story.ious(story.masks()), set()
    while True:
        story.hand.key("N")
        object_id, frame = story.hand.widget._movie.tool.object_id, story.hand.viewer.dims.current_step[0]
        if ious.get((object_id, frame), 1.0) < 0.8:
            return object_id, frame
        if (object_id, frame) in seen:
            raise SystemExit("no mask that is in doubt is wrong")
        seen.add((object_id, frame))


def first_day(story: Story) -> None:
    """Click, propagate, find what is in doubt, correct it, carry that on, approve, close."""
    story.open()
    story.click_new_cells()
    story.hand.go_to(0)
    story.picture("click")
    story.propagate("Forward")
    story.hand.go_to(60)
    story.picture("propagated")
    object_id, frame = doubtful(story)
    story.picture("doubt")
    assert story.correct(object_id, frame)
    story.picture("corrected")
    before = story.masks()
    written = story.propagate("Changes only")
    after = story.masks()
    changed = {int(t) for i in after for t in np.flatnonzero((before[i] != after[i]).any((1, 2)))}
    others = [i for i in after if i != object_id and (before[i] != after[i]).any()]
    print(f"object {object_id}, frame {frame} corrected: {len(set(written))} frames visited, {len(changed)} changed")
    assert (before[object_id] != after[object_id]).any(), "the correction is carried on"
    assert changed <= set(written), "no other frame changes"
    assert len(set(written)) < len(story.truth), "not all of the movie is followed again"
    assert not others, "other objects stay as they are"
    story.hand.go_to(frame)
    story.picture("changes")
    story.hand.widget._movie.tool.object_id = object_id
    story.hand.key("K")
    story.hand.widget._movie.tool.object_id = 1
    story.hand.key("K", Qt.KeyboardModifier.ShiftModifier)
    assert frame in story.session.approved(object_id)
    assert story.session.approved(1) == story.session.masklets[1].frames
    story.hand.go_to(60)
    story.picture("approved")


def another_day(story: Story) -> None:
    """Close, open again: everything is there."""
    masks, prompts = story.masks(), story.session.prompts
    approved = {i: story.session.approved(i) for i in story.true_label}
    story.close()
    story.open()
    story.hand.push(story.hand.widget.form.saved.button)
    wait_until(lambda: story.hand.widget.controller.state == "idle" and story.session is not None)
    story.hand.go_to(60)
    assert story.session.prompts == prompts
    assert {i: story.session.approved(i) for i in story.true_label} == approved
    again = story.masks()
    assert all((again[i] == masks[i]).all() for i in masks)
    layer = story.hand.widget.controller.masks.main.layer
    assert all((np.asarray(layer.data[t]) == story.session.labels(t)).all() for t in range(len(story.truth)))
    story.picture("reopened")


def until_good(story: Story, began: float, most: int) -> None:
    """Set the mask threshold and follow all cells anew; draw the worst mask and carry that on, until all is good."""
    story.hand.widget._movie.tool.object_id = 1
    story.hand.key("K", Qt.KeyboardModifier.ShiftModifier)
    assert not story.session.approved(1)
    story.tell(began)
    story.hand.widget.form.advanced.tuning["mask_threshold"].setValue(THRESHOLD)
    story.hand.wait()
    story.propagate("Forward")
    mean, drawn = story.tell(began), set[tuple[int, int]]()
    while mean < GOAL and story.outlines < most:
        ious = story.ious(story.masks())
        worst = min(ious.keys() - drawn, key=lambda key: (ious[key], key))
        drawn.add(worst)
        story.draw(*worst)
        if story.outlines == 1:
            story.picture("outline")
        story.propagate("Changes only")
        mean = story.tell(began)
    story.hand.go_to(60)
    story.picture("good")
    print(f"{len(story.true_label)} cells: a mean IoU of {GOAL} is {'reached' if mean >= GOAL else 'not reached'}")


def main() -> None:
    """Read the command line and play the story."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("movie", type=Path, help="the folder phase_yeast_bud")
    parser.add_argument("out", type=Path, help="where the pictures go")
    parser.add_argument("--outlines", type=int, default=150, help="after so many it is given up")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        os.environ["NAPARI_SAM2_SESSIONS"] = work
        story, began = Story(arguments.movie, arguments.out, Path(work)), time.monotonic()
        first_day(story)
        another_day(story)
        until_good(story, began, arguments.outlines)
        story.close()


if __name__ == "__main__":
    main()
