"""Worlds of several processes: launcher detection, collectives, shared failures, lost ranks and shutdown."""

import os
import signal
import subprocess
import sys

import pytest
import torch
from torch.distributed.distributed_c10d import _get_default_store

from gtn_core.distributed import (
    WORLDS,
    LostRankError,
    SingleProcess,
    SplitTrial,
    everywhere,
    first,
    first_on_each_machine,
    gathered,
    join,
    keep_in_step,
    share_out,
)
from gtn_core.distributed.files import first_tensors
from gtn_core.distributed.torchrun import _all_have, _reached
from gtn_core.distributed.world import buckets
from gtn_core.errors import DataError, GTNError, UnknownNameError, UsageError
from gtn_core.logged_values import merged_values

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def test_join_gives_single_process_without_launcher_or_by_name():
    assert isinstance(join("auto", {}), SingleProcess)
    assert isinstance(join("single", {"HOROVOD_RANK": "1"}), SingleProcess)


def test_join_rejects_unknown_world_and_missing_variables():
    with pytest.raises(UnknownNameError, match="did you mean 'horovod'"):
        join("horovd")
    with pytest.raises(UsageError, match=r"RANK, WORLD_SIZE.*torchrun"):
        join("torch", {})


def test_missing_horovod_raises_error_with_install_hint(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "horovod.torch", None)
    with pytest.raises(GTNError, match=r"cannot import Horovod.*install_horovod.sh.*--world single"):
        join("auto", {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"})


def test_buckets_group_adjacent_tensors_by_dtype_and_size():
    floats, doubles = [torch.zeros(4) for _ in range(3)], [torch.zeros(2, dtype=torch.float64)]
    found = list(buckets([*floats, torch.zeros(0), *doubles, torch.zeros(100)], limit=32))
    assert [[len(t) for t in bucket] for bucket in found] == [[4, 4], [4], [2], [100]]


def test_merged_values_average_metrics_and_sum_costs():
    rows = [{"meta/loss": 1.0, "cost/real_steps": 5.0}, {"meta/loss": 3.0, "cost/real_steps": 7.0, "meta/rare": 2.0}]
    assert merged_values(rows) == {"meta/loss": 2.0, "cost/real_steps": 12.0, "meta/rare": 2.0}


class Quadratic:
    """A trial whose fitness is minus the squared norm; it logs the number of candidates judged as real steps."""

    def __init__(self):
        self.values = {}

    def fitness(self, teacher, candidates):
        self.values = {"cost/real_steps": float(len(candidates)), "meta/kind": 1.0}
        return -candidates.square().sum(dim=1)


def _hand_over(world):
    own = [torch.full((3,), world.rank + 1.0), torch.tensor(world.rank + 1.0, dtype=torch.float64), torch.zeros(2, 0)]
    world.sum_(own)
    state = [torch.full((2, 2), float(world.rank)), torch.tensor([world.rank == 0]), torch.arange(3) + world.rank]
    world.broadcast_(state)
    drifted = [torch.full((2,), float(world.rank))]
    keep_in_step(world, drifted)
    tensors, values = first_tensors(world, lambda: ({"a": torch.eye(2), "b": torch.tensor([True])}, {"x": [1, "é"]}))
    order = []
    first_on_each_machine(world, lambda: order.append(world.rank))
    seen = []
    shared = share_out(world, [10, 20, 30], lambda item: [item, world.rank], lambda item, result: seen.append(item))
    trial = SplitTrial(Quadratic, world)
    fitness = trial.fitness(None, torch.arange(7.0)[:, None])
    return {
        "sums": [t.tolist() for t in own],
        "state": [t.tolist() for t in state],
        "in step": drifted[0].tolist(),
        "tensors": ({name: t.tolist() for name, t in tensors.items()}, values),
        "gathered": world.gather({"rank": world.rank, "long": "x" * 3000 * world.rank, "nan": float("inf")}),
        "first": first(world, lambda: world.rank + 5),
        "shared": (shared, seen),
        "fitness": (fitness.tolist(), dict(trial.values)),
    }


def test_collectives_give_same_results_on_two_ranks(in_processes):
    results = in_processes(2, _hand_over)
    assert results[0] == results[1]
    found = results[0]
    assert found["sums"] == [[3.0, 3.0, 3.0], 3.0, [[], []]]
    assert found["state"] == [[[0.0, 0.0], [0.0, 0.0]], [True], [0, 1, 2]]
    assert found["in step"] == [0.0, 0.0]
    assert found["tensors"] == ({"a": [[1.0, 0.0], [0.0, 1.0]], "b": [True]}, {"x": [1, "é"]})
    assert [other["rank"] for other in found["gathered"]] == [0, 1]
    assert len(found["gathered"][1]["long"]) == 3000
    assert found["first"] == 5
    assert found["shared"] == ([[10, 0], [20, 1], [30, 0]], [10, 20, 30])
    assert found["fitness"][0] == [-float(i * i) for i in range(7)]
    assert found["fitness"][1] == {"cost/real_steps": 8.0, "meta/kind": 1.0}  # both ranks judge the last candidate


def _fail(world):
    told = []
    for error in (DataError("no file"), ZeroDivisionError("oops")):

        def work(error=error):
            if world.rank == 1:
                raise error

        for agreed in (everywhere, gathered):
            try:
                agreed(world, work)
            except Exception as caught:
                told.append((type(caught).__name__, str(caught), getattr(caught, "rank", None)))
    return told, first(world, lambda: "still together")


def test_failure_on_one_rank_raises_on_all_ranks(in_processes):
    told, after = zip(*in_processes(2, _fail), strict=True)
    assert after == ("still together",) * 2
    assert told[0][:2] == told[1][:2] == [("DataError", "no file", 1)] * 2
    assert told[0][2:] == [("GTNError", "ZeroDivisionError: oops", 1)] * 2
    assert told[1][2:] == [("ZeroDivisionError", "oops", None)] * 2


def _make_no_trial(world):
    def make():
        if world.rank == 1:
            raise DataError("no trial")
        return Quadratic()

    try:
        SplitTrial(make, world).fitness(None, torch.arange(7.0)[:, None])
    except DataError as error:
        return str(error), error.rank


def test_trial_that_one_rank_cannot_make_fails_on_all_ranks(in_processes):
    assert in_processes(2, _make_no_trial) == [("no trial", 1)] * 2


def _lose(world):
    world.gather(0)
    if world.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        world.gather(1)
    except LostRankError as error:
        return str(error)


def test_killed_rank_raises_lost_rank_error_on_other_rank(in_processes):
    told = in_processes(2, _lose)
    assert told[0].startswith("another process of this run has ended")
    assert told[1] is None


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (RuntimeError("[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer"), True),
        (torch.distributed.DistBackendError("NCCL communicator was aborted on rank 1"), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), False),
        (torch.distributed.DistBackendError("NCCL error: Cuda failure 2 'out of memory'"), False),
        (RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"), False),
    ],
)
def test_only_connection_errors_become_lost_rank_errors(error, lost):
    def fail():
        raise error

    with pytest.raises(LostRankError if lost else type(error)) as raised:
        _reached(fail)
    assert lost or raised.value is error


def _agree(world):
    def all_have(name, here):
        return _all_have(torch.distributed.PrefixStore(name, _get_default_store()), world.size, here)

    found = [all_have("one", True), all_have("two", world.rank == 0), all_have("three", False)]
    world.gather(0)  # rank 0 hosts the store, so it waits until the other has read it
    return found


def test_all_have_is_true_only_if_true_on_every_rank(in_processes):
    assert in_processes(2, _agree) == [[True, False, False]] * 2


LEAVES_NO_THREADS = """
import os
from gtn_core.distributed import join

world = join("torch")
world.gather("here")
import torch._dynamo  # as compiled parts of PyTorch do on first use; it imports what takes the group as a default argument
world.close()
print([open(f"/proc/self/task/{thread}/comm").read().strip() for thread in os.listdir("/proc/self/task")])
"""


def test_closed_torch_world_leaves_no_gloo_threads():
    alone = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", LEAVES_NO_THREADS]
    done = subprocess.run(command, env={**os.environ, **alone}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "gloo" not in done.stdout


def test_every_world_is_registered():
    assert set(WORLDS) == {"single", "torch", "horovod"}
