"""Memory that an outer step of a supervised meta-training needs, by ``gtn_core.planning.memory_model``."""

from __future__ import annotations

import dataclasses
import logging
import math

import torch
from torch import Tensor

from gtn_core.memory.allocation import available_bytes, is_out_of_memory, release_memory
from gtn_core.memory.peak import peak_bytes
from gtn_core.planning.memory_model import SPARE, OuterMemory, fit, measure_judge, measure_step
from gtn_core.planning.plan import StepPlan
from gtn_core.second_order import Batch, first_order
from gtn_sl.config import MetaTrainConfig
from gtn_sl.learners import Architecture
from gtn_sl.learners.pool import batched, pool_families, side_by_side, widest
from gtn_sl.losses import inner_loss, real_loss
from gtn_sl.teacher import SupervisedTeacher

log = logging.getLogger(__name__)

CPU_MIB = 4096.0
"""Default limit on an outer step's main memory, which other programs need, too."""


def fitting_plan(config: MetaTrainConfig, teacher: SupervisedTeacher, plan: StepPlan, *, sharers: int = 1) -> StepPlan:
    """Returns the plan with as many graphs kept, and as many real images judged at a time, as the memory holds.

    Args:
        config: The meta-training. An outer step may use ``compute.memory_mib`` at most, and a share of what is free.
        teacher: The teacher, on the device where it will be trained.
        plan: How steps are computed.
        sharers: Processes on this machine, which share its memory, and its GPUs if there are fewer of them.
    """
    device = torch.device(config.compute.device)
    budget = memory_budget(config.compute.memory_mib, device, available_bytes(device), sharers)
    try:
        memories = outer_memories(config, teacher, plan)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        log.info("plan: not enough memory to measure even one step, so no graph is kept")
        release_memory()
        return dataclasses.replace(plan, keep_last_k=0)
    return fit(memories, plan, budget)


def memory_budget(told: float | None, device: torch.device, free: int | None, sharers: int) -> int:
    """Returns the number of bytes that an outer step may use.

    Args:
        told: MiB that the user allows; ``None`` for the device's default.
        device: Device that is computed on.
        free: Bytes free on it; ``None`` if unknown.
        sharers: Processes on this machine.
    """
    on_gpu = device.type == "cuda"
    share = math.ceil(sharers / torch.cuda.device_count()) if on_gpu else sharers
    most = math.inf if told is None and on_gpu and free is not None else told or CPU_MIB
    return int(min(most * (1 << 20), math.inf if free is None else SPARE * free / share))


def reduced_plan(config: MetaTrainConfig, teacher: SupervisedTeacher, plan: StepPlan, *, sharers: int = 1) -> StepPlan:
    """Returns the plan with fewer graphs kept, or fewer real images judged at a time, if memory does not hold as many.

    Arguments are those of ``fitting_plan``.
    """
    fitting = fitting_plan(config, teacher, plan, sharers=sharers)
    kept = min(plan.keep_last_k, fitting.keep_last_k)
    return dataclasses.replace(plan, keep_last_k=kept, judge_chunk=fitting.judge_chunk or plan.judge_chunk)


def outer_memories(config: MetaTrainConfig, teacher: SupervisedTeacher, plan: StepPlan) -> list[OuterMemory]:
    """Measures the memory of an outer step, with the widest learner of each family of the pool."""
    made = _teacher_bytes(teacher)
    families = dict(pool_families(config.learner)).values()
    return [_outer_memory(family, config, teacher, plan, made) for family in families]


def _outer_memory(
    family: Architecture, config: MetaTrainConfig, teacher: SupervisedTeacher, plan: StepPlan, made: int
) -> OuterMemory:
    learner, phi = family.fresh(teacher.task, 0, plan.layout, widest(family, config.learner))
    phi = batched([phi] * side_by_side(family, config.learner)).to(config.compute.device)
    with torch.no_grad():
        batch = teacher.batch(0)
    loss = inner_loss(learner, plan)
    statistics = first_order(loss, phi, batch).statistics
    sizes = config.meta_loss.sizes(config.inner.steps).values()
    real = _real_batch(max(sizes), teacher)
    fixed, each = measure_judge(real_loss(learner, plan), phi, statistics, real)
    sample = sum(tensor[:1].nbytes for tensor in real)
    theta = sum(parameter.nbytes for parameter in teacher.trained())
    return OuterMemory(
        measure_step(loss, teacher.optimizer.bind(learner, phi), phi, batch, plan),
        config.inner.steps,
        base=sum(sizes) * sample + theta + 2 * phi.nbytes,
        theta=theta,
        teacher=made,
        judge_fixed=fixed,
        judge_sample=each,
        samples=max(sizes),
    )


def _teacher_bytes(teacher: SupervisedTeacher) -> int:
    def again() -> object:
        parts: list[Tensor] = [part for part in teacher.batch(0) if part.requires_grad]
        ones = [torch.ones_like(part) for part in parts]
        return torch.autograd.grad(parts, teacher.trained(), ones, allow_unused=True) if parts else None

    return peak_bytes(again, teacher.inner_schedule.log_lr.device)


def _real_batch(samples: int, teacher: SupervisedTeacher) -> Batch:
    """Returns a batch of zeros to judge a learner by; at least two samples, so that half of it can be judged."""
    samples, device = max(2, samples), teacher.inner_schedule.log_lr.device
    images = torch.zeros(samples, *teacher.task.image_shape, device=device)
    return images, torch.zeros(samples, dtype=torch.int64, device=device)
