"""The launcher that started this process, as its environment variables tell. Does not import torch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

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

LOCAL_RANKS = {
    "torch": ("LOCAL_RANK",),
    "horovod": ("HOROVOD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID"),
}
"""By world: environment variables with a process's rank on its machine, of which the first that is set counts."""


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


def another_has_the_same(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Returns whether the first process on this machine was surely started with the same arguments as this one.

    That is so if an ancestor of both, the launcher, was given them itself; a shell in between may give each its own.
    """
    names = LOCAL_RANKS.get(detected(environment), ())
    rank = next((environment[name] for name in names if name in environment), "0")
    return rank != "0" and _given_to_an_ancestor(list(arguments))


def _given_to_an_ancestor(arguments: list[str]) -> bool:
    process = os.getppid()
    while process > 1 and arguments:
        try:
            words = Path(f"/proc/{process}/cmdline").read_text().split("\0")[:-1]
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            return False
        if words[-len(arguments) :] == arguments and ":" not in words:  # mpirun starts several programs: `A : B`
            return True
    return False
