"""Divergence of Stable-Baselines3's agents, which do not look for it: networks or outputs that are not finite."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING

import gymnasium as gym
import numpy as np

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


FAR = 1e6
"""Size from which a bound of observations counts as none."""


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
    """Returns whether an agent acts on ordinary observations.

    Parameters that are finite, but so large that the outputs overflow, make outputs that torch refuses here, too.
    """
    try:
        policy.predict(_ordinary(policy.observation_space), deterministic=True)
    except Exception:  # torch's, or that of a kind of observations that cannot be NaN
        return False
    return True


def _ordinary(space: gym.Space, count: int = 64) -> np.ndarray:
    """Returns observations from a space, (count, ...), always the same: within the bounds, standard normal without any.

    A bound that no observation comes near, such as the largest number of its type, counts as none.
    """
    drawn = copy.deepcopy(space)  # has a generator of its own
    if isinstance(drawn, gym.spaces.Box) and np.issubdtype(drawn.dtype, np.floating):
        low, high = np.where(drawn.low > -FAR, drawn.low, -np.inf), np.where(drawn.high < FAR, drawn.high, np.inf)
        drawn = gym.spaces.Box(low, high, dtype=drawn.dtype)
    drawn.seed(0)
    return np.stack([drawn.sample() for _ in range(count)])
