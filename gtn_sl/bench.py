"""How fast an outer step is on this machine, compared with the machine's limits and with other methods.

Images are random: time does not depend on their content, and nothing has to be downloaded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gtn_core.distributed import SingleProcess
from gtn_core.estimators import ESTIMATORS, EstimatorConfig
from gtn_core.memory.allocation import is_out_of_memory
from gtn_core.memory.peak import peak_bytes
from gtn_core.outer_loop import outer_optimizer
from gtn_core.planning.ceilings import Ceilings, full_float32, measure_ceilings
from gtn_core.planning.choice import Choice, TimedPlan, compare_plans, reason, settled
from gtn_core.planning.counting import Count, count
from gtn_core.planning.plan import Precision, StepPlan
from gtn_core.planning.timing import fastest
from gtn_core.run_folder import RunFolder
from gtn_core.step_gradient import StepGradient
from gtn_sl.compute import step_probes
from gtn_sl.config import MetaTrainConfig
from gtn_sl.data import ImageTask, Split, TaskData, find_task
from gtn_sl.job import SupervisedJob
from gtn_sl.memory_use import fitting_plan
from gtn_sl.peers import METHODS, Method, Task, Work, missing_package
from gtn_sl.peers.methods import adjoint
from gtn_sl.teacher import seeded_teacher

IMAGES = 2048
"""Number of random images that stand in for the real ones."""

PEERS = ("autograd", "checkpoint", "higher", "torchopt")

SHORT = {"float32": "fp32", "bfloat16": "bf16"}


@dataclass(frozen=True)
class Roofline:
    """An outer step compared with the machine's ceilings.

    Attributes:
        seconds: Time of one outer step.
        work: Arithmetic and memory traffic of one outer step.
        ceilings: What the machine can do per second.
    """

    seconds: float
    work: Count
    ceilings: Ceilings

    @property
    def flops_share(self) -> float:
        """Arithmetic per second, as a share of the ceiling."""
        return self.work.flops / self.seconds / self.ceilings.flops

    @property
    def bytes_share(self) -> float:
        """Bytes moved per second, as a share of the ceiling."""
        return self.work.bytes / self.seconds / self.ceilings.bytes

    @property
    def gap(self) -> float:
        """Time taken, relative to the slower of arithmetic and memory traffic, each alone at its ceiling."""
        return 1 / max(self.flops_share, self.bytes_share)


@dataclass(frozen=True)
class MethodTime:
    """Cost of one meta-gradient by one method.

    Attributes:
        method: Name of the method.
        seconds: Time; ``None`` if there is no figure.
        peak_mib: Peak increase in the memory of tensors, in MiB; ``None`` if there is no figure.
        note: Why there are no figures.
    """

    method: str
    seconds: float | None = None
    peak_mib: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Bench:
    """Results for one precision.

    Attributes:
        precision: The precision.
        plan: The fastest plan.
        reason: Why it won.
        timed_plans: The plans that were timed, fastest first.
        outer: An outer step.
        methods: The meta-gradient alone, ours first.
    """

    precision: Precision
    plan: StepPlan
    reason: str
    timed_plans: list[TimedPlan]
    outer: Roofline
    methods: list[MethodTime]

    def to_json(self) -> dict[str, Any]:
        """Returns all figures, including the shares of the ceilings and each method's time relative to ours."""
        ours = self.methods[0].seconds
        ratios = {m.method: m.seconds / ours for m in self.methods if m.seconds and ours}
        shares = {name: getattr(self.outer, name) for name in ("flops_share", "bytes_share", "gap")}
        return {**dataclasses.asdict(self), "outer": {**dataclasses.asdict(self.outer), **shares}, "ratios": ratios}


