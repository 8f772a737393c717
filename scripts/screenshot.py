"""Take the picture of the viewer for the documentation.

    python scripts/screenshot.py docs/images/viewer.png

Opens the sample movie in napari, clicks on cells with the mouse, propagates, and saves the whole window. Needs a
display that can draw the canvas; without one: QT_QPA_PLATFORM=xcb xvfb-run -a -s "-screen 0 1600x1200x24" python ...
"""

import argparse
from pathlib import Path

import numpy as np
from hand import RIGHT, Hand

from napari_sam2.synthetic import sample_movie


def main() -> None:
    """Read the command line and take the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, help="where the PNG goes")
    parser.add_argument("--cells", type=int, default=10, help="how many cells are clicked on")
    parser.add_argument("--frames", type=int, default=12, help="how many frames are propagated")
    parser.add_argument("--show", type=int, default=8, help="the frame on the picture")
    arguments = parser.parse_args()
    hand = Hand()
    hand.viewer.open_sample("napari-sam2", "cells")
    hand.dock()
    hand.go_to(0)
    hand.viewer.reset_view()
    click_cells(hand, arguments.cells)
    hand.widget.form.direction.setCurrentText("To frame")
    hand.widget.form.frame.setValue(arguments.frames)
    hand.push(hand.widget.form.propagate)
    hand.go_to(arguments.show)
    arguments.path.parent.mkdir(parents=True, exist_ok=True)
    hand.picture(arguments.path)
    hand.viewer.close()


def click_cells(hand: Hand, number: int) -> None:
    """Click once on each of the largest cells, and on the background beside the last one with the right button."""
    image, labels = hand.viewer.layers["cells"], sample_movie().labels[0]
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    for index, label in enumerate(np.argsort(areas)[::-1][:number]):
        yx = np.argwhere(labels == label)
        y, x = yx[np.argmin(((yx - yx.mean(0)) ** 2).sum(1))]
        if index:
            hand.push(hand.widget.form.new_object)
        hand.click(image, y, x)
    background = np.argwhere(labels == 0)
    y, x = background[np.argmin(((background - yx.mean(0)) ** 2).sum(1))]
    hand.click(image, y, x, RIGHT)


if __name__ == "__main__":
    main()
