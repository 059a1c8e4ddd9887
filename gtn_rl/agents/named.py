"""Turns names into families of inner agents: registered ones, and a user's own as ``module:attribute``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gtn_core.errors import UsageError
from gtn_core.imported import import_named
from gtn_rl.agents.protocol import AGENTS, AgentFamily
from gtn_rl.agents.sb3 import SB3Family
from gtn_rl.tasks.protocol import TaskSpec

METHODS = ("draw", "usual", "fits")
"""The methods of an ``AgentFamily``."""


def families(names: Sequence[str], spec: TaskSpec, sb3_steps: int) -> tuple[tuple[str, AgentFamily], ...]:
    """Returns the named families with their names, in order.

    Args:
        names: Names in ``AGENTS``, or ``module:attribute``; empty for every batched family that accepts the task's
            actions.
        spec: The task.
        sb3_steps: Environment steps of the registered agents of Stable-Baselines3.

    Raises:
        UsageError: A name stands for no family, or for one that does not accept the task's actions or whose agents have
            no method ``train``.
        GTNError: A package that an agent needs is not installed.
    """
    if not names:
        batched = ((name, family) for name, family in AGENTS.items() if not isinstance(family, SB3Family))
        return tuple((name, family) for name, family in batched if family.fits(spec))
    found = []
    for name in names:
        family = _imported(name) if ":" in name else AGENTS[name]
        if isinstance(family, SB3Family) and name in AGENTS:
            family = replace(family, steps=sb3_steps)
        if not family.fits(spec):
            raise UsageError(f"the inner agent {name!r} does not support the actions of {spec.id}, {spec.action_space}")
        for agent in (family.usual(spec), family.draw(spec, np.random.default_rng(0))):
            if not callable(getattr(agent, "train", None)):
                raise UsageError(f"the inner agent {name!r} makes a {type(agent).__name__}, which has no train method")
        found.append((name, family))
    return tuple(found)


def _imported(name: str) -> AgentFamily:
    """Returns the family that ``module:attribute`` names; a class is instantiated without arguments."""
    family: Any = import_named("inner agent", name)
    if isinstance(family, type):
        try:
            family = family()
        except TypeError as error:
            raise UsageError(f"the inner agent {name!r} is a class that needs arguments: {error}") from error
    missing = [method for method in METHODS if not callable(getattr(family, method, None))]
    if missing:
        raise UsageError(f"the inner agent {name!r} is not a family of agents: it lacks {', '.join(missing)}")
    return family
