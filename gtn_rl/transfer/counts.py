"""The check of a number that counts something, such as steps, agents or episodes."""

from __future__ import annotations

from numbers import Integral

from gtn_core.errors import UsageError


def require_count(name: str, value: object) -> None:
    """Checks that a number can count something.

    Raises:
        UsageError: It is not a positive integer.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise UsageError(f"{name} must be a positive integer, got {value!r}")
