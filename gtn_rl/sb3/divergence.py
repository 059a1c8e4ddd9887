"""Divergence of Stable-Baselines3's agents, which do not look for it: networks or outputs that are not finite."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gtn_core.errors import DivergedError, GTNError

if TYPE_CHECKING:
    from stable_baselines3.common.policies import BasePolicy

DIVERGED = "the agent diverged: its networks are not finite; a lower learning_rate may help"

REFUSED = ("Expected parameter", "Expected value argument", "probability tensor contains")
"""How torch's messages begin when outputs that are not finite make no distribution."""


def require_finite(policy: BasePolicy) -> None:
    """Checks an agent's networks.

    Raises:
        DivergedError: A parameter is not finite.
    """
    if not _finite(policy):
        raise DivergedError(DIVERGED)


@contextlib.contextmanager
def divergence_told(policy: BasePolicy) -> Iterator[None]:
    """Names the cause of an error in the block, in which an agent trains or acts.

    Raises:
        DivergedError: There was an error, and a parameter is not finite, or torch refused the network's outputs.
    """
    try:
        yield
    except GTNError:
        raise
    except Exception as error:
        if str(error).startswith(REFUSED) or not _finite(policy):
            raise DivergedError(DIVERGED) from error
        raise


def _finite(policy: BasePolicy) -> bool:
    return all(bool(parameter.isfinite().all()) for parameter in policy.parameters())
