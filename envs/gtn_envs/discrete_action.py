"""Validation of a single discrete action."""

from __future__ import annotations

import operator
from typing import Any

from gymnasium import error, spaces


def action_index(action: Any, start: int, count: int, space: spaces.Space[Any]) -> int:
    """Returns the zero-based index of a discrete action.

    Args:
        action: An integer of any type.
        start: The space's first action.
        count: Number of actions.
        space: The space, for the error message.

    Raises:
        gymnasium.error.InvalidAction: The action is not in the space.
    """
    try:
        index = operator.index(action) - start
    except TypeError:
        index = -1
    if not 0 <= index < count:
        raise error.InvalidAction(f"action {action!r} ({type(action).__name__}) is not in {space}")
    return index
