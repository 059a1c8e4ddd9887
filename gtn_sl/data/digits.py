"""The 8x8 digits that come with scikit-learn: a real task that needs no file or network."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gtn_core.errors import DataError
from gtn_sl.data.raw import RawImages
from gtn_sl.data.splits import stratified_indices

TEST_SIZE = 597
SPLIT_SEED = 0


def load_digits(data_dir: Path | None, download: bool) -> RawImages:
    """Returns the 1797 digits, (N, 1, 8, 8), split by class into 1200 for training and 597 for testing.

    They have no official test set; this one is fixed, whatever the seed of the validation split.

    Args:
        data_dir: Unused: the images come with scikit-learn.
        download: Unused.

    Raises:
        DataError: scikit-learn is not installed.
    """
    try:
        from sklearn import datasets
    except ImportError as error:
        raise DataError("the task digits needs scikit-learn: run `pip install scikit-learn`") from error
    bunch = datasets.load_digits()
    ink = bunch.images.astype(np.int64)  # 0 .. 16
    images = ((ink * 255 + 8) // 16).astype(np.uint8)[:, None]
    labels = bunch.target.astype(np.int64)
    test = np.zeros(len(labels), bool)
    test[stratified_indices(labels, TEST_SIZE, "digits/test", SPLIT_SEED)] = True
    return RawImages(images[~test], labels[~test], images[test], labels[test])
