"""Everything a training run is determined by."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Settings of a run; together with the code they reproduce it.

    Attributes
    ----------
    image_steps, clip_steps
        Optimizer steps on single images, then on clips.
    images, objects
        Images in a step of the first stage, and objects clicked in each image or clip.
    frames_per_step
        Frames in a step of the second stage: clips of 3, 4, 5 or 8 frames, as many as fit.
    window
        Side of a training window in pixels.
    image_rate, clip_rate
        Peak learning rates of the two stages; each warms up and falls off as a cosine.
    head_rate
        Factor on the learning rate of everything behind the trunk and neck.
    dense_weight
        Weight of the dense helper's loss, see `dense`; it falls to a tenth over the first stage.
    warm_up
        Steps of the linear warm-up of the first stage; the second takes a third of it.
    ema
        Decay of the running average of the weights, which is what is kept.
    weight_decay, clip_norm
        Of AdamW, for matrices and kernels only; norm to which gradients are clipped.
    correction_share
        Share of image steps in which a corrective click follows the first prompt.
    save_every
        Steps between two states on disk, from which a run that was stopped goes on.
    seed
        Of weights, movies, objects and clicks.
    workers
        Processes that render movies.
    """

    image_steps: int = 2600
    clip_steps: int = 1000
    images: int = 6
    objects: int = 4
    frames_per_step: int = 8
    window: int = 256
    image_rate: float = 1e-3
    head_rate: float = 0.5
    dense_weight: float = 1.0
    clip_rate: float = 4e-4
    warm_up: int = 150
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    ema: float = 0.998
    correction_share: float = 0.4
    save_every: int = 250
    seed: int = 20_000
    workers: int = 1
