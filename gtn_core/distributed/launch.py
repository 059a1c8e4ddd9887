"""Determines which processes train together: from how the program was launched, or as the user says."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from gtn_core.distributed.world import SingleProcess, World
from gtn_core.launcher import detected
from gtn_core.registry import Registry

WORLDS: Registry[Callable[[Mapping[str, str]], World]] = Registry("world")
"""By name: what joins the processes that the environment variables describe."""


@WORLDS.register("single")
def _single(environment: Mapping[str, str]) -> World:
    return SingleProcess()


def join(name: str = "auto", environment: Mapping[str, str] = os.environ) -> World:
    """Joins the processes that were launched together.

    Args:
        name: A name in ``WORLDS``, or ``auto`` for the one that the launcher indicates.
        environment: Environment variables set by the launcher.

    Raises:
        UsageError: The name is unknown, or no launcher of its kind has started this process.
        GTNError: The world's library is missing, or sees other processes than the launcher has started.
    """
    return WORLDS[detected(environment) if name == "auto" else name](environment)
