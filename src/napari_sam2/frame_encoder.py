"""Frames of a movie, encoded: each once, read ahead while the network works on the one before."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from napari_sam2.feature_cache import WHOLE_FRAMES, WINDOWS, FeatureCache
from napari_sam2.video import Video
from sam2_torch.network import SAM2
from sam2_torch.outputs import FrameFeatures
from sam2_torch.video_predictor import encode_frame
from sam2_torch.windows import Window, cut


class FrameEncoder:
    """Features of windows of frames; keeps the last frame, the next one, and a bounded number of features."""

    def __init__(self, video: Video, model: SAM2) -> None:
        self.video = video
        self.model = model
        self._cache = FeatureCache(WHOLE_FRAMES if model.config.object_diameter is None else WINDOWS)
        self._frame: tuple[int, Tensor] | None = None
        self._reader = ThreadPoolExecutor(1, "napari-sam2 reader")
        self._next: tuple[int, Future[Tensor]] | None = None

    def encode(self, frame: int, windows: Sequence[Window], *, then: int | None = None) -> FrameFeatures:
        """Features of the windows; a window is encoded once, one that all objects share for all of them.

        Parameters
        ----------
        then
            The frame that is likely to be asked for next; reading it begins now.
        """
        is_shared = len(set(windows)) == 1
        features = self._cache.get(frame, windows[0]) if is_shared else None
        if features is not None:
            self._expect(then)
            return features
        pixels = self._pixels(frame)
        self._expect(then)
        features = encode_frame(self.model, cut(pixels, windows[:1] if is_shared else windows))
        if is_shared:
            self._cache.put(frame, windows[0], features)
        return features

    def forget(self) -> None:
        """Drop all that is kept, as it lies on a device that is not used any more."""
        self._cache.clear()
        self._frame = None

    def _expect(self, frame: int | None) -> None:
        if frame is None:
            return
        is_there = self._next is not None and self._next[0] == frame
        if 0 <= frame < self.video.num_frames and not is_there and not self._cache.knows(frame):
            self._next = frame, self._reader.submit(self._read, frame)

    def _read(self, frame: int) -> Tensor:
        return torch.from_numpy(self.video.frame(frame)).permute(2, 0, 1)  # (Y, X, 3) -> (3, Y, X)

    def _pixels(self, frame: int) -> Tensor:
        if self._frame is None or self._frame[0] != frame:
            expected, self._next = self._next, None
            is_there = expected is not None and expected[0] == frame
            pixels = expected[1].result() if expected is not None and is_there else self._read(frame)
            self._frame = frame, pixels.to(self.model.device)
        return self._frame[1]
