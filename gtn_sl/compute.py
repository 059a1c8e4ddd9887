"""How a run computes: device, threads and the plan of its steps, as the user set them or as is fastest here."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import torch
from torch import Tensor

from gtn_core.device import resolve_device
from gtn_core.distributed import SingleProcess, World
from gtn_core.estimators import Backprop, EstimatorConfig
from gtn_core.planning.cache import default_cache
from gtn_core.planning.choice import choose_plan, choose_threads
from gtn_core.planning.plan import Probe, StepPlan, cosine, has_bfloat16_units
from gtn_core.run_folder import RunFolder
from gtn_core.second_order import Batch, InnerLoss
from gtn_core.step_gradient import StepGradient
from gtn_sl.config import MetaTrainConfig
from gtn_sl.data import TaskData
from gtn_sl.job import SupervisedJob
from gtn_sl.learners import Architecture
from gtn_sl.learners.pool import batched, has_one_shape, pool_families, side_by_side, widest
from gtn_sl.losses import inner_loss
from gtn_sl.memory_use import fitting_plan, reduced_plan
from gtn_sl.teacher import SupervisedTeacher

log = logging.getLogger(__name__)

SAME_DIRECTION = 0.98
"""Minimum cosine between the meta-gradients in bfloat16 and float32 for bfloat16 to be used."""


def with_compute(config: MetaTrainConfig, world: World) -> MetaTrainConfig:
    """Sets device and threads, and applies the latter; processes on one machine share its processors.

    Threads that the user gave are those of each process. If not given, a resumed run keeps the threads and sharers that
    it began with, whose product any number of processes divides.
    """
    compute, here = config.compute, world.local_size
    threads, sharers = (world.threads(), here) if compute.threads is None else (compute.threads, compute.sharers)
    torch.set_num_threads(max(1, threads * (sharers or here) // here))
    device = resolve_device(compute.device, here)
    compute = dataclasses.replace(compute, threads=threads, sharers=sharers, device=device)
    return dataclasses.replace(config, compute=compute)


def with_plan(config: MetaTrainConfig, data: TaskData, teacher: SupervisedTeacher, sharers: int) -> MetaTrainConfig:
    """Sets how steps are computed, as the user said or by a micro-benchmark; bfloat16 only if it passes ``trusted``."""
    plan = config.compute.plan
    if plan is None:
        probes = step_probes(config, teacher)
        plan = choose_plan(
            f"{' '.join(probes)} {config.compute.memory_mib or 'usual'} MiB",
            list(probes.values()),
            config.inner.steps,
            lambda plan: fitting_plan(config, teacher, plan, sharers=sharers),
            one_shape=has_one_shape(config.learner),
            cache=default_cache(),
        )
    if plan.precision == "bfloat16":
        plan = trusted(plan, config, data, teacher, sharers)
    return dataclasses.replace(config, compute=dataclasses.replace(config.compute, plan=plan))


def with_threads(config: MetaTrainConfig, teacher: SupervisedTeacher) -> MetaTrainConfig:
    """Sets and applies how many of this process's threads to use, by a micro-benchmark; changes nothing on a GPU."""
    most, plan = torch.get_num_threads(), config.compute.plan
    if most == 1 or plan is None or not config.compute.device.startswith("cpu"):
        return config
    probes = step_probes(config, teacher)
    threads = choose_threads(" ".join(probes), list(probes.values()), plan, most, cache=default_cache())
    torch.set_num_threads(threads)
    return dataclasses.replace(config, compute=dataclasses.replace(config.compute, threads=threads))


def as_this_device_can(
    config: MetaTrainConfig, teacher: SupervisedTeacher, before: str, sharers: int = 1
) -> MetaTrainConfig:
    """Returns a resumed run's settings; on another kind of device, with a plan that fits its units and memory.

    Args:
        config: The settings, with the device that is used now.
        teacher: The teacher, on that device.
        before: The device that the run has used until now.
        sharers: Processes that share this machine's memory.
    """
    compute, device = config.compute, torch.device(config.compute.device)
    if compute.plan is None or torch.device(before).type == device.type:
        return config
    plan = compute.plan
    if device.type != "cuda":
        plan = dataclasses.replace(plan, execution="eager")
    if not has_bfloat16_units(device):
        plan = dataclasses.replace(plan, precision="float32")
    plan = reduced_plan(config, teacher, plan, sharers=sharers)
    log.info("plan: %s, on %s (the run was on %s)", plan.describe(), device, before)
    return dataclasses.replace(config, compute=dataclasses.replace(compute, plan=plan))


def step_probes(config: MetaTrainConfig, teacher: SupervisedTeacher) -> dict[str, Probe]:
    """Returns builders of the steps that the micro-benchmark times, on the first batch, one per learner of the pool."""
    families = dict(pool_families(config.learner))
    with torch.no_grad():
        batch = teacher.batch(0)
    return {name: _probe(family, config, teacher, batch) for name, family in families.items()}


def _probe(family: Architecture, config: MetaTrainConfig, teacher: SupervisedTeacher, batch: Batch) -> Probe:
    device, form = torch.device(config.compute.device), widest(family, config.learner)

    def probe(plan: StepPlan) -> tuple[InnerLoss, Tensor, Batch]:
        learner, phi = family.fresh(teacher.task, 0, plan.layout, form)
        return inner_loss(learner, plan), batched([phi] * side_by_side(family, config.learner)).to(device), batch

    return probe


def trusted(
    plan: StepPlan, config: MetaTrainConfig, data: TaskData, teacher: SupervisedTeacher, sharers: int
) -> StepPlan:
    """Returns the plan, or its float32 version if bfloat16 makes the meta-gradient diverge or change direction."""
    exact = reduced_plan(config, teacher, dataclasses.replace(plan, precision="float32"), sharers=sharers)
    gradients = []
    for candidate in (plan, exact):
        job = SupervisedJob(config, data, teacher, candidate, RunFolder(Path()))
        estimator, parameters = Backprop(EstimatorConfig(plan=candidate)), teacher.trained()
        step = StepGradient(teacher, parameters, job, estimator, SingleProcess(), 1)
        if not step.leave(0, 0.0, lambda: 0.0).good:
            log.warning("the %s meta-gradient diverges", candidate.precision)
            return exact
        gradients.append([p.grad.clone() for p in parameters if p.grad is not None])
    teacher.zero_grad()
    similarity = cosine(*gradients)
    if similarity >= SAME_DIRECTION:
        log.info("bfloat16: cosine %.4f with the float32 meta-gradient; using bfloat16", similarity)
        return plan
    log.warning("bfloat16: cosine %.4f with the float32 meta-gradient; using float32 instead", similarity)
    return exact
