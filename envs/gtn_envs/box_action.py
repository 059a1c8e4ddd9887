"""The bounds that ``step`` accepts for a Box action."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces


def accepted_bounds(space: spaces.Box) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Returns the least and greatest accepted values, of the space's shape and dtype.

    They lie four float32 ulps outside the space: agents compute actions as ``low + share * (high - low)`` in float32,
    and where the bounds are not symmetric, rounding takes a share of 1 beyond ``high``.
    """
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    slack = 4.0 * np.spacing(np.maximum(np.abs(space.low), np.abs(space.high)).astype(np.float32)).astype(np.float64)
    return (low - slack).astype(space.dtype), (high + slack).astype(space.dtype)
