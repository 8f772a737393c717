"""Bringing weights onto this machine: download, check, convert."""

import os
import shutil
import time
from collections.abc import Generator

from filelock import FileLock, Timeout

from napari_sam2.checkpoints.download import Patience, Step, download
from napari_sam2.checkpoints.record import sha256
from napari_sam2.checkpoints.registry import Checkpoint, megabytes
from napari_sam2.checkpoints.store import Store
from napari_sam2.errors import CheckpointError, DownloadError
from napari_sam2.io.atomic import part_path

_POLL_S = 0.2

Fetching = Generator[Step, None, None]


def is_offline() -> bool:
    """Whether NAPARI_SAM2_OFFLINE says that nothing may be downloaded."""
    return os.environ.get("NAPARI_SAM2_OFFLINE", "").strip().lower() not in ("", "0", "false", "no", "off")


def fetch(
    checkpoint: Checkpoint,
    store: Store,
    *,
    offline: bool | None = None,
    again: bool = False,
    patience: Patience | None = None,
) -> Fetching:
    """Bring weights into the store, unless they are there: download, check, convert to safetensors.

    A generator: nothing happens between two steps. To stop, close it; what has come is gone on from next time.

    Parameters
    ----------
    checkpoint
        What to fetch.
    store
        Where to.
    offline
        Do without the network; None if NAPARI_SAM2_OFFLINE decides.
    again
        Fetch it anew, even if it is there or on its way.
    patience
        How much of a bad connection to put up with.

    Raises
    ------
    DownloadError
        If the weights cannot be had; with the way to bring them here by other means.
    CheckpointError
        If what came, or what is there, is not these weights.
    """
    if checkpoint.bundled is not None or (not again and store.weights(checkpoint)):
        return
    if (is_offline() if offline is None else offline) and (again or not store.original(checkpoint).is_file()):
        raise DownloadError(
            f"{checkpoint.name} is not to be downloaded: NAPARI_SAM2_OFFLINE, or an argument, says to do without the "
            f"network. Get {checkpoint.url} ({megabytes(checkpoint.size)}) by other means and save it as "
            f"{store.original(checkpoint)}; or use the model 'cell', which is always here."
        )
    try:
        store.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(store.folder / f".{checkpoint.name}.lock", thread_local=False)
        yield from _wait_for(lock, checkpoint, store)
        try:
            if again or not store.weights(checkpoint):
                yield from _fetch(checkpoint, store, again, patience)
        finally:
            lock.release()
    except OSError as error:
        raise DownloadError(
            f"{store.folder} cannot be used ({error.strerror or error}). Name another folder in NAPARI_SAM2_CACHE."
        ) from error


def _wait_for(lock: FileLock, checkpoint: Checkpoint, store: Store) -> Fetching:
    """Take the lock, so that no other process or thread fetches the same at the same time."""
    while True:
        try:
            lock.acquire(timeout=0)
            return
        except Timeout:
            yield Step(store.part(checkpoint).size, checkpoint.size, "another process downloads it already")
            time.sleep(_POLL_S)


def _fetch(checkpoint: Checkpoint, store: Store, again: bool, patience: Patience | None) -> Fetching:
    original = store.original(checkpoint)
    _sweep(checkpoint, store)
    if again:
        original.unlink(missing_ok=True)
        store.part(checkpoint).discard()
    by_hand = original.is_file()
    try:
        if by_hand:
            found = _checked_hash(checkpoint, store)
        else:
            found = yield from _download_twice(checkpoint, store, patience)
        yield Step(checkpoint.size, checkpoint.size, "converting")
        store.keep(checkpoint, found)
    except CheckpointError:
        if not by_hand:
            original.unlink(missing_ok=True)
        raise
    original.unlink()


def _download_twice(checkpoint: Checkpoint, store: Store, patience: Patience | None) -> Generator[Step, None, str]:
    """Download, and once more from nothing if what came is damaged; returns its hash."""
    try:
        return (yield from _download(checkpoint, store, patience))
    except CheckpointError:
        if not store.original(checkpoint).is_file():
            raise
        store.original(checkpoint).unlink()
    return (yield from _download(checkpoint, store, patience))


def _download(checkpoint: Checkpoint, store: Store, patience: Patience | None) -> Generator[Step, None, str]:
    _check_room(checkpoint, store)
    yield from download(checkpoint, store.original(checkpoint), patience)
    yield Step(checkpoint.size, checkpoint.size, "checking")
    return _checked_hash(checkpoint, store)


def _checked_hash(checkpoint: Checkpoint, store: Store) -> str:
    original = store.original(checkpoint)
    found = sha256(original)
    if checkpoint.sha256 not in (None, found):
        raise CheckpointError(
            f"{original} is not {checkpoint.name} as published at {checkpoint.url}: its SHA-256 is {found}, expected "
            f"{checkpoint.sha256}. If it was downloaded just now, something on the way changes it: try another "
            "network. If you put it there, delete it, or load it by its path from another folder."
        )
    return found


def _check_room(checkpoint: Checkpoint, store: Store) -> None:
    # Twice the size, because the converted file is there before the other goes.
    needed, free = 2 * checkpoint.size - store.part(checkpoint).size, shutil.disk_usage(store.folder).free
    if free < needed:
        raise DownloadError(
            f"There is no room for {checkpoint.name} in {store.folder}: {megabytes(needed)} are needed, "
            f"{megabytes(free)} are free. Make room, or name another folder in NAPARI_SAM2_CACHE."
        )


def _sweep(checkpoint: Checkpoint, store: Store) -> None:
    """Remove what a process that was killed while it converted has left."""
    mine = part_path(store.path(checkpoint)).name
    for left in store.folder.glob(mine.replace(f".{os.getpid()}.", ".*.")):
        left.unlink()
