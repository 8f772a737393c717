"""Lets the prompt layers show the prompts that the session has, after something else has changed them. No Qt here."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from napari.layers import Shapes

from napari_sam2.layers import Drawing, MaskLayers, add_drawings, replace_points, take_shapes
from napari_sam2.layers.prompt_reader import read_rows
from napari_sam2.layers.shape_reader import read_shape_rows
from napari_sam2.prompts import BoxPrompt, MaskPrompt, ObjectPrompts, Prompt
from napari_sam2.widget.prompt_watch import ObjectFrame, PromptWatch


class LayerSync:
    """Writes prompts of the session into the layers that they are read from, without a click being made of that.

    What cannot be drawn, such as a mask that was painted, is kept by the `PromptWatch`, so that it counts nevertheless.

    Parameters
    ----------
    prompts
        Follows the layers.
    make_shapes
        Makes a layer of shapes that `prompts` follow, and shows it; None if it cannot.
    """

    def __init__(self, prompts: PromptWatch, make_shapes: Callable[[], Shapes | None]) -> None:
        self._prompts = prompts
        self._make_shapes = make_shapes
        # Of outlines that are not drawn at this moment, because they were undone or their object was removed.
        self._drawings: dict[tuple[object, ...], Drawing] = {}

    def show(
        self, wanted: Mapping[ObjectFrame, ObjectPrompts], keys: Iterable[ObjectFrame], masks: MaskLayers | None
    ) -> set[ObjectFrame]:
        """Let the layers show what is `wanted` of some objects and frames, and of no others.

        Parameters
        ----------
        wanted
            The prompts of the session.
        keys
            The (object ID, frame) to look at.
        masks
            Where masks are painted; what the session was told of that, and knows no more, goes.

        Returns
        -------
        The (object ID, frame) of which the layers showed something else.
        """
        shown = {key: group for key in keys if (group := self._prompts.groups.get(key)) is not None}
        painted = {} if masks is None else masks.given
        stale: set[ObjectFrame] = set()
        for key in keys:
            here = ObjectPrompts(mask=painted[key]) if key in painted else shown.get(key)
            if here != wanted.get(key):
                stale.add(key)
                if masks is not None and key in painted:
                    masks.outdate(*key)
        if stale:
            with self._prompts.changing():
                self._replace(stale, [p for key in sorted(stale) if key in wanted for p in wanted[key].in_order])
        return stale

    def _replace(self, keys: Collection[ObjectFrame], prompts: list[Prompt]) -> None:
        watch = self._prompts
        if watch.points is not None:
            clicks = [p for p in prompts if not isinstance(p, BoxPrompt | MaskPrompt)]
            replace_points(watch.points, watch.image, keys, clicks)
            self._note_exact(clicks, read_rows(watch.points, watch.image))
            prompts = [p for p in prompts if isinstance(p, BoxPrompt | MaskPrompt)]
        if watch.shapes is not None:
            for prompt, drawing in take_shapes(watch.shapes, watch.image, keys):
                if isinstance(prompt, MaskPrompt):
                    self._drawings[_outline(prompt)] = drawing
        drawable = [(p, known) for p in prompts if (known := self._drawing(p)) is not None]
        shapes = watch.shapes if watch.shapes is not None or not drawable else self._make_shapes()
        if shapes is None:
            drawable = []
        else:
            add_drawings(shapes, watch.image, drawable)
            self._note_exact([p for p, _ in drawable], read_shape_rows(shapes, watch.image))
        drawn = {p for p, _ in drawable}
        watch.kept = [p for p in watch.kept if (p.object_id, p.frame) not in keys]
        watch.kept += [p for p in prompts if p not in drawn]

    def _note_exact(self, drawn: Sequence[Prompt], rows: Sequence[Prompt | None]) -> None:
        """Note what the last rows of a layer stand for, where they are not read as what was drawn."""
        for prompt, row in zip(reversed(drawn), reversed(rows), strict=False):
            if row is not None and row != prompt and not isinstance(row, MaskPrompt):
                self._prompts.exact[row] = prompt

    def _drawing(self, prompt: Prompt) -> Drawing | None:
        if isinstance(prompt, BoxPrompt):
            return Drawing.of_box(prompt)
        return self._drawings.get(_outline(prompt)) if isinstance(prompt, MaskPrompt) else None


def _outline(prompt: MaskPrompt) -> tuple[object, ...]:
    """What tells an outline from others, whichever object it is of by now."""
    return prompt.frame, *prompt.outline
