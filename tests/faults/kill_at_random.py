"""Kill a process that edits and propagates at random moments, and look at what its session holds afterwards.

    python tests/faults/kill_at_random.py [ROUNDS] [SEED]

The script of edits is the same each time, so the states after each step are known from one run to the end. What is
found after SIGKILL must be the state after the last step that was acknowledged, or after the one that was under way
(which was stored, but the process did not come to say so). The network is the stand-in of the tests.
"""

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import pytest

from napari_sam2.api import open_session, reopen_session
from napari_sam2.prompts import MaskPrompt, PointPrompt
from toy_model import ToyModel
from toy_scene import FAST, RADIUS, STILL, STILL_YX, click, truth

NUM_FRAMES = 14
TOY = ToyModel().install(pytest.MonkeyPatch())


def movie():
    return (truth()[:NUM_FRAMES] > 0).astype(np.float32)


def steps(session):
    """Do one step after the other; the session is as it should stay whenever this yields."""
    yield
    session.add_prompts(click(0, 1, FAST), click(0, 2, STILL))
    yield
    session.segment(0, 1)
    yield
    for _ in session.propagate("forward", last=7):
        yield
    session.add_prompts(click(5, 1, FAST, 4), PointPrompt(5, 2, STILL_YX[0] + 40, STILL_YX[1], positive=False))
    yield
    session.segment(5, 1)
    yield
    for _ in session.propagate("both"):
        yield
    session.approve(1, [6, 7])
    yield
    session.add_prompts(click(9, 1, FAST, 3))
    yield
    session.segment(9, 1)
    yield
    for _ in session.update():
        yield
    session.approve(2)
    yield
    session.undo()
    yield
    session.disapprove(1, 7)
    yield
    session.set_prompts([click(3, 1, FAST), MaskPrompt(8, 3, truth()[8] == STILL)])
    yield
    session.remove_object(2)
    yield
    session.undo()
    yield
    session.redo()
    yield
    session.split(1, 6)
    yield
    session.set_parent(4, 1)
    yield
    for _ in session.propagate("both"):
        yield
    session.merge(1, 3)
    yield
    session.divide(1, 10)
    yield
    for _ in session.update():
        yield


def state(session):
    """All that the session shows, as text."""
    groups = session.objects.all_prompts()
    prompts = sorted((p.object_id, p.frame, type(p).__name__, float(getattr(p, "y", 0))) for p in groups)
    labels = [zlib.crc32(session.labels(t)) for t in range(NUM_FRAMES)]
    absent = [(i, masklet.absent) for i, masklet in sorted(session.masklets.items())]
    run = session.run and (session.run.start, session.run.frame, session.run.is_done)
    approved = [(i, session.approved(i)) for i in sorted(session.objects)]
    lineage = sorted(session.parents.items()), sorted(session.ends.items())
    return json.dumps([prompts, labels, absent, run, approved, lineage])


def work(folder, pipe):
    """Begin a session and do everything, telling each state when it is reached."""
    session = open_session(movie(), model=TOY, diameter=2 * RADIUS, contrast=(0, 1), autosave=folder)
    for _ in steps(session):
        os.write(pipe, (state(session) + "\n").encode())
    session.close()


def in_a_child(folder, last, seconds):
    """The states that a child told before it ended, or was killed some seconds after it had told of a step."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work(folder, theirs)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(theirs)
    told = b""
    # The pipe holds less than all of it, so it is read while the child works.
    while told.count(b"\n") < last and (part := os.read(ours, 1 << 16)):
        told += part
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0, "the script of edits has an error"
    while part := os.read(ours, 1 << 16):
        told += part
    os.close(ours)
    return told.decode().split("\n")[:-1]


def kill_once(folder, last, seconds, expected):
    """How many steps the killed child had acknowledged, and how many its session holds."""
    told = in_a_child(folder, last, seconds)
    assert told == expected[: len(told)], "the same steps give the same states"
    if not (folder / "session.sqlite").exists() and not told:
        return 0, 0
    try:
        session = reopen_session(folder, movie(), model=TOY)
    except ValueError:
        if told:
            raise
        return 0, 0  # killed while it was made
    found = state(session)
    session.close()
    around = expected[max(0, len(told) - 1) : len(told) + 1]
    assert found in around, f"after step {len(told)} the session holds neither that state nor the next"
    return len(told), max(0, len(told) - 1) + 1 + around.index(found)


def kill(rounds, seed=0):
    """Kill so many times; yields the steps that were acknowledged, those found, and those there are."""
    rng, root = random.Random(seed), Path(tempfile.mkdtemp())
    try:
        begun = time.monotonic()
        expected = in_a_child(root / "whole.sam2", sys.maxsize, 0)
        step = (time.monotonic() - begun) / len(expected)
        for i in range(rounds):
            last, seconds = rng.randrange(len(expected)), rng.uniform(0, 1.5 * step)
            yield *kill_once(root / f"{i}.sam2", last, seconds, expected), len(expected)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    rounds, seed = (int(a) for a in (*sys.argv[1:], *("30", "0")[len(sys.argv) - 1 :]))
    print("acknowledged  found  of")
    for told, found, total in kill(rounds, seed):
        print(f"{told:12d}  {found:5d}  {total:2d}", flush=True)
    print("Nothing that was acknowledged is missing.")
