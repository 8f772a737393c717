"""Movies in dask arrays, some of which take longer to be looked up in than to be read."""

import warnings
from time import thread_time
from typing import Any

import numpy as np

from napari_sam2.errors import NapariSam2Warning

SLOW_S = 0.2
"""Seconds for a frame from which on the graph is worth a warning."""
_TIMED = 2


class DaskMovie:
    """A dask array that warns once if it takes long to find a frame in its graph, which is done anew for each frame.

    The first frames are timed, in time of this thread's CPU: what else the machine does counts for nothing. The
    quickest counts, since the first one may have to import something.
    """

    def __init__(self, array: Any) -> None:
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.dtype: np.dtype[Any] = np.dtype(array.dtype)
        self.chunks = array.chunks
        self._array = array
        self._lookups: list[float] = []

    def __getitem__(self, key: Any) -> Any:
        if len(self._lookups) >= _TIMED:
            return self._array[key]
        from dask.base import optimize

        before = thread_time()
        (part,) = optimize(self._array[key])
        self._lookups.append(thread_time() - before)
        if len(self._lookups) == _TIMED and min(self._lookups) >= SLOW_S:
            warnings.warn(
                f"Finding a frame in the graph of this dask array takes {min(self._lookups):.2g} s, before anything is "
                "read, and each frame anew: make the array with dask.array.map_blocks in place of da.stack, or save it "
                "as zarr.",
                NapariSam2Warning,
                stacklevel=2,
            )
        return part


def timed_if_dask(data: Any) -> Any:
    """The array of a movie; one of dask as a `DaskMovie`."""
    return DaskMovie(data) if hasattr(data, "__dask_graph__") else data
