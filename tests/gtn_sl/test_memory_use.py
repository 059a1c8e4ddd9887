"""The memory model against measurements of an outer step: tensors, and the resident memory of a child process."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest
import torch

from gtn_core.memory.peak import peak_bytes
from gtn_core.planning.plan import StepPlan
from gtn_sl import memory_use
from gtn_sl.bench import outer_iteration, random_data
from gtn_sl.config import resolve_config
from gtn_sl.data import TASKS
from gtn_sl.memory_use import fitting_plan, memory_budget, outer_memories
from gtn_sl.teacher import seeded_teacher

WITHIN = 0.15


def setting(task, learner, steps, batch, real):
    layers = {
        "learner": {"architecture": learner},
        "inner": {"steps": steps, "batch_size": batch},
        "meta_loss": {"batch_size": real},
        "outer": {"iterations": 1},
    }
    return resolve_config(task, "fast", layers)


@pytest.mark.parametrize("plan", [StepPlan(), StepPlan(precision="bfloat16"), StepPlan(backend="forward")])
@pytest.mark.parametrize(
    ("task", "learner", "side_by_side", "steps", "batch", "real"),
    [
        ("digits", "base_fc:8,16,32", 1, 4, 16, 64),
        ("digits", "base_fc:8,16,32", 3, 4, 16, 64),
        ("mnist", "base_fc:4,8,16", 1, 6, 16, 32),
        ("digits", "base:6,8", 1, 8, 32, 32),
    ],
)
def test_model_predicts_peak_of_tensors(task, learner, side_by_side, steps, batch, real, plan):
    config = setting(task, learner, steps, batch, real)
    config = dataclasses.replace(config, learner=dataclasses.replace(config.learner, side_by_side=side_by_side))
    data, teacher = random_data(TASKS[task]), seeded_teacher(config, TASKS[task], 0)
    (model,) = outer_memories(config, teacher, plan)
    for kept, chunk in [(0, 0), (steps, 0), (steps // 2, 8)] if plan.backend == "reverse" else [(0, 0)]:
        iterate = outer_iteration(config, dataclasses.replace(plan, keep_last_k=kept, judge_chunk=chunk), data)
        iterate()  # the first step allocates the optimizer's state
        measured = peak_bytes(iterate, torch.device("cpu"))
        assert model.peak(kept, chunk) == pytest.approx(measured, rel=WITHIN), f"{kept} graphs, {chunk} at a time"


def test_memory_budget_limits_kept_graphs():
    config = setting("digits", "base_fc:8,16,32", 8, 16, 64)
    teacher = seeded_teacher(config, TASKS["digits"], 0)
    (model,) = outer_memories(config, teacher, StepPlan())

    def kept(budget):
        compute = dataclasses.replace(config.compute, memory_mib=budget / 2**20)
        return fitting_plan(dataclasses.replace(config, compute=compute), teacher, StepPlan()).keep_last_k

    assert kept(1 << 32) == 8
    assert 0 < kept(model.peak(5) + 1) <= 5
    assert kept(1) == 0


@pytest.mark.parametrize(
    ("told", "device", "free", "sharers", "mib"),
    [
        (None, "cpu", 100_000, 1, 4096),
        (None, "cpu", 1000, 2, 300),
        (50_000, "cpu", 100_000, 1, 50_000),
        (None, "cuda", 100_000, 1, 60_000),  # the whole GPU may be used
        (None, "cuda", 100_000, 2, 60_000),  # each of two GPUs
        (None, "cuda", 100_000, 3, 30_000),  # two processes on one of them
        (2048, "cuda", 100_000, 3, 2048),
    ],
)
def test_budget_follows_setting_free_memory_and_sharers(told, device, free, sharers, mib, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert memory_budget(told, torch.device(device), free << 20, sharers) == pytest.approx(mib << 20, abs=1)


def test_no_graph_is_kept_if_measuring_runs_out_of_memory(monkeypatch):
    def short(config, teacher, plan):
        raise MemoryError

    config = setting("digits", "base_fc:8,16,32", 8, 16, 64)
    monkeypatch.setattr(memory_use, "outer_memories", short)
    teacher = seeded_teacher(config, TASKS["digits"], 0)
    assert fitting_plan(config, teacher, StepPlan(keep_last_k=8, backend="forward")) == StepPlan(backend="forward")


CHILD = """
import json, sys
from pathlib import Path
from gtn_core.planning.plan import StepPlan
from gtn_sl.bench import outer_iteration, random_data
from gtn_sl.config import resolve_config
from gtn_sl.data import TASKS
from gtn_sl.memory_use import outer_memories
from gtn_sl.teacher import seeded_teacher

def status(field):
    return next(1024 * int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(field))

config, task = resolve_config("mnist", "fast", json.loads(sys.argv[2])), TASKS["mnist"]
plan = StepPlan(layout="channels_last", keep_last_k=int(sys.argv[1]))
iterate = outer_iteration(config, plan, random_data(task))
iterate()  # the libraries take what they need
Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
before = status("VmRSS")
iterate()
measured = status("VmHWM") - before
(model,) = outer_memories(config, seeded_teacher(config, task, 0), plan)
print(json.dumps([measured, model.peak(plan.keep_last_k)]))
"""

EXACT = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""Makes glibc return freed memory at once; by default it keeps pages, and how many depends on the order of calls."""


@pytest.mark.slow
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs a Linux that tells peaks of memory")
@pytest.mark.parametrize("kept", [0, 8])
def test_model_predicts_resident_memory_of_process(kept):
    layers = {
        "learner": {"architecture": "base_fc:16,32,64"},
        "inner": {"steps": 8, "batch_size": 128},
        "meta_loss": {"batch_size": 256},
        "outer": {"iterations": 1},
    }
    command = [sys.executable, "-W", "ignore", "-c", CHILD, str(kept), json.dumps(layers)]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **EXACT})
    assert run.returncode == 0, run.stderr
    measured, predicted = json.loads(run.stdout)
    assert predicted == pytest.approx(measured, rel=WITHIN)


SHORT_OF_MEMORY = """
import logging, resource, sys
from pathlib import Path
from gtn_core.planning.plan import StepPlan
from gtn_sl.bench import outer_iteration, random_data
from gtn_sl.config import resolve_config
from gtn_sl.data import TASKS
import json

logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
config, task = resolve_config("mnist", "fast", json.loads(sys.argv[1])), TASKS["mnist"]
data = random_data(task)
outer_iteration(config, StepPlan(layout="channels_last"), data)()
iterate = outer_iteration(config, StepPlan(layout="channels_last", keep_last_k=config.inner.steps), data)
mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (mapped + int(sys.argv[2]), resource.RLIM_INFINITY))
iterate()
iterate()
print("done")
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the address space as Linux does")
def test_outer_step_out_of_memory_continues_with_fewer_graphs():
    layers = {
        "learner": {"architecture": "base_fc:16,32,64"},
        "inner": {"steps": 8, "batch_size": 128},
        "meta_loss": {"batch_size": 128},
        "outer": {"iterations": 1},
    }
    command = [sys.executable, "-W", "ignore", "-c", SHORT_OF_MEMORY, json.dumps(layers), str(60 << 20)]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **EXACT})
    assert run.returncode == 0, run.stderr
    *told, last = run.stdout.splitlines()
    assert last == "done"
    assert told[0] == "episode 0: out of memory; now keeping the graphs of 4 steps instead of 8"
    assert len(told) == len(set(told)) <= 4  # no reduction is undone and made again
