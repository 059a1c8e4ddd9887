"""Time to solve a real task, for agents trained in a learned environment and for agents trained on the task itself.

Both sides use the same algorithms with default settings and the same seeds, and are tested on the real task after the
same numbers of steps by the same rule. Each side is then represented by its own fastest algorithm.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

import click
import numpy as np

from gtn_rl.environments import Environment
from gtn_rl.sb3.algorithms import algorithm, require_fit
from gtn_rl.tasks import SOLVED
from gtn_rl.transfer.real_returns import RealTask, acting
from gtn_rl.transfer.training import Stop, make_agent, train
from gtn_rl.transfer.zoo import Settings

Runs = list[dict[str, Any]]
"""One run for each seed: ``seed``, ``wall`` and ``cpu`` seconds, ``steps``, ``return`` and ``solved``."""

FIRST, GROWTH = 250, 1.25  # first number of steps after which agents are tested, and the factor to the next


class Stopwatch:
    """Measures wall-clock and CPU seconds since its creation, excluding pauses."""

    def __init__(self) -> None:
        self._began = self._now()

    def read(self) -> dict[str, float]:
        """Returns the seconds so far."""
        wall, cpu = (self._now() - self._began).tolist()
        return {"wall": wall, "cpu": cpu}

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Pauses the stopwatch within the block."""
        before = self._now()
        yield
        self._began += self._now() - before

    def _now(self) -> np.ndarray:
        return np.array([time.perf_counter(), time.process_time()])


def require_raceable(real: Environment, algorithms: Sequence[str]) -> None:
    """Checks that a task has a threshold and that the algorithms support its actions.

    Raises:
        click.UsageError: The return from which the task counts as solved is not known.
        UsageError: An algorithm is unknown, or does not support the task's actions.
    """
    if real.id not in SOLVED:
        raise click.UsageError(f"no return is known from which {real.id} counts as solved; known: {', '.join(SOLVED)}")
    for name in algorithms:
        require_fit(algorithm(name), real.action_space, real.name)


def race(synthetic: Environment, real: Environment, settings: dict[str, Any]) -> dict[str, Any]:
    """Trains one agent per algorithm, seed and side, alternating between the sides.

    A run is cut off once it has taken longer than every run of the side's fastest algorithm that solves the task; the
    medians can still be compared.

    Args:
        synthetic: The learned environment.
        real: Its real task.
        settings: ``algo`` (names), ``seeds``, ``limit`` (steps) and ``episodes`` (per test).

    Returns:
        ``runs`` by side and algorithm; the ``fastest`` algorithm by side; the ``medians`` of its runs and their
        ``ratios`` (real / learned); ``by_algorithm``, the ratio of median wall times; the ``threshold``; and by side,
        whether most of the fastest algorithm's runs ``solved`` the task.
    """
    judge, stops = RealTask(real.id, settings["episodes"]), numbers_of_steps(settings["limit"])
    sides = {"synthetic": synthetic, "real": real}
    runs: dict[str, dict[str, Runs]] = {side: {} for side in sides}
    for name in settings["algo"]:
        train_agent(synthetic, stops[:1], judge, name, 0)  # warm-up, which pays for imports
        cutoffs = {side: longest_of_fastest(found) for side, found in runs.items()}
        for seed in range(settings["seeds"]):
            for side, env in sides.items():
                run = train_agent(env, stops, judge, name, seed, cutoffs[side])
                runs[side].setdefault(name, []).append(run)
    fastest = {side: fastest_of(found) for side, found in runs.items()}
    best = {side: runs[side][name] for side, name in fastest.items()}
    keys = ("wall", "cpu", "steps", "return")
    medians = {side: {key: median(run[key] for run in found) for key in keys} for side, found in best.items()}
    ratios = {key: medians["real"][key] / medians["synthetic"][key] for key in keys[:3]}
    return {
        "threshold": SOLVED[real.id],
        "runs": runs,
        "fastest": fastest,
        "medians": medians,
        "ratios": ratios,
        "by_algorithm": {
            name: median_wall(runs["real"][name]) / median_wall(runs["synthetic"][name]) for name in runs["real"]
        },
        "solved": {side: solves(found) for side, found in best.items()},
    }


def numbers_of_steps(limit: int) -> list[int]:
    """Returns the numbers of steps after which agents are tested, each 25% larger than the last, up to ``limit``."""
    stops = [FIRST]
    while stops[-1] * GROWTH < limit:
        stops.append(int(stops[-1] * GROWTH))
    return [*(stop for stop in stops if stop < limit), limit]


def solves(runs: Runs) -> bool:
    """Returns whether more than half of the runs solved the task, so that the median time is that of a solved one."""
    return sum(run["solved"] for run in runs) > len(runs) / 2


def median_wall(runs: Runs) -> float:
    """Returns the median wall-clock seconds of the runs."""
    return float(median(run["wall"] for run in runs))


def fastest_of(found: dict[str, Runs]) -> str:
    """Returns the algorithm with the lowest median time, among those that solve the task if there are any."""
    return min(found, key=lambda name: (not solves(found[name]), median_wall(found[name])))


def longest_of_fastest(found: dict[str, Runs]) -> float:
    """Returns the longest run of a side's fastest algorithm so far, in seconds; infinity if none solves the task."""
    name = fastest_of(found) if found else None
    return max(run["wall"] for run in found[name]) if name and solves(found[name]) else float("inf")


def train_agent(
    env: Environment, stops: list[int], judge: RealTask, algo: str, seed: int, cutoff: float = float("inf")
) -> dict[str, Any]:
    """Trains a fresh agent, including ``gym.make``, until it solves the task at a stop, the last stop or the cut-off.

    Args:
        env: Environment to train in.
        stops: Numbers of steps after which the agent is tested.
        judge: The real task.
        algo: Name of the algorithm, from Stable-Baselines3 with default settings.
        seed: Seed of the agent, the environment and the test episodes.
        cutoff: Wall-clock seconds after which training ends at the next stop.

    Returns:
        A run, see ``Runs``; its seconds exclude testing.
    """
    watch, last = Stopwatch(), dict[str, Any]()
    agent = make_agent(algorithm(algo), env, Settings(), seed)

    def visit(stop: Stop) -> bool:
        last.update(watch.read(), steps=stop.taken)
        with watch.paused():
            act = acting(agent, deterministic=True, seed=seed)
            last["return"] = float(judge.returns(act, 1_000_003 * (seed + 1) + stop.taken).mean())
        last["solved"] = last["return"] >= SOLVED[judge.task]
        return not last["solved"] and last["wall"] < cutoff

    train(agent, stops, visit, whole_rollouts=True)
    training = agent.get_env()
    if training is not None:
        training.close()
    return {"seed": seed, **last}
