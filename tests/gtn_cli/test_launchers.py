"""Two processes under real launchers: the same results under each, and recovery when a process is killed."""

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gtn_core.run_folder import RunFolder
from gtn_core.training_state import saved_progress

pytestmark = pytest.mark.slow

STEPS = 60
KILLS = ((5, 1), (20, 0), (35, 1))
"""Each kill: the number of outer steps to wait for, and the rank to kill."""

GTN_CLI = [sys.executable, "-m", "gtn_cli.main"]
COMMAND = [*GTN_CLI, "meta-train"]
BESIDE_PYTHON = Path(sys.executable).parent


@functools.cache
def has_horovod():
    return subprocess.run([sys.executable, "-c", "import horovod.torch"], capture_output=True).returncode == 0


@functools.cache
def has_mpi():
    """Returns whether Horovod was built with MPI."""
    built = subprocess.run([BESIDE_PYTHON / "horovodrun", "--check-build"], capture_output=True, text=True).stdout
    return "[X] MPI" in built


def launched(launcher, *arguments, command=COMMAND):
    """Starts ``gtn-cli meta-train`` under a launcher, in its own process group so that a test can end all of it."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "1000"}
    command = [*map(str, launcher), *command, *map(str, arguments), "--quiet"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, env=environment, start_new_session=True, **pipes)


def torchrun(*options):
    return [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", 2, *options, "--no-python"]


def horovodrun():
    if not has_horovod():
        pytest.skip("needs horovod: scripts/install_horovod.sh builds it")
    return [BESIDE_PYTHON / "horovodrun", "--gloo", "-np", 2]


def elastic(folder):
    """Elastic Horovod on two names of this machine, one process each; a death blacklists its name for some seconds."""
    hosts = folder / "hosts.sh"
    hosts.write_text("#!/bin/sh\necho localhost:1\necho 127.0.0.1:1\n")
    hosts.chmod(0o755)
    here = ("--host-discovery-script", hosts, "--network-interface", "lo")
    return [*horovodrun(), "--min-np", 1, "--max-np", 2, *here, "--blacklist-cooldown-range", 1, 2]


def mpirun():
    mpirun = shutil.which("mpirun", path=f"{BESIDE_PYTHON}{os.pathsep}{os.environ['PATH']}")
    if not has_horovod() or mpirun is None:
        pytest.skip("needs horovod, built where mpicxx is: scripts/install_horovod.sh; and mpirun")
    if not has_mpi():
        pytest.skip("needs horovod with MPI: it was built where mpicxx was not installed")
    # a rank that waits leaves its core to the tests that run beside it
    shared = ("--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", 1)
    return [mpirun, "-np", 2, "--allow-run-as-root", *shared]


def state(folder):
    return load_file(folder / "state" / "latest.safetensors")


def workers(process):
    """Returns the process ids of the ranks that a launcher has started, directly or through other processes."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            ours = b"meta-train" in words and words[:3] == [w.encode() for w in COMMAND[:3]]
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            while ours and parent not in (0, 1, process.pid):
                parent = int(Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[1])
            if ours and parent == process.pid:
                found.append(int(folder.name))
        except (OSError, ValueError):
            continue
    return sorted(found)


def wait_for_steps(folder, count, process):
    deadline = time.monotonic() + 300
    metrics = folder / "metrics.jsonl"
    while not metrics.exists() or metrics.read_bytes().count(b"meta/loss") < count:
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline, "it takes no steps"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def by_torchrun(small, tmp_path_factory):
    """Run folder of two processes that nothing disturbed."""
    folder = tmp_path_factory.mktemp("launchers") / "torchrun"
    process = launched(torchrun(), *small, "--iterations", STEPS, "--out", folder)
    told, _ = process.communicate(timeout=400)
    assert process.returncode == 0, told
    return folder


@pytest.mark.parametrize("launcher", [horovodrun, mpirun])
def test_every_launcher_trains_the_same_teacher(by_torchrun, tmp_path, small, launcher):
    process = launched(launcher(), *small, "--iterations", STEPS, "--out", tmp_path / "run")
    told, _ = process.communicate(timeout=400)
    assert process.returncode == 0, told
    ours, theirs = state(tmp_path / "run"), state(by_torchrun)
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


EVOLUTION = (
    *("--task", "CartPole-v1", "--kind", "bandit", "--set", "environment.harvest_episodes=8"),
    *("--set", "environment.hidden=[4]", "--set", "environment.centres=4", "--set", "agents.episodes=1"),
    *("--set", "agents.names=['short_agents:ShortDQN']"),
    *("--set", "agents.validation_seeds=1", "--set", "agents.validation_episodes=1"),
    *("--set", "stages=[{name: greedy, population: 4, validations: 1, sigma: 0.3}]", "--iterations", "3"),
)
STUDY = ("CartPole-v1", "--algo", "a2c", "--seeds", "2", "--steps", "50", "--episodes", "2", "--no-controls")
RANKING = ("--space", "nb201-small", "--task", "digits", "--count", "4", "--ranker", "synflow", "--ranker", "random")


@pytest.fixture(scope="module")
def evolved(tmp_path_factory):
    """Tensors of an environment that one process evolved."""
    return evolved_by((), tmp_path_factory.mktemp("launchers") / "single")


def evolved_by(launcher, folder):
    process = launched(launcher, *EVOLUTION, "--out", folder)
    told, _ = process.communicate(timeout=400)
    assert process.returncode == 0, told
    return load_file(folder / "teacher.safetensors")