def run_bench(
    config: MetaTrainConfig,
    precisions: Sequence[Precision],
    *,
    side: int,
    copy_mib: int,
    advance: Callable[[str], object] = lambda what: None,
) -> Iterator[Bench]:
    """Measures an outer step in each precision, with TF32 disabled throughout.

    Args:
        config: Settings of the meta-training; its learner must be one function, of fixed widths and depth.
        precisions: The precisions to measure.
        side: Rows and columns of the square matrices multiplied to find the arithmetic ceiling.
        copy_mib: Size of the buffer copied to find the bandwidth ceiling, in MiB.
        advance: Called with a description of each measurement before it starts.

    Yields:
        One result per precision.
    """
    device, task = torch.device(config.compute.device), find_task(config.task)
    data = random_data(task)
    for precision in precisions:
        with full_float32():
            advance(f"{SHORT[precision]}: plans")
            timed_plans, plan = _chosen(config, task, precision)
            advance(f"{SHORT[precision]}: ceilings")
            ceilings = measure_ceilings(device, getattr(torch, precision), side=side, mib=copy_mib)
            advance(f"{SHORT[precision]}: outer iteration")
            iterate = outer_iteration(config, plan, data)
            work = count(outer_iteration(config, dataclasses.replace(plan, execution="eager"), data))
            outer = Roofline(fastest(iterate, device, limit=4.0), work, ceilings)
            advance(f"{SHORT[precision]}: other methods")
            methods = list(_methods(config, plan, task))
        yield Bench(precision, plan, reason(plan, timed_plans), timed_plans, outer, methods)


def random_data(task: ImageTask) -> TaskData:
    """Returns a task's data with random images and labels instead of the real ones."""
    random = torch.Generator().manual_seed(0)
    images = torch.randint(256, (IMAGES, *task.image_shape), generator=random, dtype=torch.uint8)
    split = Split(images, torch.randint(task.classes, (IMAGES,), generator=random))
    return TaskData(task, split, split, split)


def outer_iteration(config: MetaTrainConfig, plan: StepPlan, data: TaskData) -> Callable[[], None]:
    """Returns a function that takes one outer step: fresh learners, inner loops, meta-gradient and outer optimizer."""
    teacher = seeded_teacher(config, data.task, config.seed).to(config.compute.device)
    job = SupervisedJob(config, data, teacher, plan, RunFolder(Path()))
    estimator = ESTIMATORS["backprop"](EstimatorConfig(plan=plan))
    gradient = StepGradient(teacher, teacher.trained(), job, estimator, SingleProcess(), config.outer.accumulate)
    optimizer = outer_optimizer([{"params": teacher.trained()}], config.outer)

    def iterate() -> None:
        gradient.leave(0, 0.0, lambda: 0.0)
        optimizer.step()

    return iterate


def _chosen(config: MetaTrainConfig, task: ImageTask, precision: Precision) -> tuple[list[TimedPlan], StepPlan]:
    """Returns all plans of a precision, timed, and the fastest one as the memory allows it."""
    teacher = seeded_teacher(config, task, config.seed).to(config.compute.device)
    probes, steps = list(step_probes(config, teacher).values()), config.inner.steps

    def fits(plan: StepPlan) -> StepPlan:
        return fitting_plan(config, teacher, plan)

    kept = fits(StepPlan(precision=precision)).keep_last_k
    timed_plans = compare_plans(probes, steps, kept, precisions=[precision], one_shape=True)
    best = timed_plans[0].plan
    return timed_plans, settled(Choice(plan=best, kept=kept), fits(best))


def _methods(config: MetaTrainConfig, plan: StepPlan, task: ImageTask) -> Iterator[MethodTime]:
    """Yields the meta-gradient's cost by our plan, then by each peer in contiguous layout, as its users run it."""
    inner = config.inner
    work = Task(
        "ours",
        config.learner.architecture,
        "named",
        inner.steps,
        inner.batch_size,
        SHORT[plan.precision],
        plan.layout,
        image=task.image_shape,
        device=config.compute.device,
        real=config.meta_loss.batch_size,
    )
    ours = partial(adjoint, backend=plan.backend, execution=plan.execution)
    yield _timed(work, Method(partial(ours, keep=plan.keep_last_k), ours=True))
    if plan.keep_last_k:
        yield _timed(dataclasses.replace(work, method="ours, no graph kept"), Method(partial(ours, keep=0), ours=True))
    for name in PEERS:
        package = missing_package(name)
        if package is not None:
            yield MethodTime(name, note=f"not installed: pip install {package}")
        else:
            yield _timed(dataclasses.replace(work, method=name, layout="contiguous"), METHODS[name])


def _timed(task: Task, method: Method) -> MethodTime:
    device = torch.device(task.device)
    work = Work(task, shared_momentum=method.shared_momentum)
    try:
        peak = peak_bytes(lambda: method.run(work), device)  # also the warm-up
        seconds = fastest(lambda: method.run(work), device, repeats=2, limit=2.0, warm=True)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return MethodTime(task.method, note="out of memory")
    return MethodTime(task.method, seconds, peak / (1 << 20))
