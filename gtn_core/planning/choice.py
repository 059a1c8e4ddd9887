"""Chooses the fastest plan on this machine by a cached micro-benchmark, and says why it won."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gtn_core.config import config, resolve, to_dict
from gtn_core.errors import UsageError
from gtn_core.learner import Layout
from gtn_core.memory.allocation import is_out_of_memory
from gtn_core.planning.cache import add_to_cache, cache_key, read_cache
from gtn_core.planning.execution import step_calls
from gtn_core.planning.plan import Precision, Probe, StepPlan, has_bfloat16_units
from gtn_core.planning.timing import fastest
from gtn_core.second_order import Backend, Batch, InnerLoss

log = logging.getLogger(__name__)

SAME_MEMORY = 0.25
"""A remembered choice holds while the number of graphs that can be kept has changed by no more than this share of T."""

Fits = Callable[[StepPlan], StepPlan]
"""Returns a plan with as many graphs kept, and as many real samples judged at a time, as the memory holds."""


@dataclass(frozen=True)
class TimedPlan:
    """The result of the micro-benchmark for one plan.

    Attributes:
        plan: How a step was computed.
        seconds: Time of a step and its adjoint, including their share of what is prepared anew for every inner loop,
            summed over the probes; infinite if they cannot be computed this way. The mean over the inner loop, if some
            steps keep their graphs and others do not.
    """

    plan: StepPlan
    seconds: float

    def describe(self) -> str:
        """Returns the plan and its time in a few words."""
        cost = f"{1e3 * self.seconds:.0f} ms" if math.isfinite(self.seconds) else "impossible"
        return f"{self.plan.describe()} {cost}"


@config
class Choice:
    """What is remembered about a micro-benchmark."""

    plan: StepPlan
    """The fastest plan."""
    kept: int
    """Number of graphs that could be kept when the plan was chosen; with 0, keeping them was not timed."""


def choose_plan(
    name: str, probes: Sequence[Probe], steps: int, fits: Fits, *, one_shape: bool = False, cache: Path | None = None
) -> StepPlan:
    """Times one step and its adjoint under every plan and returns the fastest.

    Args:
        name: What is timed and for which budget; part of the key under which a choice is remembered.
        probes: Build the steps to time, e.g. one for each learner that may be drawn; the sum of their times decides.
        steps: T.
        fits: Adapts a plan to the memory.
        one_shape: Whether all learners have the same shape, so that compiling, which is slow, happens once.
        cache: File that remembers choices per machine, torch version, thread count and size of the step; ``None`` for
            none.

    Returns:
        The fastest plan; why it won is logged. What the memory allows of it is determined anew each time, and the plan
        is chosen anew if that has changed much.
    """
    usual = [probe(StepPlan()) for probe in probes]
    key = cache_key(name, [(phi, batch) for _, phi, batch in usual], steps, one_shape)
    known = _remembered(read_cache(cache).get(key))
    if known is not None:
        fitting = fits(known.plan)
        if abs(fitting.keep_last_k - known.kept) <= SAME_MEMORY * steps:
            plan = settled(known, fitting)
            log.info("plan: %s (cached in %s)", plan.describe(), cache)
            return plan
    kept = fits(StepPlan()).keep_last_k
    timed = compare_plans(probes, steps, kept, one_shape=one_shape)
    choice = Choice(plan=timed[0].plan, kept=kept)
    plan = settled(choice, fits(choice.plan))
    log.info("plan: %s", reason(plan, timed))
    add_to_cache(cache, key, to_dict(choice))
    return plan


def choose_threads(name: str, probes: Sequence[Probe], plan: StepPlan, most: int, *, cache: Path | None = None) -> int:
    """Times one step and its adjoint on 1, 2, 4 and so on CPU threads, and returns the fastest number of them.

    Args:
        name: See ``choose_plan``.
        probes: See ``choose_plan``.
        plan: How the steps are computed.
        most: Maximum number of threads, which is also the current one.
        cache: See ``choose_plan``.
    """
    built = [probe(plan) for probe in probes]
    way = (plan.layout, plan.precision, plan.backend, plan.execution, plan.keep_last_k > 0)
    key = cache_key(f"threads {name}", [(phi, batch) for _, phi, batch in built], way)
    known = read_cache(cache).get(key)
    if isinstance(known, dict) and known.get("threads") in range(1, most + 1):
        threads = int(known["threads"])
        log.info("threads: %d of %d (cached in %s)", threads, most, cache)
        return threads
    seconds: dict[int, float] = {}
    try:
        for threads in [*(1 << n for n in range((most - 1).bit_length())), most]:
            torch.set_num_threads(threads)
            seconds[threads] = sum(_seconds_of_step(*step, plan) for step in built)
    finally:
        torch.set_num_threads(most)
    best = min(seconds, key=lambda threads: seconds[threads])
    times = ", ".join(f"{1e3 * taken:.0f} ms on {threads}" for threads, taken in seconds.items())
    log.info("threads: %d of %d; a step and its adjoint: %s", best, most, times)
    add_to_cache(cache, key, {"threads": best})
    return best


def _remembered(entry: object) -> Choice | None:
    """Returns a cache entry as a choice; ``None`` if there is none, or if it is damaged or of another version."""
    with contextlib.suppress(UsageError):
        return resolve(Choice, entry) if isinstance(entry, dict) else None
    return None


def compare_plans(
    probes: Sequence[Probe],
    steps: int,
    kept: int,
    *,
    precisions: Sequence[Precision] | None = None,
    one_shape: bool = False,
) -> list[TimedPlan]:
    """Times one step and its adjoint under every plan.

    Args:
        probes: See ``choose_plan``.
        steps: T.
        kept: Number of graphs that can be kept, of T; with 0, keeping them is not timed.
        precisions: Precisions to try; ``None`` for those that the device has units for.
        one_shape: See ``choose_plan``.

    Returns:
        The timed plans, fastest first.
    """
    device = probes[0](StepPlan())[1].device
    plans = _candidates(device, precisions)
    timed = [_timed(probes, plan) for plan in plans]
    if kept:
        timed += [_keeping(probes, each, kept, steps) for each in timed if each.plan.backend == "reverse"]
    if device.type == "cuda":
        anew = None if one_shape else steps
        timed += [_timed(probes, dataclasses.replace(plan, execution="captured"), anew) for plan in plans]
    if device.type == "cuda" and one_shape:
        best = min(timed, key=lambda each: each.seconds).plan
        timed.append(_timed(probes, dataclasses.replace(best, execution="compiled", keep_last_k=0)))
    return sorted(timed, key=lambda each: each.seconds)


def settled(choice: Choice, fitting: StepPlan) -> StepPlan:
    """Returns the fastest plan as it fits the memory, with graphs kept if it can use them and keeping did not lose."""
    best = choice.plan
    able = best.execution == "eager" and best.backend == "reverse"
    wanted = best.keep_last_k or not choice.kept
    return fitting if able and wanted else dataclasses.replace(fitting, keep_last_k=0)


def reason(plan: StepPlan, timed: Sequence[TimedPlan]) -> str:
    """Returns a description of the winning plan and its time, and of the runners-up."""
    losers = ", ".join(each.describe() for each in timed[1:4])
    won = f"{plan.describe()}, {1e3 * timed[0].seconds:.0f} ms for a step and its adjoint"
    return f"{won}; next: {losers}" if losers else won


def _candidates(device: torch.device, precisions: Sequence[Precision] | None) -> list[StepPlan]:
    precisions = precisions or (["float32", "bfloat16"] if has_bfloat16_units(device) else ["float32"])
    layouts: list[Layout] = ["contiguous", "channels_last"]
    backends: list[Backend] = ["reverse", "forward"]
    return [
        StepPlan(layout=layout, precision=precision, backend=backend)
        for precision in precisions
        for layout in layouts
        for backend in backends
    ]


def _timed(probes: Iterable[Probe], plan: StepPlan, anew: int | None = None) -> TimedPlan:
    """Times a step and its adjoint, summed over the probes; ``anew`` is T if every inner loop prepares its own calls."""
    try:
        if anew:
            return TimedPlan(plan, sum(_seconds_with_preparation(probe, plan, anew) for probe in probes))
        return TimedPlan(plan, sum(_seconds_of_step(*probe(plan), plan) for probe in probes))
    except NotImplementedError:  # e.g. forward-mode differentiation of a user's learner
        return TimedPlan(plan, math.inf)
    except Exception as error:
        if plan.execution == "eager" and not is_out_of_memory(error):
            raise
        log.info("plan: skipping %s: %s", plan.describe(), " ".join(str(error).split())[:200])
        return TimedPlan(plan, math.inf)


def _keeping(probes: Sequence[Probe], rebuilt: TimedPlan, kept: int, steps: int) -> TimedPlan:
    """Times a plan with the last ``kept`` of ``steps`` graphs kept, given its time where every graph is made anew."""
    keeping = _timed(probes, dataclasses.replace(rebuilt.plan, keep_last_k=kept))
    rest = (steps - kept) * rebuilt.seconds if kept < steps else 0.0
    return dataclasses.replace(keeping, seconds=(kept * keeping.seconds + rest) / steps)


def _seconds_of_step(loss: InnerLoss, phi: Tensor, batch: Batch, plan: StepPlan) -> float:
    """Returns the seconds of a step and its adjoint, the fastest of a few runs."""
    calls, direction = step_calls(loss, plan.execution), torch.ones_like(phi)

    def step_and_adjoint() -> None:
        step = calls.first(phi, batch, keep=plan.keep_last_k > 0)
        calls.second(phi, batch, direction, (), None, plan.backend, step)

    return fastest(step_and_adjoint, phi.device, repeats=3, limit=math.inf)


def _seconds_with_preparation(probe: Probe, plan: StepPlan, steps: int) -> float:
    """Returns the seconds per step of whole inner loops, each with a new loss for which everything is prepared anew."""
    fresh = [probe(plan) for _ in range(3)]  # one of them is a warm-up

    def inner_loop() -> None:
        loss, phi, batch = fresh.pop()
        calls, direction = step_calls(loss, plan.execution), torch.ones_like(phi)
        for _ in range(steps):
            calls.first(phi, batch)
        for _ in range(steps):
            calls.second(phi, batch, direction, (), None, plan.backend, None)

    return fastest(inner_loop, fresh[0][1].device, repeats=len(fresh) - 1, limit=math.inf) / steps
