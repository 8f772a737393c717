"""What may be tuned about how masks are made of what the network says; importing it imports no torch."""

from dataclasses import dataclass, field

from napari_sam2.errors import PromptError

LIMIT = 9.0
"""Thresholds are logits from -LIMIT to LIMIT; a mask that is given has a score of 10."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """Thresholds and sizes that trade one thing for another; by default all is as in SAM 2.

    Attributes
    ----------
    mask_threshold
        Logit, -9 to 9, above which a pixel belongs to the object. What is remembered does not change with it.
    score_threshold
        Logit, -9 to 9, of the object score above which the object is there.
    window_tokens
        Side of the window in which an object is looked for, an even number of tokens; None: as the model was trained.
        Of no account for a model that sees whole frames.
    cache_bytes
        Features of frames that are kept, at most; None: 512 MB for a model that sees whole frames, else 64 MB.

    Raises
    ------
    PromptError
        For a value that is out of its range.
    """

    mask_threshold: float = field(
        default=0.0,
        metadata={
            "label": "Mask threshold",
            "help": "Logit above which a pixel belongs to the object: higher makes masks smaller and surer, lower "
            "makes them larger and lets them run into what lies beside. 0 is as trained.",
            "range": (-LIMIT, LIMIT),
        },
    )
    score_threshold: float = field(
        default=0.0,
        metadata={
            "label": "Object threshold",
            "help": "Object score above which the object is there: higher gives up doubtful objects sooner, lower "
            "keeps following them and may follow something else. 0 is as trained.",
            "range": (-LIMIT, LIMIT),
        },
    )
    window_tokens: int | None = field(
        default=None,
        metadata={
            "label": "Window",
            "help": "Side of the window in which an object is looked for, in tokens of 16 model pixels: wider finds "
            "objects that move far, and takes more time and memory for each. Not for models that see whole frames.",
            "range": (4, 64),
        },
    )
    cache_bytes: int | None = field(
        default=None,
        metadata={
            "label": "Kept features",
            "help": "Memory for frames that were encoded already: more makes going back and correcting quicker.",
            "range": (0, 2**40),
        },
    )

    def __post_init__(self) -> None:
        for name in ("mask_threshold", "score_threshold"):
            value = getattr(self, name)
            if not -LIMIT <= value <= LIMIT:
                raise PromptError(f"{name} is {value}, expected a logit of {-LIMIT:g} to {LIMIT:g}; 0 is as trained")
        tokens, kept = self.window_tokens, self.cache_bytes
        if tokens is not None and (tokens % 2 or not 4 <= tokens <= 64):
            raise PromptError(f"window_tokens is {tokens}, expected an even number of 4 to 64, or None")
        if kept is not None and kept < 0:
            raise PromptError(f"cache_bytes is {kept}, expected 0 or more; leave it out for the usual")

    def check_window(self, most: int) -> None:
        """Raise PromptError if the window is larger than `most` tokens, the frame that the model was trained on."""
        if self.window_tokens is not None and self.window_tokens > most:
            raise PromptError(f"window_tokens is {self.window_tokens}, expected {most} or less with this model")


AS_TRAINED = Tuning()
"""As SAM 2 does."""
