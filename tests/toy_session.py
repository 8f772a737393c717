"""Stored sessions on a short movie of two discs, with the stand-in network."""

import numpy as np

from napari_sam2.api import open_session, reopen_session
from toy_scene import RADIUS, truth

NUM_FRAMES = 12


def movie():
    return (truth()[:NUM_FRAMES] > 0).astype(np.float32)


def begin(toy, folder, **settings):
    defaults = {"movie": movie(), "model": toy, "contrast": (0, 1), "diameter": 2 * RADIUS, "autosave": folder}
    return open_session(**defaults | settings)


def again(toy, folder, **settings):
    return reopen_session(folder, **{"movie": movie(), "model": toy} | settings)


def shown(session):
    """All that a session shows."""
    return (
        session.prompts,
        {i: (dict(masklet), masklet.absent) for i, masklet in session.masklets.items()},
        session.settings,
        session.run,
    )
