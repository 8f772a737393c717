"""Sizes of every SAM 2 this package can build, as frozen values.

Sources: the published SAM 2 and SAM 2.1 model configurations; `CELL` is this project's own.
"""

from dataclasses import dataclass, replace
from typing import Literal

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class HieraConfig:
    """The Hiera trunk: four stages of windowed attention, width and heads doubling from stage to stage.

    Attributes
    ----------
    embed_dim, num_heads
        Width and attention heads of the first stage.
    stages
        Blocks in each of the four stages.
    global_blocks
        Indices (over all blocks) of those that attend over the whole frame.
    window_sizes
        Side of the attention window in each stage, in tokens.
    pos_embed_size
        Height and width of the learnt background position table.
    """

    embed_dim: int = 96
    num_heads: int = 1
    stages: tuple[int, int, int, int] = (1, 2, 7, 2)
    global_blocks: tuple[int, ...] = (5, 7, 9)
    window_sizes: tuple[int, int, int, int] = (8, 4, 14, 7)
    pos_embed_size: tuple[int, int] = (7, 7)

    @property
    def widths(self) -> tuple[int, int, int, int]:
        """Channels at strides 4, 8, 16, 32."""
        e = self.embed_dim
        return e, 2 * e, 4 * e, 8 * e


@dataclass(frozen=True, slots=True)
class ConvTrunkConfig:
    """A convolutional trunk with a norm per pixel: a frame of any size is encoded in one pass, without seams.

    Attributes
    ----------
    widths
        Channels at strides 4, 8, 16, 32.
    depths
        Blocks at each stride.
    expansion
        Hidden width of a block's pointwise part, as a multiple of its width.
    """

    widths: tuple[int, int, int, int] = (48, 96, 192, 384)
    depths: tuple[int, int, int, int] = (2, 2, 4, 2)
    expansion: int = 3


@dataclass(frozen=True, slots=True)
class SAM2Config:
    """One SAM 2: its trunk and the sizes of everything behind the neck.

    Attributes
    ----------
    version
        "2.1" adds the no-object memory embedding and the projected temporal positions of pointers.
    image_size
        Side in pixels of the square the model was trained on; a multiple of 32.
    width
        Channels of frame features, prompt tokens and object pointers.
    memory_width
        Channels of a frame memory; divides `width`.
    num_memories
        Frame memories an object attends to: one prompted and `num_memories - 1` recent ones.
    max_pointers
        Object pointers considered, the current frame's slot included; distances are divided by `max_pointers - 1`.
    draws_prompts
        Clicks and boxes also enter as a dense map through the mask-prompt path (see `PromptMap`).
    ambiguous_corrections
        A prompt that corrects a mask is answered by the best of three masks, however many points it has; else by the
        one for unambiguous prompts, as every other prompt of two points and more.
    fourier_scale
        Standard deviation of the random Fourier frequencies at initialization.
    object_diameter
        Diameter in model pixels at which this model likes to see an object; None: frames are shown whole.
    window_tokens
        Side in tokens of the window in which an object of that diameter is looked for, an even number at most
        `image_size / 16`. Positions in it are those of the middle of a whole image.
    scores_in_float32
        Memory attention compares in float32 where the rest is in bfloat16: its scores are so large that rounding them
        loses objects.
    """

    name: str
    trunk: HieraConfig | ConvTrunkConfig
    version: Literal["2.0", "2.1"] = "2.1"
    image_size: int = 1024
    width: int = 256
    memory_width: int = 64
    memory_layers: int = 4
    memory_hidden: int = 2048
    decoder_hidden: int = 2048
    num_memories: int = 7
    max_pointers: int = 16
    draws_prompts: bool = False
    ambiguous_corrections: bool = False
    fourier_scale: float = 1.0
    object_diameter: float | None = None
    window_tokens: int = 64
    scores_in_float32: bool = False
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


TINY = SAM2Config("sam2.1_hiera_tiny", HieraConfig())
SMALL = SAM2Config("sam2.1_hiera_small", HieraConfig(stages=(1, 2, 11, 2), global_blocks=(7, 10, 13)))
BASE_PLUS = SAM2Config(
    "sam2.1_hiera_base_plus",
    HieraConfig(embed_dim=112, num_heads=2, stages=(2, 3, 16, 3), global_blocks=(12, 16, 20), pos_embed_size=(14, 14)),
)
LARGE = SAM2Config(
    "sam2.1_hiera_large",
    HieraConfig(
        embed_dim=144, num_heads=2, stages=(2, 6, 36, 4), global_blocks=(23, 33, 43), window_sizes=(8, 4, 16, 8)
    ),
)
CELL = SAM2Config(
    "cell",
    ConvTrunkConfig(),
    image_size=256,
    width=128,
    memory_width=32,
    memory_layers=2,
    memory_hidden=512,
    decoder_hidden=512,
    draws_prompts=True,
    ambiguous_corrections=True,
    fourier_scale=2.5,
    object_diameter=36.0,
    window_tokens=12,
    scores_in_float32=True,
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
)


def windowed(config: SAM2Config) -> SAM2Config:
    """A model for whole frames that is shown windows instead, so that many small objects cost little.

    An object has a sixteenth of the side of the frame that the model was trained on, and is looked for in a quarter.
    """
    return replace(config, object_diameter=config.image_size / 16, window_tokens=config.image_size // 64)


def version_2_0(config: SAM2Config) -> SAM2Config:
    """The SAM 2.0 model of the same size."""
    return replace(config, name=config.name.replace("sam2.1", "sam2"), version="2.0")


OFFICIAL = {c.name: c for size in (TINY, SMALL, BASE_PLUS, LARGE) for c in (size, version_2_0(size))}
"""The eight official models by the stem of their checkpoint's file name."""
