"""What lies on the shelf comes back, from memory or disk, and what is discarded takes no space."""

import gc
import tempfile
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2.errors import NapariSam2Error, NapariSam2Warning
from napari_sam2.shelf import Pile, Shelf


def data(n: int, size: int = 5000) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, size, dtype=np.uint8)


@pytest.fixture
def full_disk(monkeypatch):
    """Temporary files cannot be made as long as the list is not empty."""
    reasons = ["No space left on device"]
    real = tempfile.TemporaryFile

    def fail(**kwargs):
        if reasons:
            raise OSError(28, reasons[0])
        return real(**kwargs)

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    return reasons


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9000)), max_size=40), st.integers(0, 20000))
def test_as_a_dict(steps, budget):
    shelf, model, slots = Shelf(budget), {}, []
    for n, (drop, size) in enumerate(steps):
        slot = shelf.put(data(n, size))
        assert slot not in slots
        slots.append(slot)
        model[slot] = data(n, size)
        if drop < len(slots) and drop % 2:
            shelf.discard(slots[drop])
            model.pop(slots[drop], None)
        assert shelf.nbytes <= budget
    for slot, expected in model.items():
        np.testing.assert_array_equal(shelf.get(slot), expected)
        np.testing.assert_array_equal(shelf.get(slot, 10, 30), expected[10:30])
        np.testing.assert_array_equal(shelf.get(slot, 8000), expected[8000:])
    for slot in set(slots) - model.keys():
        with pytest.raises(KeyError):
            shelf.get(slot)
    for slot in slots:
        shelf.discard(slot)
    assert (shelf.nbytes, shelf.nbytes_on_disk) == (0, 0)


@pytest.mark.parametrize("kind", [bytes, bytearray, np.array])
def test_put_copies(kind):
    given = kind(data(0))
    shelf = Shelf()
    slot = shelf.put(given)
    if kind is not bytes:
        given[:] = bytes(len(given)) if kind is bytearray else 0
    got = shelf.get(slot)
    assert got.dtype == np.uint8 and not got.flags.writeable
    np.testing.assert_array_equal(got, data(0))


def test_the_oldest_go_to_disk():
    shelf = Shelf(budget=12_000)
    slots = [shelf.put(data(n)) for n in range(10)]
    assert shelf.nbytes == 10_000
    assert shelf.nbytes_on_disk == 8 * 8192
    assert list(shelf._kept) == slots[-2:]


def test_no_file_without_need(full_disk):
    shelf = Shelf(budget=50_000)
    for n in range(10):
        shelf.put(data(n))
    assert (shelf.nbytes, shelf.nbytes_on_disk) == (50_000, 0)
    assert Shelf().budget == 256 * 2**20


def test_free_places_are_used_again():
    shelf = Shelf(budget=0)
    slots = [shelf.put(data(n)) for n in range(10)]
    size = shelf.nbytes_on_disk
    for round_ in range(1, 6):
        for i in range(0, 9, 2):
            shelf.discard(slots[i])
        for i in range(0, 9, 2):
            slots[i] = shelf.put(data(10 * round_ + i, 5000 - round_ - i))
        assert shelf.nbytes_on_disk == size
        for i in range(0, 9, 2):
            np.testing.assert_array_equal(shelf.get(slots[i]), data(10 * round_ + i, 5000 - round_ - i))
    np.testing.assert_array_equal(shelf.get(slots[1]), data(1))
    shelf.discard(slots[1])
    shelf.put(data(0, 9000))
    assert shelf.nbytes_on_disk > size, "a place too small is left alone"


def test_the_file_goes_with_the_last_segment():
    shelf = Shelf(budget=0)
    for n in range(3):
        slot = shelf.put(data(n))
        shelf.get(slot)
        shelf.discard(slot)
        shelf.discard(slot)
        assert shelf.nbytes_on_disk == 0 and shelf._file._file is None
    file = shelf._file._open()
    del shelf
    gc.collect()
    assert file.closed


