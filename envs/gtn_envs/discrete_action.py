"""A single discrete action, checked."""

from __future__ import annotations

import operator
from typing import Any

from gymnasium import error, spaces


def action_index(action: Any, start: int, count: int, space: spaces.Space[Any]) -> int:
    """Returns the number of a discrete action, from 0.

    Args:
        action: An integer of any kind.
        start: The space's first action.
        count: How many there are.
        space: For the message.

    Raises:
        gymnasium.error.InvalidAction: It is not in the space.
    """
    try:
        index = operator.index(action) - start
    except TypeError:
        index = -1
    if not 0 <= index < count:
        raise error.InvalidAction(f"action {action!r} ({type(action).__name__}) is not in {space}")
    return index
