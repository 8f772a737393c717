"""Frames of a movie, encoded: each part once, read ahead while the network works on the frame before."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import torch
from torch import Tensor

from napari_sam2.feature_cache import WHOLE_FRAMES, WINDOWS, FeatureCache
from napari_sam2.video import Video
from sam2_torch.config import HieraConfig
from sam2_torch.mosaic import cover, scale_of
from sam2_torch.network import SAM2
from sam2_torch.outputs import FrameFeatures, stack_features
from sam2_torch.video_predictor import encode_frame
from sam2_torch.windows import STRIDE, Window, cut

PIXELS_AT_ONCE = 2**21
"""Model pixels encoded in one pass, unless one region has more; what is made on the way takes some 150 bytes each."""


class FrameEncoder:
    """Features of windows of frames; keeps the last frame, the next one, and a bounded number of features."""

    def __init__(self, video: Video, model: SAM2, cache_bytes: int | None = None) -> None:
        self.video = video
        self.model = model
        usual = WHOLE_FRAMES if model.config.object_diameter is None else WINDOWS
        self._cache = FeatureCache(usual if cache_bytes is None else cache_bytes)
        self._frame: tuple[int, Tensor] | None = None
        self._reader = ThreadPoolExecutor(1, "napari-sam2 reader")
        self._next: tuple[int, Future[Tensor]] | None = None

    def encode(self, frame: int, windows: Sequence[Window], *, then: int | None = None) -> FrameFeatures:
        """Features of windows of one size; B is their number, or 1 for a window that all objects share.

        Parameters
        ----------
        then
            The frame that is likely to be asked for next; reading it begins now.
        """
        self.prepare(frame, windows, then=then)
        distinct = set(windows)
        return stack_features(
            [self._features(frame, window) for window in (windows[:1] if len(distinct) == 1 else windows)]
        )

    def prepare(self, frame: int, windows: Iterable[Window], *, then: int | None = None) -> None:
        """Encode what `encode` will be asked for, in as few passes as possible; kept until this is called again."""
        self._cache.renew()
        missing = [window for window in dict.fromkeys(windows) if self._cache.get(frame, window) is None]
        regions = [region for region in self._regions(missing) if not self._cache.take_ahead(frame, region)]
        batches = list(self._batches(regions))
        images = [self._images(frame, regions) for regions in batches]
        self._expect(then)
        for regions, image in zip(batches, images, strict=True):
            features = encode_frame(self.model, image)
            for i, region in enumerate(regions):
                self._cache.put(frame, region, features.select([i]) if len(regions) > 1 else features)

    def encode_ahead(self, frame: int, window: Window) -> bool | None:
        """Encode what a click in a window of a frame would need, in one pass.

        Returns
        -------
        Whether there was room for it; None if it was there already.
        """
        (region,) = self._regions([window])
        if self._cache.has_ahead(frame, region) or self._cache.get(frame, window) is not None:
            return None
        return self._cache.put_ahead(frame, region, encode_frame(self.model, self._images(frame, [region])))

    def leave_ahead(self, but: Collection[int]) -> None:
        """Drop what `encode_ahead` made and nobody used, but for some frames."""
        self._cache.leave_ahead(but)

    def read_ahead(self, frame: int) -> None:
        """Have the pixels of a frame ready for a click anywhere, unless they are read in parts."""
        if not self.video.reads_parts:
            self._pixels(frame)

    def forget(self) -> None:
        """Drop all that is kept, as it lies on a device that is not used any more."""
        self._cache.clear()
        self._frame = None

    def _features(self, frame: int, window: Window) -> FrameFeatures:
        """Of a window of a frame that was prepared; positions are told in a frame such as the model was trained on."""
        features = self._cache.get(frame, window)
        if features is None:
            raise KeyError(f"{window} of frame {frame} was not prepared")
        return features.told_in(self.model.config.image_size)

    def _regions(self, windows: Iterable[Window]) -> list[Window]:
        """Parts of a frame from whose features the windows can be cut; those of a model for whole frames are whole."""
        if self.model.config.object_diameter is None:
            return list(windows)
        by_scale: dict[int | None, list[Window]] = {}
        for window in windows:
            by_scale.setdefault(scale_of(window), []).append(window)
        config = self.model.config
        side = config.image_size // STRIDE if isinstance(config.trunk, HieraConfig) else None
        return [region for group in by_scale.values() for region in cover(group, self.video.shape_yx, side=side)]

    @staticmethod
    def _batches(regions: Iterable[Window]) -> Iterator[list[Window]]:
        """Regions of one size, so many that they may be encoded at once."""
        by_size: dict[tuple[int, int], list[Window]] = {}
        for region in regions:
            by_size.setdefault(region.size, []).append(region)
        for (height, width), alike in by_size.items():
            at_once = max(1, PIXELS_AT_ONCE // (height * width))
            for first in range(0, len(alike), at_once):
                yield alike[first : first + at_once]

    def _images(self, frame: int, regions: Sequence[Window]) -> Tensor:
        """The model's images of regions of one size, (N, 3, *size)."""
        if not self.video.reads_parts:
            return cut(self._pixels(frame), regions).expand(-1, 3, -1, -1)
        images = []
        for region in regions:
            rows, columns = region.inside(self.video.shape_yx)
            pixels = torch.from_numpy(self.video.part(frame, rows, columns)).to(self.model.device)
            images.append(cut(pixels, [replace(region, y0=region.y0 - rows.start, x0=region.x0 - columns.start)]))
        return torch.cat(images).expand(-1, 3, -1, -1)

    def _expect(self, frame: int | None) -> None:
        if frame is None or self.video.reads_parts:
            return
        is_there = self._next is not None and self._next[0] == frame
        if 0 <= frame < self.video.num_frames and not is_there and not self._cache.knows(frame):
            self._next = frame, self._reader.submit(self._read, frame)

    def _read(self, frame: int) -> Tensor:
        return torch.from_numpy(self.video.part(frame, slice(None), slice(None)))

    def _pixels(self, frame: int) -> Tensor:
        if self._frame is None or self._frame[0] != frame:
            expected, self._next = self._next, None
            is_there = expected is not None and expected[0] == frame
            pixels = expected[1].result() if expected is not None and is_there else self._read(frame)
            self._frame = frame, pixels.to(self.model.device)
        return self._frame[1]
