"""Synthetic microscopy movies with their truth: sample data, test data and training data.

`render_movie` turns a `MovieSpec` into frames, labels and tracks; `random_spec` draws from the training distribution.
Training seeds are drawn at or above `TRAINING_SEEDS_FROM`; samples and tests use seeds below it.
"""

from .distribution import random_spec
from .render import SyntheticMovie, TrackRecord, random_movie, render_movie
from .samples import SAMPLE, sample_movie, write_sample
from .specs import CELL_KINDS, LOOKS, TRAINING_SEEDS_FROM, MovieSpec

__all__ = [
    "CELL_KINDS",
    "LOOKS",
    "SAMPLE",
    "TRAINING_SEEDS_FROM",
    "MovieSpec",
    "SyntheticMovie",
    "TrackRecord",
    "random_movie",
    "random_spec",
    "render_movie",
    "sample_movie",
    "write_sample",
]
