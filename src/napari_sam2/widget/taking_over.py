"""How masks that were found elsewhere become objects, as generators for the worker thread. No Qt, no napari."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from napari_sam2.masklets import FrameMask
from napari_sam2.prompts import MaskPrompt, Prompt
from napari_sam2.widget.answers import FrameAnswer, SearchAnswer, SessionLike


def accept_masks(
    session: SessionLike, prompts: Sequence[Prompt], masks: Sequence[FrameMask]
) -> Iterator[FrameAnswer | SearchAnswer]:
    """Make masks of one frame the answers to the clicks on it, all or none, and yield the frame in the end."""
    with _all_or_none(session, prompts, masks):
        for done, mask in enumerate(masks, start=1):
            session.accept(mask)
            yield SearchAnswer(done, len(masks))
    frame = masks[0].frame
    yield FrameAnswer(frame, session.labels(frame), frozenset(mask.object_id for mask in masks))


def segment_masks(
    session: SessionLike, prompts: Sequence[Prompt], masks: Sequence[MaskPrompt]
) -> Iterator[FrameAnswer | SearchAnswer]:
    """Make objects of masks, which are among the prompts, all or none, and yield their frames in the end."""
    frames, done = sorted({mask.frame for mask in masks}), 0
    with _all_or_none(session, prompts, masks):
        for frame in frames:
            for _ in session.segment_all(frame):
                done += 1
                yield SearchAnswer(done, max(done, len(masks)))
    for frame in frames:
        yield FrameAnswer(frame, session.labels(frame), frozenset(m.object_id for m in masks if m.frame == frame))


@contextmanager
def _all_or_none(
    session: SessionLike, prompts: Sequence[Prompt], masks: Sequence[FrameMask | MaskPrompt]
) -> Iterator[None]:
    """Objects are made of masks inside, as one step, all or none; what else there is to be told is told before."""
    new = {(mask.object_id, mask.frame) for mask in masks}
    session.set_prompts([prompt for prompt in prompts if (prompt.object_id, prompt.frame) not in new])
    with session.one_step("prompts"):
        session.set_prompts(prompts)
        yield
