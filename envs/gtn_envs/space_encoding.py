"""Box and Discrete spaces as JSON, exact in dtype, shape, bounds and start."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from gymnasium import spaces

Space: TypeAlias = "spaces.Box | spaces.Discrete"
"""The spaces that a synthetic environment can have."""

_DTYPES = ("float16", "float32", "float64", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))


def encode_space(space: spaces.Space[Any]) -> dict[str, Any]:
    """Returns a JSON value that ``decode_space`` turns back into an equal space.

    Args:
        space: A Discrete, or a Box, whose bounds are stored flat in C order with ``"inf"`` and ``"-inf"`` for
            infinities.

    Raises:
        TypeError: The space is of another kind.
    """
    if isinstance(space, spaces.Box):
        return {
            "type": "Box",
            "dtype": str(space.dtype),
            "shape": list(space.shape),
            "low": [_number(value) for value in space.low.ravel().tolist()],
            "high": [_number(value) for value in space.high.ravel().tolist()],
        }
    if isinstance(space, spaces.Discrete):
        return {"type": "Discrete", "dtype": str(space.dtype), "n": int(space.n), "start": int(space.start)}
    raise TypeError(f"only Box and Discrete spaces can be stored, not {space}")


def decode_space(encoded: Mapping[str, Any]) -> Space:
    """Returns the space that ``encode_space`` encoded.

    Raises:
        ValueError: The value does not describe a space; the message says why.
    """
    try:
        if encoded["type"] == "Box":
            dtype, shape = _dtype(encoded["dtype"]), tuple(encoded["shape"])
            number = float if dtype.kind == "f" else _integer  # float64 would round large integers
            low, high = (np.array([number(v) for v in encoded[key]], dtype) for key in ("low", "high"))
            if not (low <= high).all():  # also rejects NaN
                raise ValueError("its low must be at most its high everywhere")
            return spaces.Box(low.reshape(shape), high.reshape(shape), shape, dtype.type)
        if encoded["type"] == "Discrete":
            space = spaces.Discrete(_integer(encoded["n"]), start=_integer(encoded["start"]))
            if encoded["dtype"] != "int64":  # Gymnasium before 1.2 has no other dtype, and no argument for it
                space = spaces.Discrete(space.n, start=space.start, dtype=_dtype(encoded["dtype"]).type)
            return space
    except KeyError as error:
        raise ValueError(f"it lacks {error}") from error
    except (TypeError, AssertionError, AttributeError, OverflowError) as error:
        raise ValueError(str(error)) from error
    raise ValueError(f"its type is {encoded['type']!r}, expected 'Box' or 'Discrete'")


def _dtype(name: Any) -> np.dtype[Any]:
    if not isinstance(name, str) or name not in _DTYPES:
        raise ValueError(f"its dtype is {name!r}, expected one of {', '.join(_DTYPES)}")
    return np.dtype(name)


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"it holds {value!r}, expected an integer")
    return value


def _number(value: float) -> float | str:
    """Returns the number, or a string for an infinity, which JSON lacks."""
    return value if math.isfinite(value) else str(value)
