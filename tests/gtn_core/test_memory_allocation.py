"""Running out of memory: which errors mean that, and retries of the same episode with less memory."""

import logging
import subprocess
import sys

import pytest
import torch

from gtn_core.distributed import SingleProcess
from gtn_core.errors import DivergedError
from gtn_core.estimators import ESTIMATORS, Episode, EstimatorConfig, Teacher
from gtn_core.estimators.trial_in_parts import Room, TrialInParts
from gtn_core.inner_optim import SGD
from gtn_core.memory.allocation import available_bytes, is_out_of_memory
from gtn_core.meta_loss import BatchedLoss, parts_of
from gtn_core.planning.plan import StepPlan
from gtn_core.step_gradient import StepGradient

EXECUTION = """
import resource
import sys
import torch
from pathlib import Path
from gtn_core.memory.allocation import is_out_of_memory

pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (256 << 20), resource.RLIM_INFINITY))
try:
    torch.ones(1 << 29)
except BaseException as error:
    assert is_out_of_memory(error), repr(error)
    sys.exit(0)
sys.exit("2 GiB were to be had")
"""


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (DivergedError("out of memory is not what this is about"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_is_out_of_memory_classifies_errors(error, is_one):
    assert is_out_of_memory(error) == is_one


def test_real_allocation_failure_is_out_of_memory():
    run = subprocess.run([sys.executable, "-c", EXECUTION], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_available_bytes_is_unknown_or_plausible():
    free = available_bytes(torch.device("cpu"))
    assert free is None or free > 1 << 20


class Lessons(torch.nn.Module):
    """A teacher with one parameter for each of eight inner steps."""

    def __init__(self):
        super().__init__()
        self.x = torch.nn.Parameter(torch.linspace(0.5, 1.5, 8).double())

    def for_learner(self, seed):
        return self

    def schedule(self):
        return torch.full((8,), 0.1).double(), torch.full((8,), 0.5).double()

    def batch_for(self, step, progress):
        return (self.x[step : step + 1],)


class Tight:
    """A job that raises MemoryError unless few graphs are kept, none captured, and few samples judged at a time."""

    def __init__(self, estimator, graphs, samples):
        self.estimator, self.graphs, self.samples, self.tries = estimator, graphs, samples, []

    def episode(self, number, share):
        self.tries.append(number)
        if self.estimator.plan.execution == "captured":
            raise MemoryError
        real = torch.linspace(-1, 2, 12).double()

        def loss(phi, batch):
            return ((phi.sin() - batch[0]) ** 2).sum(), ()

        def judge(phi, statistics, batch):
            if len(batch[0]) > self.samples or self.estimator.plan.keep_last_k > self.graphs:
                raise MemoryError
            return ((phi.sum() - batch[0]) ** 2).mean()

        return Episode(loss, SGD(), torch.zeros(3).double(), BatchedLoss(judge, {8: (real,)}), {8: 1.0})


def gradient(graphs, samples, plan):
    """Returns the gradient of one episode, the job and the estimator."""
    teacher, estimator = Lessons(), ESTIMATORS["backprop"](EstimatorConfig(plan=plan))
    job = Tight(estimator, graphs, samples)
    report = StepGradient(teacher, [teacher.x], job, estimator, SingleProcess(), 1).leave(3, 0.0, lambda: 0.0)
    assert report.good == 1
    return teacher.x.grad, job, estimator


def test_retry_halves_graphs_then_samples_and_keeps_gradient(caplog):
    expected, job, _ = gradient(8, 12, StepPlan(keep_last_k=8))
    assert job.tries == [3]
    with caplog.at_level(logging.WARNING):
        found, job, estimator = gradient(2, 12, StepPlan(keep_last_k=8))
    assert job.tries == [3, 3, 3]  # every retry is of the same episode
    assert (estimator.plan.keep_last_k, estimator.plan.judge_chunk) == (2, 0)
    assert [record.message for record in caplog.records] == [
        "episode 3: out of memory; now keeping the graphs of 4 steps instead of 8",
        "episode 3: out of memory; now keeping the graphs of 2 steps instead of 4",
    ]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    found, job, estimator = gradient(0, 5, StepPlan(keep_last_k=1))
    assert (estimator.plan.keep_last_k, estimator.plan.judge_chunk) == (0, 3)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_retry_captures_no_graphs_once_none_are_kept(caplog):
    expected, _, _ = gradient(8, 12, StepPlan())
    with caplog.at_level(logging.WARNING):
        found, job, estimator = gradient(0, 12, StepPlan(execution="captured", keep_last_k=1))
    assert job.tries == [3, 3, 3]  # also if memory runs out while the episode is drawn
    assert estimator.plan == StepPlan()
    assert [record.message for record in caplog.records] == [
        "episode 3: out of memory; now keeping the graphs of 0 steps instead of 1",
        "episode 3: out of memory; now running steps eagerly instead of as captured graphs",
    ]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_memory_error_is_raised_if_plan_cannot_shrink():
    with pytest.raises(MemoryError):
        gradient(0, 0, StepPlan())


class Crowd:
    """A trial that raises MemoryError for more than three candidates at a time."""

    def __init__(self):
        self.values, self.asked = {}, []

    def fitness(self, teacher, candidates):
        self.asked.append(len(candidates))
        if len(candidates) > 3:
            raise MemoryError
        self.values = {"cost/real_steps": float(len(candidates))}
        return -candidates.square().sum(dim=1)


def test_candidates_are_judged_in_parts_after_memory_error(caplog):
    candidates, room, crowd = torch.arange(8.0)[:, None], Room(), Crowd()
    trial = TrialInParts(crowd, room)
    with caplog.at_level(logging.WARNING):
        found = trial.fitness(None, candidates)
    assert found.tolist() == [-float(i * i) for i in range(8)]
    assert crowd.asked == [8, 4, 2, 2, 2, 2, 2, 2, 2]  # each part ends with the last candidate
    assert (room.most, trial.values) == (1, {"cost/real_steps": 14.0})
    assert "now judging 3 candidates at a time instead of 7" in caplog.text
    assert TrialInParts(crowd, room).fitness(None, candidates[:2]).tolist() == [0.0, -1.0]
    assert TrialInParts(crowd, room).fitness(None, candidates[:1]).tolist() == [0.0]


def test_snes_step_continues_with_fewer_candidates_at_a_time():
    class Job:
        def episode(self, number, share):
            return Crowd()

    teacher = Teacher()
    teacher.x = torch.nn.Parameter(torch.ones(3))
    estimator = ESTIMATORS["snes"](EstimatorConfig(population=8))
    step = StepGradient(teacher, [teacher.x], Job(), estimator, SingleProcess(), 1)
    assert step.leave(0, 0.0, lambda: 0.0).good == 1
    assert teacher.x.grad is not None
    assert step.room.most == 2


def test_memory_error_is_raised_if_parts_cannot_shrink():
    class Full(Crowd):
        def fitness(self, teacher, candidates):
            raise MemoryError

    with pytest.raises(MemoryError):
        TrialInParts(Full(), Room()).fitness(None, torch.arange(8.0)[:, None])


def test_meta_loss_parts_weighted_by_size_sum_to_mean():
    judged = BatchedLoss(lambda phi, statistics, batch: batch[0].mean() * phi, {2: (torch.arange(7.0),)})
    assert judged.largest == 7
    for chunk, count in ((0, 1), (3, 3), (7, 1), (100, 1)):
        parts = list(parts_of(judged, 2, chunk))
        assert len(parts) == count
        assert sum(share * part(torch.tensor(2.0), ()) for share, part in parts).item() == pytest.approx(6)
    (whole,) = parts_of(lambda phi, statistics, steps: phi * steps, 2, 3)  # has no parts
    assert whole[1](torch.tensor(2.0), ()) == 4
