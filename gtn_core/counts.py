"""The check of numbers that count something, such as steps, agents or architectures."""

from __future__ import annotations

from numbers import Integral

from gtn_core.errors import UsageError


def require_counts(**numbers: object) -> None:
    """Checks that numbers can count something.

    Raises:
        UsageError: One, told by its name, is not a positive integer.
    """
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, Integral) or number < 1:
            raise UsageError(f"{name} must be a positive integer, got {number!r}")