@pytest.mark.parametrize("launcher", [torchrun, horovodrun, mpirun])
def test_every_launcher_evolves_the_same_environment(evolved, tmp_path, launcher):
    ours = evolved_by(launcher(), tmp_path / "run")
    assert ours.keys() == evolved.keys()
    assert all(torch.equal(tensor, evolved[name]) for name, tensor in ours.items())


def test_transfer_study_under_horovod_equals_single_process(tmp_path):
    def returns(launcher, folder):
        process = launched(launcher, *STUDY, "--out", folder, command=[*GTN_CLI, "transfer"])
        told, _ = process.communicate(timeout=400)
        assert process.returncode == 0, told
        lines = [json.loads(line) for line in (folder / "agents.jsonl").read_text().splitlines()]
        return {line["job"]["number"]: line["result"]["checkpoints"][-1]["stochastic"] for line in lines}

    alone = returns((), tmp_path / "alone")
    assert alone.keys() == {0, 1}
    assert returns(horovodrun(), tmp_path / "together") == alone


def test_ranking_under_horovod_equals_single_process(tmp_path):
    def scores(launcher, folder):
        process = launched(launcher, *RANKING, "--out", folder, command=[*GTN_CLI, "nas", "rank"])
        told, _ = process.communicate(timeout=400)
        assert process.returncode == 0, told
        files = [path for path in (folder / "scores").glob("*/*.json") if path.name != "made-by.json"]
        return {f"{path.parent.name}/{path.name}": json.loads(path.read_text())["runs"]["0"]["value"] for path in files}

    alone = scores((), tmp_path / "alone")
    assert len(alone) == 8
    assert scores(horovodrun(), tmp_path / "together") == alone


def wait_for(seen, process):
    deadline = time.monotonic() + 120
    while not seen():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def kill_one(folder, process, *, after, rank):
    """Kills one rank of a run after a number of outer steps; returns the time of the kill."""
    wait_for_steps(folder, after, process)
    killed = time.monotonic()
    os.kill(workers(process)[rank], signal.SIGKILL)
    return killed


def steps_taken(folder):
    metrics = folder / "metrics.jsonl"
    return metrics.read_text().count('"meta/loss"') if metrics.exists() else 0


def test_torchrun_restarts_and_matches_undisturbed_run(by_torchrun, tmp_path, small):
    folder = tmp_path / "run"
    process = launched(torchrun("--max-restarts", 3), *small, "--iterations", STEPS, "--out", folder)
    for after, rank in KILLS:
        kill_one(folder, process, after=after, rank=rank)
    told, _ = process.communicate(timeout=400)
    assert process.returncode == 0, told
    assert told.count("another process of this run has ended") == 3
    ours, theirs = state(folder), state(by_torchrun)
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    assert steps_taken(folder) == STEPS


def test_restarted_command_does_not_resume_run_of_another(trained, small):
    files = [trained / "config.yaml", trained / "metrics.jsonl", trained / "teacher.safetensors"]
    before = [file.read_bytes() for file in files]
    one = torchrun("--max-restarts", 1, "--nproc-per-node", 1)
    process = launched(one, *small, "--iterations", 6, "--out", trained)
    told, _ = process.communicate(timeout=400)
    assert process.returncode != 0
    assert told.count("already holds a run") == 2
    assert [file.read_bytes() for file in files] == before


def test_horovod_elastic_continues_as_workers_die_and_rejoin(tmp_path, small, start):
    folder, told = tmp_path / "run", []
    process = launched(elastic(tmp_path), *small, "--iterations", 10**6, "--out", folder)
    reader = threading.Thread(target=told.extend, args=(process.stdout,))
    reader.start()
    try:
        for turn, rank in ((1, 1), (2, 0)):
            before = steps_taken(folder)
            kill_one(folder, process, after=before + 5, rank=rank)
            wait_for(lambda turn=turn: "".join(told).count("continuing as process 0 of 1") == turn, process)
            wait_for(lambda turn=turn: "".join(told).count("of 2") == turn, process)
            assert steps_taken(folder) > before + 5
        wait_for_steps(folder, steps_taken(folder) + 5, process)
    finally:
        for rank in workers(process):
            os.kill(rank, signal.SIGKILL)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join()
        process.stdout.close()
    wanted = steps_taken(folder) + 10
    resumed = start("meta-train", "--resume", folder, "--iterations", wanted, "--quiet")
    _, err = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, err
    assert steps_taken(folder) == wanted


@pytest.mark.parametrize("rank", [0, 1])
def test_kill_under_mpirun_saves_last_complete_outer_step(tmp_path, small, rank):
    folder = tmp_path / "run"
    process = launched(mpirun(), *small, "--set", "outer.save_every=1000", "--iterations", 10**6, "--out", folder)
    kill_one(folder, process, after=8, rank=rank)
    told, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "received SIGTERM; saving outer step" in told
    # Rank 0 may be one logged step ahead of the other ranks, or may not have logged the last one yet.
    assert abs(steps_taken(folder) - saved_progress(RunFolder(folder)).iteration) <= 1
    assert steps_taken(folder) >= 8


def test_kill_ends_horovod_run_that_one_process_can_resume(tmp_path, small, start):
    folder = tmp_path / "run"
    arguments = [*small, "--iterations", STEPS, "--out", folder]
    for after, rank in KILLS:
        process = launched(horovodrun(), *arguments)
        killed = kill_one(folder, process, after=after, rank=rank)
        told, _ = process.communicate(timeout=60)
        assert time.monotonic() - killed < 60
        assert process.returncode != 0
        assert "another process of this run has ended" in told
        arguments = ["--resume", folder]
    resumed = start("meta-train", "--resume", folder, "--quiet")
    _, err = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, err
    assert steps_taken(folder) == STEPS
