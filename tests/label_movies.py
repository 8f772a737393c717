"""Labels in memory as the readers would give them."""

import numpy as np

from napari_sam2.io.label_movie import LabelMovie


def label_movie(labels, numbers=None, **known) -> LabelMovie:
    labels = np.asarray(labels)
    numbers = tuple(range(len(labels)) if numbers is None else numbers)
    return LabelMovie("test", numbers, labels.shape[1:], lambda k: labels[k], **known)
