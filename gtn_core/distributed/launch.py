"""Which processes train together: found from how the program was launched, or as the user says."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from gtn_core.distributed.world import SingleProcess, World
from gtn_core.registry import Registry

WORLDS: Registry[Callable[[Mapping[str, str]], World]] = Registry("world")
"""From a name to what joins the processes that the environment's variables tell of."""

SIGNS = {
    "TORCHELASTIC_RUN_ID": "torch",  # first: torchrun may be what an MPI launcher starts on each machine
    "HOROVOD_RANK": "horovod",
    "OMPI_COMM_WORLD_RANK": "horovod",
    "PMIX_RANK": "horovod",
    "PMI_RANK": "horovod",  # of MPICH and Intel MPI, and of srun --mpi=pmi2
}
"""Variables that launchers set, and the world that each stands for."""


@WORLDS.register("single")
def _single(environment: Mapping[str, str]) -> World:
    return SingleProcess()


def detected(environment: Mapping[str, str]) -> str:
    """Returns the name of the world that the launcher stands for; ``single`` where none did."""
    return next((name for sign, name in SIGNS.items() if sign in environment), "single")


def join(name: str = "auto", environment: Mapping[str, str] = os.environ) -> World:
    """Joins the processes that were launched together.

    Args:
        name: A name of ``WORLDS``, or ``auto`` for what the launcher stands for.
        environment: The variables that the launcher has set.

    Raises:
        UsageError: There is no such world, or no launcher of its kind has started this process.
        GTNError: Its library is missing, or sees other processes than the launcher has started.
    """
    return WORLDS[detected(environment) if name == "auto" else name](environment)


def launched_size(environment: Mapping[str, str]) -> int | None:
    """Returns how many processes the launcher says it has started; ``None`` where it does not say."""
    names = ("HOROVOD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS")
    return next((int(environment[name]) for name in names if environment.get(name, "").isdigit()), None)
