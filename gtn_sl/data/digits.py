"""The 8x8 digits that come with scikit-learn: a real task that needs no file or network."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gtn_core.errors import DataError
from gtn_sl.data.raw import RawImages
from gtn_sl.data.splits import stratified_indices

TEST_SIZE = 597
SPLIT_SEED = 0
FILE = Path("datasets", "data", "digits.csv.gz")
"""Where scikit-learn keeps the digits."""


def load_digits(data_dir: Path | None, download: bool) -> RawImages:
    """Returns the 1797 digits, (N, 1, 8, 8), split by class into 1200 for training and 597 for testing.

    They have no official test set; this one is fixed, whatever the seed of the validation split.

    Args:
        data_dir: Unused: the images come with scikit-learn.
        download: Unused.

    Raises:
        DataError: scikit-learn is not installed.
    """
    rows = _rows()
    ink, labels = rows[:, :-1].reshape(-1, 8, 8), rows[:, -1]  # ink from 0 to 16
    images = ((ink * 255 + 8) // 16).astype(np.uint8)[:, None]
    test = np.zeros(len(labels), bool)
    test[stratified_indices(labels, TEST_SIZE, "digits/test", SPLIT_SEED)] = True
    return RawImages(images[~test], labels[~test], images[test], labels[test])


def _rows() -> NDArray[np.int64]:
    """Returns 64 pixels and the label of each digit, ``(1797, 65)``.

    scikit-learn's file is read without importing scikit-learn, which takes almost as long as importing torch.
    """
    spec = find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise DataError("the task digits needs scikit-learn: run `pip install scikit-learn`")
    file = Path(spec.submodule_search_locations[0], FILE)
    if file.is_file():
        return np.loadtxt(file, delimiter=",").astype(np.int64)
    from sklearn import datasets  # a release that keeps them elsewhere

    pixels, labels = datasets.load_digits(return_X_y=True)
    return np.column_stack([pixels, labels]).astype(np.int64)