def test_a_full_disk_loses_nothing_and_says_so_once(full_disk):
    shelf = Shelf(budget=7000)
    slots = [shelf.put(data(0))]
    with pytest.warns(NapariSam2Warning, match="No space left on device.*Nothing is lost.*set TMPDIR"):
        slots.append(shelf.put(data(1)))
    slots += [shelf.put(data(n)) for n in range(2, 6)]
    assert shelf.nbytes == 30_000
    full_disk.clear()
    slots.append(shelf.put(data(6)))
    assert shelf.nbytes == 5000, "there is space again"
    for n, slot in enumerate(slots):
        np.testing.assert_array_equal(shelf.get(slot), data(n))


class Stubborn:
    """A file of which the nth write takes only a part, and the one after it fails."""

    def __init__(self, file, n):
        self.file, self.n = file, n

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, rest):
        self.n -= 1
        if self.n == -1:
            raise OSError(28, "No space left on device")
        return self.file.write(rest[:100] if self.n == 0 else rest)


def test_a_disk_that_fills_up_during_a_write(monkeypatch):
    real = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **kwargs: Stubborn(real(**kwargs), 4))
    shelf, slots = Shelf(budget=0), []
    slots += [shelf.put(data(n)) for n in range(3)]
    with pytest.warns(NapariSam2Warning, match="No space left"):
        slots.append(shelf.put(data(3)))
    assert (shelf.nbytes, shelf.nbytes_on_disk) == (5000, 3 * 8192)
    slots.append(shelf.put(data(4)))
    assert shelf.nbytes == 0
    for n, slot in enumerate(slots):
        np.testing.assert_array_equal(shelf.get(slot), data(n))


def test_a_file_that_cannot_be_read():
    shelf = Shelf(budget=0)
    slot = shelf.put(data(0))
    shelf._file._file.truncate(100)
    with pytest.raises(NapariSam2Error, match=r"cannot be read again .*4900 bytes too early.*propagate those frames"):
        shelf.get(slot)


def test_discard_while_the_lock_is_held():
    shelf = Shelf()
    slot = shelf.put(data(0))
    with shelf._lock:
        shelf.discard(slot)
    assert shelf.nbytes == 0


def test_many_threads():
    shelf, wrong = Shelf(budget=30_000), []

    def work(seed):
        for n in range(seed, seed + 60):
            slot = shelf.put(data(n))
            if not np.array_equal(shelf.get(slot), data(n)):
                wrong.append(n)
            shelf.discard(slot)

    threads = [threading.Thread(target=work, args=(100 * i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and shelf.nbytes == shelf.nbytes_on_disk == 0


def test_a_pile_seals_what_is_full_and_lets_go_of_what_is_not_needed():
    shelf = Shelf()
    pile = Pile(shelf)
    pieces = {}
    for n in range(40):
        pieces[n] = pile.append(data(n))
        pile.seal()
    assert shelf.nbytes == 2 * 14 * 5000
    assert pile.nbytes == 40 * 5000
    for n, (segment, start) in pieces.items():
        np.testing.assert_array_equal(pile.read(segment, start, 5000), data(n))
    for n in range(14):
        assert pile.is_waste(0) == (n > 10)
        pile.release(pieces[n][0], 5000)
    assert shelf.nbytes == 14 * 5000
    for n in range(28, 40):
        pile.release(pieces[n][0], 5000)
    assert pile.nbytes == 14 * 5000
    assert pile.append(data(50))[1] == 0
    assert pile.append(data(0, 0))[1] == 5000 and pile.read(7, 0, 0).size == 0


def test_a_forgotten_pile_leaves_the_shelf():
    shelf = Shelf()
    piles = [Pile(shelf), Pile(shelf)]
    for pile in piles:
        pile.append(data(0, 70_000))
        pile.seal()
    assert shelf.nbytes == 140_000
    del pile, piles[0]
    gc.collect()
    assert shelf.nbytes == 70_000
