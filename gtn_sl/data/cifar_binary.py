"""The binary layout of CIFAR-10: each record is one label byte, then 3 x 32 x 32 pixel bytes, red plane first.

Format: https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version". The pickled version is never read.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gtn_core.errors import DataError

IMAGE_SHAPE = (3, 32, 32)
RECORD_BYTES = 1 + 3 * 32 * 32


def parse_records(content: bytes, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Returns images (N, 3, 32, 32), as a view of ``content``, and labels (N,), unchecked.

    Args:
        content: A whole number of records.
        name: Name of the file, for error messages.

    Raises:
        DataError: The last record is truncated.
    """
    if len(content) % RECORD_BYTES:
        raise DataError(
            f"{name} is truncated: expected a multiple of {RECORD_BYTES} bytes, found {len(content)} "
            f"({len(content) % RECORD_BYTES} left over)"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD_BYTES)
    return records[:, 1:].reshape(-1, *IMAGE_SHAPE), records[:, 0].astype(np.int64)
