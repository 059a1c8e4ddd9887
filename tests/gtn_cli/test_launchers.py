"""Two processes under the launchers themselves: the same run under each, and one that goes on when a process is killed."""

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
"""After how many outer steps which process is killed."""

COMMAND = [sys.executable, "-m", "gtn_cli.main", "meta-train"]
BESIDE_PYTHON = Path(sys.executable).parent


def has_horovod():
    return subprocess.run([sys.executable, "-c", "import horovod.torch"], capture_output=True).returncode == 0


def launched(launcher, *arguments):
    """Starts ``gtn-cli meta-train`` under a launcher, in a group of its own, so that a test can end all of it."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "1000"}
    command = [*map(str, launcher), *COMMAND, *map(str, arguments), "--quiet"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, env=environment, start_new_session=True, **pipes)


def torchrun(*options):
    return [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", 2, *options, "--no-python"]


def horovodrun():
    if not has_horovod():
        pytest.skip("needs horovod: scripts/install_horovod.sh builds it")
    return [BESIDE_PYTHON / "horovodrun", "--gloo", "-np", 2]


def elastic(folder):
    """Two names of this machine, each with room for one process: one that dies takes its name out for some seconds."""
    hosts = folder / "hosts.sh"
    hosts.write_text("#!/bin/sh\necho localhost:1\necho 127.0.0.1:1\n")
    hosts.chmod(0o755)
    here = ("--host-discovery-script", hosts, "--network-interface", "lo")
    return [*horovodrun(), "--min-np", 1, "--max-np", 2, *here, "--blacklist-cooldown-range", 1, 2]


def mpirun():
    mpirun = shutil.which("mpirun", path=f"{BESIDE_PYTHON}{os.pathsep}{os.environ['PATH']}")
    if not has_horovod() or mpirun is None:
        pytest.skip("needs horovod, built where mpicxx is: scripts/install_horovod.sh; and mpirun")
    built = subprocess.run([BESIDE_PYTHON / "horovodrun", "--check-build"], capture_output=True, text=True).stdout
    if "[X] MPI" not in built:
        pytest.skip("needs horovod with MPI: it was built where mpicxx was not installed")
    return [mpirun, "-np", 2, "--allow-run-as-root", "--oversubscribe"]


def state(folder):
    return load_file(folder / "state" / "latest.safetensors")


def workers(process):
    """Returns the process ids of the ranks that a launcher has started, whatever stands between."""
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
    """A run of two processes that nothing disturbs."""
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


def wait_for(seen, process):
    deadline = time.monotonic() + 120
    while not seen():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def kill_one(folder, process, *, after, rank):
    """Kills a process of a run once so many steps have been taken; returns when."""
    wait_for_steps(folder, after, process)
    killed = time.monotonic()
    os.kill(workers(process)[rank], signal.SIGKILL)
    return killed


def steps_taken(folder):
    metrics = folder / "metrics.jsonl"
    return metrics.read_text().count('"meta/loss"') if metrics.exists() else 0


def test_torchrun_carries_on_when_processes_are_killed(by_torchrun, tmp_path, small):
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


def test_horovod_elastic_carries_on_with_those_that_are_left_and_those_that_come(tmp_path, small, start):
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
def test_of_a_process_killed_under_mpirun_the_others_save_the_last_whole_step(tmp_path, small, rank):
    folder = tmp_path / "run"
    process = launched(mpirun(), *small, "--set", "outer.save_every=1000", "--iterations", 10**6, "--out", folder)
    kill_one(folder, process, after=8, rank=rank)
    told, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "received SIGTERM; saving outer step" in told
    # The first may be ahead of the others by a row, or may not have come to write the last one.
    assert abs(steps_taken(folder) - saved_progress(RunFolder(folder)).iteration) <= 1
    assert steps_taken(folder) >= 8


def test_a_killed_process_ends_a_run_of_horovod_which_can_be_resumed_with_another_number(tmp_path, small, start):
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
