"""The bounds of a Box in float32, the dtype of all computations here."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from gymnasium import spaces


def float32_within(space: spaces.Box) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Returns a Box's bounds, flat in float32 and rounded inwards: values between them are in a float64 space too."""
    low, high = space.low.ravel().astype(np.float32), space.high.ravel().astype(np.float32)
    low = np.where(low < space.low.ravel(), np.nextafter(low, np.float32(np.inf)), low)
    high = np.where(high > space.high.ravel(), np.nextafter(high, np.float32(-np.inf)), high)
    return low, high
