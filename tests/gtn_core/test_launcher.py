"""Launchers, recognised by the environment variables that they set."""

import pytest

from gtn_core.launcher import detected, launched_size


@pytest.mark.parametrize(
    ("signs", "name"),
    [
        ([], "single"),
        (["TORCHELASTIC_RUN_ID"], "torch"),
        (["HOROVOD_RANK"], "horovod"),
        (["OMPI_COMM_WORLD_RANK"], "horovod"),
        (["PMIX_RANK"], "horovod"),
        (["PMI_RANK", "PMI_SIZE"], "horovod"),
        (["PMIX_RANK", "TORCHELASTIC_RUN_ID"], "torch"),  # torchrun, started on each machine by an MPI launcher
        (["RANK", "WORLD_SIZE"], "single"),  # too common to indicate a launcher
    ],
)
def test_launcher_variables_determine_world(signs, name):
    assert detected(dict.fromkeys(signs, "0")) == name


@pytest.mark.parametrize("size", [{"SLURM_STEP_NUM_TASKS": "1"}, {"PMI_SIZE": "1"}])
def test_single_process_of_mpi_launcher_is_a_single_world(size):
    assert detected({"PMIX_RANK": "0", **size}) == "single"
    assert detected({"PMIX_RANK": "0", **dict.fromkeys(size, "2")}) == "horovod"


def test_single_process_that_horovod_may_add_to_is_not_a_single_world():
    assert detected({"HOROVOD_RANK": "0", "HOROVOD_SIZE": "1", "HOROVOD_ELASTIC": "1"}) == "horovod"


def test_launched_size_reads_launcher_variables():
    assert launched_size("horovod", {"OMPI_COMM_WORLD_SIZE": "3"}) == 3
    assert launched_size("horovod", {"HOROVOD_SIZE": "2", "SLURM_NTASKS": "4"}) == 2
    assert launched_size("horovod", {"WORLD_SIZE": "2"}) is None
    assert launched_size("torch", {"WORLD_SIZE": "2", "SLURM_NTASKS": "4"}) == 2
    assert launched_size("single", {"SLURM_NTASKS": "4"}) is None


def test_size_of_slurm_step_counts_before_that_of_job():
    shell = {"SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "1"}  # an interactive one, in a job of four tasks
    assert launched_size("horovod", shell) == 1
