"""The launcher that started this process, as its environment variables tell. Does not import torch."""

from __future__ import annotations

from collections.abc import Mapping

SIGNS = {
    "TORCHELASTIC_RUN_ID": "torch",  # first: an MPI launcher may start torchrun on each machine
    "HOROVOD_RANK": "horovod",
    "OMPI_COMM_WORLD_RANK": "horovod",
    "PMIX_RANK": "horovod",
    "PMI_RANK": "horovod",  # MPICH, Intel MPI, and srun --mpi=pmi2
}
"""Environment variables that launchers set, and the world that each one indicates."""

SIZES = {
    "torch": ("WORLD_SIZE",),
    "horovod": ("HOROVOD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"),
}
"""By world: environment variables with the number of processes, of which the first that is set counts."""


def detected(environment: Mapping[str, str]) -> str:
    """Returns the name of the world that the launcher indicates.

    It is ``single`` without a launcher, or if an MPI launcher has started a single process, as ``srun`` does by default:
    that one needs no Horovod, unless Horovod may add more to it.
    """
    name = next((name for sign, name in SIGNS.items() if sign in environment), "single")
    lone = name == "horovod" and launched_size(name, environment) == 1 and environment.get("HOROVOD_ELASTIC") != "1"
    return "single" if lone else name


def launched_size(world: str, environment: Mapping[str, str]) -> int | None:
    """Returns the number of processes that a world's launcher says it has started; ``None`` if it does not say."""
    names = SIZES.get(world, ())
    return next((int(environment[name]) for name in names if environment.get(name, "").isdigit()), None)
