"""Divergence of Stable-Baselines3's agents, which do not look for it: networks or outputs that are not finite."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.vector.utils import create_empty_array

from gtn_core.errors import DivergedError, GTNError

if TYPE_CHECKING:
    from stable_baselines3.common.policies import BasePolicy

DIVERGED = "the agent diverged: its networks or their outputs are not finite; a lower learning_rate may help"

UNUSABLE = (
    "the agent's outputs are not finite, although its networks are and act on ordinary observations; "
    "do observations or rewards become NaN or very large?"
)

REFUSED = ("Expected parameter", "Expected value argument", "probability tensor contains")
"""How torch's messages begin when outputs that are not finite make no distribution."""


class UnusableOutputsError(DivergedError):
    """An agent's networks are sound, but what they were given made outputs that are not finite."""


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
        UnusableOutputsError: Torch refused the networks' outputs, but not those for ordinary observations.
        DivergedError: There was an error, and a parameter is not finite, or torch refuses any outputs of the networks.
    """
    try:
        yield
    except GTNError:
        raise
    except Exception as error:
        refused = str(error).startswith(REFUSED)
        if not _finite(policy) or (refused and not _acts(policy)):
            raise DivergedError(DIVERGED) from error
        if refused:
            raise UnusableOutputsError(UNUSABLE) from error
        raise


def _finite(policy: BasePolicy) -> bool:
    return all(bool(parameter.isfinite().all()) for parameter in policy.parameters())


def _acts(policy: BasePolicy) -> bool:
    """Returns whether an agent acts on ordinary observations, whose entries are between 0 and 2.

    Parameters that are finite, but so large that the outputs overflow, make outputs that torch refuses here, too.
    """
    numbers = np.random.default_rng(0)
    observations: Any = create_empty_array(
        policy.observation_space, n=64, fn=lambda shape, dtype: np.asarray(numbers.uniform(0, 2, shape)).astype(dtype)
    )
    try:
        policy.predict(observations, deterministic=True)
    except Exception:  # torch's, or that of a kind of observations that cannot be NaN
        return False
    return True
