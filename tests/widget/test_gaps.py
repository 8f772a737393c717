"""The script that measures how long the window is stuck must not break what it measures."""

import threading
import time
import weakref
from typing import Any

import pytest
from qtpy.QtCore import QEventLoop, QObject, QTimer

from benchmarks.latency import Gaps

pytestmark = pytest.mark.widget


class Short(QObject):
    """A QObject that is a local of the GUI thread for a moment."""


def test_looking_at_the_stack_lets_no_object_of_qt_go_in_another_thread(qapp: Any) -> None:
    threads: set[int] = set()

    def gone() -> None:
        threads.add(threading.get_ident())

    def busy() -> None:
        short = Short()
        weakref.finalize(short, gone)
        until = time.monotonic() + 0.003
        while time.monotonic() < until:
            pass

    gaps = Gaps(profiles=True)
    with gaps.measured():
        loop, timer = QEventLoop(), QTimer()
        timer.timeout.connect(busy)
        timer.start(0)
        QTimer.singleShot(700, loop.quit)
        loop.exec()
        timer.stop()
    assert threads == {threading.get_ident()}
    assert gaps.wall, "the gaps were measured"


def test_nobody_watches_when_the_measuring_is_over(qapp: Any) -> None:
    before = threading.active_count()
    gaps = Gaps(profiles=True)
    with gaps.measured():
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    gone: list[int] = []
    weakref.finalize(gaps, lambda: gone.append(threading.get_ident()))
    del gaps
    assert gone == [threading.get_ident()]
