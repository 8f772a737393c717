"""What is asked of our SAM 2 and of its twin in transformers, and how far their answers lie apart.

A case drives both through the same prompts and propagations and compares what comes out. docs/parity.md says where the
library decides otherwise than Meta's predictor; the twin is told to do as Meta's.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Sam2VideoInferenceSession, Sam2VideoModel

from napari_sam2.prompts import PointPrompt
from napari_sam2.tracking_session import TrackingSession
from napari_sam2.video import Video
from parity.one_object import OneObject
from parity.reference import spec
from parity.their_object import TheirObject
from parity.twin import image_twin
from sam2_torch.image_encoder import normalize
from sam2_torch.image_predictor import ImagePredictor
from sam2_torch.memory_bank import BACKWARD, FORWARD
from sam2_torch.network import SAM2
from sam2_torch.outputs import FrameFeatures
from sam2_torch.video_predictor import encode_frame

NUM_FRAMES = 9  # one more than a frame can remember

# Prompts in pixels of a frame of 1024 x 1024.
CLICK, OTHER_CLICK, CORRECTION = (300.0, 320.0), (660.0, 440.0), (600.0, 448.0)
BOX = (540.0, 330.0, 740.0, 520.0)
DISC = (480.0, 760.0, 120.0)  # x, y, radius


@dataclass(frozen=True)
class Difference:
    """How far two answers lie apart.

    Attributes
    ----------
    case, part
        What was asked, and what of the answer is compared: "masks" (logits), "features", "predicted IoU", ...
    largest, scale
        Largest absolute difference, and largest absolute value.
    iou
        Of the masks, the worst of all; None where no masks are compared.
    """

    case: str
    part: str
    largest: float
    scale: float
    iou: float | None = None


def difference(case: str, part: str, ours: Tensor, theirs: Tensor) -> Difference:
    """Of two tensors of equal shape."""
    if ours.shape != theirs.shape:
        raise ValueError(f"{case}, {part}: {tuple(ours.shape)} and {tuple(theirs.shape)} cannot be compared")
    ours, theirs = ours.float(), theirs.float()
    return Difference(case, part, float((ours - theirs).abs().max()), float(theirs.abs().max()))


def masks_difference(case: str, ours: Tensor, theirs: Tensor) -> Difference:
    """Of mask logits (N, h, w): also the smallest IoU of the N masks."""
    a, b = ours.flatten(-2) > 0, theirs.flatten(-2) > 0
    union = (a | b).sum(-1)
    ious = torch.where(union > 0, (a & b).sum(-1) / union.clamp(min=1), 1.0)
    plain = difference(case, "masks", ours, theirs)
    return replace(plain, iou=float(ious.min()))


def memory_difference(case: str, ours: Tensor, theirs: Tensor) -> Difference:
    """Of bfloat16 memories, in steps of bfloat16 at the larger value; below 1/8 its steps count."""
    plain = difference(case, "memory, in steps", ours, theirs)
    larger = torch.maximum(ours.float().abs(), theirs.float().abs()).clamp(min=1 / 8)
    step = torch.ldexp(torch.ones_like(larger), torch.frexp(larger).exponent - 8)  # 8 significant bits
    return replace(plain, largest=float(((ours.float() - theirs.float()).abs() / step).max()))


class Movie:
    """The frames of `spec`, for both; each is encoded once by each."""

    def __init__(self, model: SAM2, twin: Sam2VideoModel, size: int) -> None:
        self.model, self.twin, self.size = model, twin, size
        images = [torch.from_numpy(spec.frame(t, size) / 255).permute(2, 0, 1) for t in range(NUM_FRAMES)]
        self.images = torch.stack(images)
        self.normalized = normalize(self.images, model.config.mean, model.config.std)
        self._features: dict[int, FrameFeatures] = {}
        self._cache = self.session().cache

    def encode(self, t: int) -> FrameFeatures:
        """Our features of frame t."""
        if t not in self._features:
            self._features[t] = encode_frame(self.model, self.images[t : t + 1])
        return self._features[t]

    def session(self) -> Sam2VideoInferenceSession:
        """A session of theirs, which shares its encoded frames with the others."""
        session = Sam2VideoInferenceSession(
            self.normalized, self.size, self.size, dtype=torch.float32, max_vision_features_cache_size=NUM_FRAMES
        )
        session.cache = getattr(self, "_cache", session.cache)
        return session

    def scaled(self, *numbers: float) -> list[float]:
        """From pixels of 1024 to pixels of this size."""
        return [n * self.size / 1024 for n in numbers]


def video(case: str, ours: OneObject, theirs: TheirObject) -> Iterator[Difference]:
    """All frames that ours has: mask logits, scores, pointers and memories."""
    frames, outputs = sorted(ours.predictions), theirs.outputs
    if not set(frames) <= set(outputs):
        raise ValueError(f"{case}: frames {frames} have masks, in the twin {sorted(outputs)}")
    mine, twins = [ours.predictions[t] for t in frames], [outputs[t] for t in frames]
    yield masks_difference(
        case, torch.cat([p.logits[:, 0] for p in mine]), torch.cat([o["pred_masks"][:, 0] for o in twins])
    )
    scores = torch.cat([o["object_score_logits"].flatten() for o in twins])
    yield difference(case, "object score", torch.cat([p.object_score for p in mine]), scores)
    pointers = torch.cat([o["object_pointer"].flatten(0, -2) for o in twins])
    yield difference(case, "pointer", torch.cat([p.pointer for p in mine]), pointers)
    remembered = [t for t in frames if t in ours.memories]
    memories = torch.cat([ours.memories[t].features.flatten(2).permute(2, 0, 1) for t in remembered], 1)
    theirs_too = torch.cat([outputs[t]["maskmem_features"] for t in remembered], 1)
    yield memory_difference(case, memories, theirs_too)


def image_encoder(movie: Movie) -> Iterator[Difference]:
    """The three maps of a frame."""
    features = movie.encode(0)
    theirs = movie.twin.get_image_features(movie.normalized[:1]).fpn_hidden_states
    for name, ours, his in zip(
        ("stride 4", "stride 8", "stride 16"),
        (features.stride4, features.stride8, features.stride16),
        theirs,
        strict=True,
    ):
        yield difference("image encoder", name, ours.flatten(2).permute(2, 0, 1), his)


def image_prompts(movie: Movie) -> Iterator[Difference]:
    """Click, the click refined with its best mask, box, box and point, on one image."""
    predictor, twin = ImagePredictor(movie.model), image_twin(movie.twin)
    embedding = movie.encode(0)
    image = twin.get_image_embeddings(movie.normalized[:1])
    click, other, box = movie.scaled(*CLICK), movie.scaled(*OTHER_CLICK), movie.scaled(*BOX)

    def both(case: str, multimask: bool, *, points=(), labels=(), box=None, mask=None) -> Iterator[Difference]:
        ours = predictor.predict(
            embedding, points_xy=points, labels=labels, box=box, mask_logits=mask, multimask=multimask
        )
        theirs = twin(
            image_embeddings=list(image),
            input_points=torch.tensor([[points]]) if points else None,
            input_labels=torch.tensor([[labels]]) if points else None,
            input_boxes=None if box is None else torch.tensor([[box]]),
            input_masks=None if mask is None else torch.from_numpy(mask)[None, None],
            multimask_output=multimask,
        )
        yield masks_difference(case, torch.from_numpy(ours.logits), theirs.pred_masks[0, 0].clamp(-32, 32))
        yield difference(case, "predicted IoU", torch.from_numpy(ours.predicted_iou), theirs.iou_scores[0, 0])

    yield from both("image: click", True, points=[click], labels=[1])
    first = predictor.predict(embedding, points_xy=[click], labels=[1])
    mask = first.logits[first.predicted_iou.argmax()]
    yield from both("image: click and mask", False, points=[click, other], labels=[1, 0], mask=mask)
    yield from both("image: box", False, box=box)
    yield from both("image: box and point", False, points=[other], labels=[1], box=box)


def click_forward(movie: Movie) -> Iterator[Difference]:
    """A click on the first frame, followed until memory is full."""
    ours, theirs = OneObject(movie.model, movie.encode, NUM_FRAMES), TheirObject(movie.twin, movie.session())
    for side in (ours, theirs):
        side.points(0, [tuple(movie.scaled(*CLICK))], [1])
        side.propagate(FORWARD)
    yield from video("video: click, forward", ours, theirs)


def second_object(movie: Movie) -> Iterator[Difference]:
    """A box on frame 2 for a second object of the same session, when the first has been followed that far."""
    box = movie.scaled(*BOX)
    first, second = (OneObject(movie.model, movie.encode, NUM_FRAMES) for _ in range(2))
    first.points(0, [tuple(movie.scaled(*CLICK))], [1])
    first.propagate(FORWARD, last=5)
    second.points(2, [(box[0], box[1]), (box[2], box[3])], [2, 3])
    second.propagate(FORWARD, last=5)
    theirs = TheirObject(movie.twin, movie.session())
    theirs.points(0, [tuple(movie.scaled(*CLICK))], [1])
    theirs.propagate(FORWARD, last=2)
    added = TheirObject(movie.twin, theirs.session, label=2)
    added.points(2, [(box[0], box[1]), (box[2], box[3])], [2, 3])
    for t in range(3, 6):
        movie.twin(theirs.session, frame_idx=t)
    yield from video("video: first of two", first, theirs)
    yield from video("video: second object, box", second, added)


def correction(movie: Movie) -> Iterator[Difference]:
    """A click on frame 2, a correction on frame 4 after propagation, propagated again, then backward."""
    ours, theirs = OneObject(movie.model, movie.encode, NUM_FRAMES), TheirObject(movie.twin, movie.session())
    points = [tuple(movie.scaled(*OTHER_CLICK)), tuple(movie.scaled(*CLICK))]
    for side in (ours, theirs):
        side.points(2, points, [1, 0])
        side.propagate(FORWARD, last=6)
        side.points(4, [tuple(movie.scaled(*CORRECTION))], [1])
        side.propagate(FORWARD, last=6)
    yield from video("video: correction", ours, theirs)
    for side in (ours, theirs):
        side.propagate(BACKWARD)
    yield from video("video: then backward", ours, theirs)


def two_clicks(movie: Movie) -> Iterator[Difference]:
    """A second click on the prompted frame: the logits of the first are fed back."""
    ours, theirs = OneObject(movie.model, movie.encode, NUM_FRAMES), TheirObject(movie.twin, movie.session())
    click, other = tuple(movie.scaled(*CLICK)), tuple(movie.scaled(*OTHER_CLICK))
    for side in (ours, theirs):
        side.points(0, [click], [1])
        side.points(0, [click, other], [1, 0])
        side.propagate(FORWARD, last=1)
    yield from video("video: click by click", ours, theirs)


def mask_prompt(movie: Movie) -> Iterator[Difference]:
    """A painted disc, followed."""
    x, y, radius = movie.scaled(*DISC)
    ys, xs = torch.meshgrid(torch.arange(movie.size), torch.arange(movie.size), indexing="ij")
    mask = (torch.hypot(xs - x, ys - y) < radius).float()[None, None]
    ours, theirs = OneObject(movie.model, movie.encode, NUM_FRAMES), TheirObject(movie.twin, movie.session())
    for side in (ours, theirs):
        side.mask(0, mask)
        side.propagate(FORWARD, last=3)
    yield from video("video: mask prompt", ours, theirs)


def session(movie: Movie) -> Iterator[Difference]:
    """`TrackingSession` and a stream of theirs, which like it has no length: masks at the size of the frame."""
    model = movie.model
    if model.config.image_size != movie.size:
        model = SAM2(replace(model.config, image_size=movie.size)).requires_grad_(False).eval()
        model.load_state_dict(movie.model.state_dict(), assign=True)
    (x, y), frames = movie.scaled(*CLICK), range(4)
    ours = TrackingSession(Video(movie.images.permute(0, 2, 3, 1).numpy(), contrast=(0, 1)), model)
    ours.add_prompts(PointPrompt(0, 1, y, x))
    labels = [ours.labels(result.frame) for result in ours.propagate("forward", last=frames[-1])]
    stream = Sam2VideoInferenceSession(None, movie.size, movie.size, dtype=torch.float32)
    added = TheirObject(movie.twin, stream)
    added.ask_points(0, [(x, y)], [1])
    theirs = [movie.twin(stream, frame=movie.normalized[t], frame_idx=t).pred_masks for t in frames]
    logits = F.interpolate(torch.cat(theirs), size=(movie.size, movie.size), mode="bilinear")[:, 0]
    masks = torch.from_numpy(np.stack(labels) > 0)
    yield replace(masks_difference("session: click, forward", masks, (logits > 0).float()), part="labels")


CASES = (image_encoder, image_prompts, click_forward, second_object, two_clicks, correction, mask_prompt, session)


Case = Callable[[Movie], Iterator[Difference]]


@torch.inference_mode()
def compare(model: SAM2, twin: Sam2VideoModel, size: int, cases: Sequence[Case] = CASES) -> Iterator[Difference]:
    """What comes of some cases on frames of `size` x `size`."""
    movie = Movie(model, twin, size)
    for case in cases:
        yield from case(movie)
