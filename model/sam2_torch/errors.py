"""Errors of the network package; importing this module does not import torch."""


class CheckpointError(Exception):
    """A file that holds no usable SAM 2 weights: unreadable, hostile, incomplete, or of another architecture."""
