"""Compute settings of a run: threads, the check of bfloat16, and plans that resume on another device."""

import dataclasses

import pytest
import torch

from gtn_core.distributed import SingleProcess
from gtn_core.errors import DeviceError
from gtn_core.estimators import Backprop
from gtn_core.planning.plan import StepPlan
from gtn_core.run_folder import RunFolder
from gtn_core.threads import threads_put_back
from gtn_sl import compute
from gtn_sl.compute import as_this_device_can, trusted, with_compute
from gtn_sl.memory_use import outer_memories
from gtn_sl.teacher import seeded_teacher
from gtn_sl.training import meta_train


@pytest.mark.parametrize(("told", "environment", "used"), [(None, None, 1), (None, "2", 2), (2, None, 2)])
def test_thread_count_is_chosen_only_if_unset(told, environment, used, tmp_path, config, monkeypatch):
    monkeypatch.setattr(compute, "choose_threads", lambda name, probes, plan, most, cache: most - 1)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if environment:
        monkeypatch.setenv("OMP_NUM_THREADS", environment)
    run, before = RunFolder(tmp_path / "run"), torch.get_num_threads()
    settled, outer = dataclasses.replace(config.compute, threads=told), dataclasses.replace(config.outer, iterations=1)
    seen = []
    try:
        torch.set_num_threads(2)
        settings = dataclasses.replace(config, compute=settled, outer=outer)
        meta_train(settings, run, listener=lambda *progress: seen.append(torch.get_num_threads()))
        assert torch.get_num_threads() == 2  # the process's own number is restored
    finally:
        torch.set_num_threads(before)
    assert seen == [used]
    assert run.read_config()["compute"]["threads"] == used


@pytest.mark.parametrize(
    ("threshold", "precision", "word"), [(0.5, "bfloat16", "using bfloat16"), (1.1, "float32", "instead")]
)
def test_bfloat16_is_used_only_if_its_meta_gradient_agrees(
    tmp_path, config, monkeypatch, caplog, threshold, precision, word
):
    monkeypatch.setattr(compute, "SAME_DIRECTION", threshold)
    coarse = dataclasses.replace(config.compute, plan=StepPlan(precision="bfloat16", keep_last_k=4))
    run = RunFolder(tmp_path / "run")
    with caplog.at_level("INFO"):
        meta_train(dataclasses.replace(config, compute=coarse), run)
    assert run.read_config()["compute"]["plan"]["precision"] == precision
    assert word in next(line for line in caplog.messages if line.startswith("bfloat16: cosine"))


def test_float32_fallback_keeps_graphs_within_memory(tmp_path, config, data, monkeypatch):
    monkeypatch.setattr(compute, "SAME_DIRECTION", 1.1)
    teacher, coarse = seeded_teacher(config, data.task, 0), StepPlan(precision="bfloat16")
    budget = outer_memories(config, teacher, StepPlan())[0].peak(2) / 2**20
    settled = dataclasses.replace(config.compute, memory_mib=budget)
    small = dataclasses.replace(config, compute=settled)
    plan = trusted(dataclasses.replace(coarse, keep_last_k=4), small, data, teacher, 1)
    assert plan.precision == "float32"
    assert 0 < plan.keep_last_k <= 2
    assert trusted(coarse, small, data, teacher, 1).keep_last_k == 0


def test_bfloat16_check_keeps_fewer_graphs_if_out_of_memory(config, data, monkeypatch):
    monkeypatch.setattr(compute, "SAME_DIRECTION", 0.5)
    whole, tries = Backprop.estimate, []

    def short(self, teacher, trial):
        tries.append(self.plan.keep_last_k)
        if self.plan.keep_last_k > 1:
            raise MemoryError
        return whole(self, teacher, trial)

    monkeypatch.setattr(Backprop, "estimate", short)
    plan = StepPlan(precision="bfloat16", keep_last_k=4)
    assert trusted(plan, config, data, seeded_teacher(config, data.task, 0), 1).precision == "bfloat16"
    assert tries == [4, 2, 1, 4, 2, 1]


@pytest.mark.parametrize("execution", ["captured", "compiled"])
def test_gpu_run_resumes_on_cpu_with_eager_float32_plan(config, data, monkeypatch, execution):
    monkeypatch.setattr(compute, "has_bfloat16_units", lambda device: False)
    teacher = seeded_teacher(config, data.task, 0)
    plan = StepPlan(execution=execution, layout="channels_last", precision="bfloat16", keep_last_k=4)
    settled = dataclasses.replace(config.compute, plan=plan, memory_mib=1e-3)
    judged = dataclasses.replace(config.meta_loss, batch_size=4096)
    config = dataclasses.replace(config, compute=settled, meta_loss=judged)
    assert as_this_device_can(config, teacher, "cpu") is config
    resumed = as_this_device_can(config, teacher, "cuda:0").compute.plan
    assert resumed == StepPlan(layout="channels_last", judge_chunk=resumed.judge_chunk)
    assert resumed.judge_chunk > 0
    roomy = dataclasses.replace(config, compute=dataclasses.replace(settled, memory_mib=4096.0))
    assert as_this_device_can(roomy, teacher, "cuda").compute.plan == StepPlan(layout="channels_last", keep_last_k=4)


class Several(SingleProcess):
    """A process of several on one machine."""

    def __init__(self, count):
        self.size = self.local_size = count


def test_numbered_gpu_is_refused_for_several_processes(config):
    config = dataclasses.replace(config, compute=dataclasses.replace(config.compute, device="cuda:0", threads=1))
    with pytest.raises(DeviceError, match="would be that of all 2 processes"):
        with_compute(config, Several(2))


@threads_put_back()
def test_resume_divides_thread_total_among_processes(config, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    torch.set_num_threads(6)
    began = dataclasses.replace(config, compute=dataclasses.replace(config.compute, threads=None))
    for count, threads in ((2, 3), (1, 6), (4, 1), (3, 2), (7, 1), (1, 6), (2, 3)):
        began = with_compute(began, Several(count))
        assert torch.get_num_threads() == threads
    assert (began.compute.threads, began.compute.sharers) == (3, 2)


@threads_put_back()
def test_given_threads_are_those_of_each_process_of_a_resumed_run(config):
    given = dataclasses.replace(config, compute=dataclasses.replace(config.compute, threads=3))
    for count in (2, 1, 4):
        given = with_compute(given, Several(count))
        assert torch.get_num_threads() == 3
