"""Everything a training run is determined by."""

from dataclasses import dataclass
from typing import Literal

from napari_sam2.errors import TrainingError

StageName = Literal["dense", "images", "clips"]


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a run: `steps` optimizer steps from step `first` on, with a peak learning rate of `rate`.

    Attributes
    ----------
    encoder, heads, memory
        Factors on the rate of trunk and neck, of prompt encoder and mask decoder, and of all that has to do with
        memory; 0 freezes.
    """

    name: StageName
    first: int
    steps: int
    rate: float
    warm_up: int
    encoder: float
    heads: float
    memory: float

    def progress(self, step: int) -> float:
        """0 at the first step of the stage, 1 at its end."""
        return (step - self.first) / max(1, self.steps)


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Settings of a run; together with the code they reproduce it.

    Attributes
    ----------
    dense_steps, image_steps, clip_steps
        Optimizer steps in which the trunk alone learns what a cell is (see `dense`), then on objects clicked in single
        images, then on clips.
    images, objects
        Images in a step of the first two stages, and objects clicked in each image or clip.
    frames_per_step
        Frames in a step on clips: clips of 3, 4, 5 or 8 frames, as many as fit.
    image_every
        While clips are learnt, every so many steps one is on single images, lest they be forgotten.
    window
        Side of a training window in pixels.
    surroundings
        Pixels around it on all sides. With 0 a window is all that is drawn. Else the larger frame is drawn and encoded
        whole, and each object sees a window cut from its features, which follows it (see `views`).
    dense_rate, image_rate, clip_rate
        Peak learning rates of the stages; each warms up and falls off as a cosine.
    dense_weight
        Weight of the dense helper's loss while objects are learnt.
    layer_decay
        Factor on the rate of each block of the trunk for every block between it and the end of the trunk.
    weight_decay, clip_norm
        Of AdamW, for matrices and kernels only; norm to which gradients are clipped.
    ema
        Decay of the running average of the weights, which is what is kept.
    correction_share
        Share of image steps in which a corrective click follows the first prompt, and of those in which another
        follows that; on a tracked frame of a clip it is three tenths of this.
    corrections
        At most so many corrective clicks follow a first prompt.
    idle_share
        Share of corrective clicks that tell nothing new: inside what is found already, or beside it.
    learns
        Which parts learn; "heads" are prompt encoder and mask decoder alone, on top of a model that knows cells.
    save_every
        Steps between two states on disk, from which a run that was stopped goes on.
    validate_every
        Steps between two validations; 0 for none.
    seed
        Of weights, movies, objects and clicks.
    workers
        Processes that render movies.
    """

    dense_steps: int = 1200
    image_steps: int = 3000
    clip_steps: int = 1200
    images: int = 6
    objects: int = 4
    frames_per_step: int = 8
    image_every: int = 3
    window: int = 256
    surroundings: int = 0
    dense_rate: float = 1.5e-3
    image_rate: float = 1e-3
    clip_rate: float = 1e-3
    dense_weight: float = 0.3
    layer_decay: float = 1.0
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    ema: float = 0.995
    correction_share: float = 0.4
    corrections: int = 2
    idle_share: float = 0.0
    learns: Literal["all", "heads"] = "all"
    save_every: int = 250
    validate_every: int = 0
    seed: int = 20_000
    workers: int = 1

    def __post_init__(self) -> None:
        if self.surroundings < 0 or self.frame_size % 32 or not 0 < self.layer_decay <= 1:
            raise TrainingError(
                f"surroundings of {self.surroundings} pixels make frames of {self.frame_size} pixels, with a layer "
                f"decay of {self.layer_decay}: expected 0 pixels or more, a multiple of 32 in all, and a decay above "
                "0, at most 1"
            )

    @property
    def frame_size(self) -> int:
        """Side in pixels of the frames that are drawn."""
        return self.window + 2 * self.surroundings

    @property
    def stages(self) -> tuple[Stage, Stage, Stage]:
        """The stages in order."""
        second, rest = self.dense_steps + self.image_steps, float(self.learns == "all")
        return (
            Stage("dense", 0, self.dense_steps, self.dense_rate, 100, encoder=rest, heads=0.5, memory=0),
            Stage(
                "images", self.dense_steps, self.image_steps, self.image_rate, 100, encoder=rest, heads=0.5, memory=0
            ),
            # Memory is new here and learns at the full rate; the others know cells already.
            Stage("clips", second, self.clip_steps, self.clip_rate, 50, encoder=0.5 * rest, heads=0.5, memory=rest),
        )

    @property
    def steps(self) -> int:
        """Steps of all stages."""
        return self.dense_steps + self.image_steps + self.clip_steps

    def stage(self, step: int) -> Stage:
        """The stage that a step belongs to."""
        return next(s for s in reversed(self.stages) if step >= s.first)

    def shows(self, step: int) -> StageName:
        """What a step is about: that of its stage, or images in between clips."""
        stage = self.stage(step)
        between = stage.name == "clips" and (step - stage.first) % self.image_every == self.image_every - 1
        return "images" if between else stage.name
