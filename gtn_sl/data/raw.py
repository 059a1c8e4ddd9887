"""What every data source returns: the official train and test sets as numpy arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class RawImages:
    """A data set as published, before any validation split.

    Attributes:
        train_images: uint8, (N, C, H, W).
        train_labels: int64, (N,).
        test_images: uint8, (M, C, H, W).
        test_labels: int64, (M,).
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
