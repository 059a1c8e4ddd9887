"""Determines which processes train together: from how the program was launched, or as the user says."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from gtn_core.distributed.world import SingleProcess, World
from gtn_core.registry import Registry

WORLDS: Registry[Callable[[Mapping[str, str]], World]] = Registry("world")
"""By name: what joins the processes that the environment variables describe."""

SIGNS = {
    "TORCHELASTIC_RUN_ID": "torch",  # first: an MPI launcher may start torchrun on each machine
    "HOROVOD_RANK": "horovod",
    "OMPI_COMM_WORLD_RANK": "horovod",
    "PMIX_RANK": "horovod",
    "PMI_RANK": "horovod",  # MPICH, Intel MPI, and srun --mpi=pmi2
}
"""Environment variables that launchers set, and the world that each one indicates."""


@WORLDS.register("single")
def _single(environment: Mapping[str, str]) -> World:
    return SingleProcess()


def detected(environment: Mapping[str, str]) -> str:
    """Returns the name of the world that the launcher indicates; ``single`` without a launcher."""
    return next((name for sign, name in SIGNS.items() if sign in environment), "single")


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


def launched_size(environment: Mapping[str, str]) -> int | None:
    """Returns the number of processes that the launcher says it has started; ``None`` if it does not say."""
    names = ("HOROVOD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS")
    return next((int(environment[name]) for name in names if environment.get(name, "").isdigit()), None)
