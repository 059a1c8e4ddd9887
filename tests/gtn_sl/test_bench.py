"""``gtn-cli bench``: its outer step, reuse of compiled functions, TF32, the roofline, and learners of one shape."""

import pytest
import torch

from gtn_core.estimators import Backprop, EstimatorConfig
from gtn_core.planning import execution
from gtn_core.planning.ceilings import Ceilings
from gtn_core.planning.counting import Count
from gtn_core.planning.execution import traced
from gtn_core.planning.plan import StepPlan
from gtn_core.run_folder import RunFolder
from gtn_sl.bench import Roofline, outer_iteration, random_data, run_bench
from gtn_sl.config import resolve_config
from gtn_sl.data import TASKS
from gtn_sl.job import SupervisedJob
from gtn_sl.learners.pool import has_one_shape
from gtn_sl.peers import Task, Work
from gtn_sl.peers.methods import adjoint
from gtn_sl.teacher import seeded_teacher

TINY = {
    "learner": {"architecture": "base_fc:4,6,8"},
    "inner": {"steps": 3, "batch_size": 4},
    "meta_loss": {"batch_size": 8, "every": 2, "intermediate_batch_size": 4},
    "outer": {"iterations": 1},
}


def gradients(plan: StepPlan, episodes: int) -> list[torch.Tensor]:
    config, task = resolve_config("digits", "fast", TINY), TASKS["digits"]
    teacher = seeded_teacher(config, task, 0)
    job = SupervisedJob(config, random_data(task), teacher, plan, RunFolder("unused"))
    for episode in range(episodes):
        Backprop(EstimatorConfig(plan=plan)).estimate(teacher, job.episode(episode, 0.0))
    return [p.grad for p in teacher.trained()]


@pytest.mark.parametrize("backend", ["reverse", "forward"])
def test_compiled_functions_are_reused_by_next_episode(backend, monkeypatch):
    prepared = []

    def prepare(function, inputs):
        prepared.append(inputs)
        return traced(function, inputs)

    expected = gradients(StepPlan(backend=backend), 2)
    monkeypatch.setattr(execution, "compiled", prepare)
    found = gradients(StepPlan(backend=backend, execution="compiled"), 2)
    assert len(prepared) == 3  # the step; its adjoint with and without statistics
    for got, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-6)


@pytest.fixture
def prepared(monkeypatch):
    """Replaces compilation by the identity; returns the inputs of each call to it."""
    found = []

    def prepare(function, inputs):
        found.append(inputs)
        return function

    monkeypatch.setattr(execution, "compiled", prepare)
    return found


def test_validation_does_not_evict_compiled_functions(prepared):
    config, task = resolve_config("digits", "fast", TINY), TASKS["digits"]
    teacher, plan, data = seeded_teacher(config, task, 0), StepPlan(execution="compiled"), random_data(task)
    job = SupervisedJob(config, data, teacher, plan, RunFolder("unused"))
    for episode in range(2):
        Backprop(EstimatorConfig(plan=plan)).estimate(teacher, job.episode(episode, 0.0))
        job.judge(data.validation)
    assert len(prepared) == 3


def test_timing_method_again_does_not_recompile(prepared):
    work = Work(Task("ours", "base_fc:4,6,8", "named", 3, 4, "fp32", "contiguous", image=(1, 8, 8)))
    for _ in range(2):
        adjoint(work, execution="compiled")
    assert len(prepared) == 3


def test_outer_step_updates_teacher_parameters(monkeypatch):
    config, task = resolve_config("digits", "fast", TINY), TASKS["digits"]
    seen = []
    monkeypatch.setattr("gtn_sl.bench.seeded_teacher", lambda *a: seen.append(seeded_teacher(*a)) or seen[0])
    iterate = outer_iteration(config, StepPlan(), random_data(task))
    before = seen[0].theta()
    iterate()
    assert not torch.equal(before, seen[0].theta())


def test_bench_disables_tf32_and_restores_setting():
    allowed = []

    def look(what):
        allowed.append((torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32))

    before = torch.backends.cudnn.allow_tf32
    found = list(run_bench(resolve_config("digits", "fast", TINY), ["float32"], side=16, copy_mib=1, advance=look))
    assert len(found) == 1
    assert set(allowed) == {(False, False)}
    assert torch.backends.cudnn.allow_tf32 == before


def test_roofline_gap_uses_nearer_ceiling():
    line = Roofline(2.0, Count(flops=100, bytes=40), Ceilings(flops=200.0, bytes=100.0))
    assert (line.flops_share, line.bytes_share, line.gap) == (0.25, 0.2, 4.0)


@pytest.mark.parametrize(
    ("learner", "one"),
    [
        ({"architecture": "base_fc:4,6,8"}, True),
        ({"architecture": "base_fc"}, False),
        ({"architecture": "base_fc:4,6,8", "norms": ("own", "batch")}, False),
        ({"pool": ("base_fc:4,6,8", "linear")}, False),
        ({"architecture": "sampled:depth=2"}, False),
    ],
)
def test_has_one_shape_detects_varying_learners(learner, one):
    settings = resolve_config("digits", "fast", {"learner": learner}).learner
    assert has_one_shape(settings) == one
