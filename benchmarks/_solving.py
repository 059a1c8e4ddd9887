"""How long agents take to solve a real task: those trained in a learned environment, and those trained on the task itself.

Both sides are handled alike: the same algorithms with their default settings, the same seeds, stopped after the same
numbers of steps and judged by the same rule on the real task. Each side is then represented by its own fastest algorithm.
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

FIRST, GROWTH = 250, 1.25  # of the numbers of steps after which agents are judged


class Stopwatch:
    """Wall-clock and processor seconds since it was made, without its pauses."""

    def __init__(self) -> None:
        self._began = self._now()

    def read(self) -> dict[str, float]:
        """Returns the seconds so far."""
        wall, cpu = (self._now() - self._began).tolist()
        return {"wall": wall, "cpu": cpu}

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stands still within the block."""
        before = self._now()
        yield
        self._began += self._now() - before

    def _now(self) -> np.ndarray:
        return np.array([time.perf_counter(), time.process_time()])


def require_raceable(real: Environment, algorithms: Sequence[str]) -> None:
    """Refuses what cannot be raced: a task of which nobody knows when it is solved, or agents that do not take its actions.

    Raises:
        click.UsageError: The task's threshold is not known.
        UsageError: An algorithm is unknown, or does not fit.
    """
    if real.id not in SOLVED:
        raise click.UsageError(f"no return is known from which {real.id} counts as solved; known: {', '.join(SOLVED)}")
    for name in algorithms:
        require_fit(algorithm(name), real.action_space, real.name)


def race(synthetic: Environment, real: Environment, settings: dict[str, Any]) -> dict[str, Any]:
    """Trains one agent per algorithm, seed and side, the sides in turns.

    An algorithm that could no longer be its side's fastest, since a run of it has taken longer than every run of one that
    solves the task, is cut off in that run: its median can still be compared.

    Args:
        synthetic: The learned environment.
        real: Its task.
        settings: ``algo`` (names), ``seeds``, ``limit`` (steps) and ``episodes`` (of a judgement).

    Returns:
        ``runs`` by side and algorithm, ``fastest`` algorithm by side, ``medians`` of their runs, ``ratios`` of these (real /
        learned), ``by_algorithm`` the ratio of median wall times, the ``threshold``, and whether most of the fastest
        algorithm's runs ``solved`` the task, by side.
    """
    judge, stops = RealTask(real.id, settings["episodes"]), numbers_of_steps(settings["limit"])
    sides = {"synthetic": synthetic, "real": real}
    runs: dict[str, dict[str, Runs]] = {side: {} for side in sides}
    for name in settings["algo"]:
        train_agent(synthetic, stops[:1], judge, name, 0)  # a first agent pays for imports
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
    """Returns after how many steps agents are judged, each number a quarter more than the one before, up to a limit."""
    stops = [FIRST]
    while stops[-1] * GROWTH < limit:
        stops.append(int(stops[-1] * GROWTH))
    return [*(stop for stop in stops if stop < limit), limit]


def solves(runs: Runs) -> bool:
    """Says whether more than half of the runs solved the task, so that their median time is that of a solved one."""
    return sum(run["solved"] for run in runs) > len(runs) / 2


def median_wall(runs: Runs) -> float:
    """Returns the median time of a run."""
    return float(median(run["wall"] for run in runs))


def fastest_of(found: dict[str, Runs]) -> str:
    """Returns the algorithm with the lowest median time, among those that solve the task if there is one."""
    return min(found, key=lambda name: (not solves(found[name]), median_wall(found[name])))


def longest_of_fastest(found: dict[str, Runs]) -> float:
    """Returns the longest time of a side's fastest algorithm so far; infinity if none solves the task."""
    name = fastest_of(found) if found else None
    return max(run["wall"] for run in found[name]) if name and solves(found[name]) else float("inf")


def train_agent(
    env: Environment, stops: list[int], judge: RealTask, algo: str, seed: int, cutoff: float = float("inf")
) -> dict[str, Any]:
    """Trains a fresh agent, from ``gym.make`` on, until a stop at which it solves the task, the last stop or the cut-off.

    Args:
        env: Where.
        stops: Numbers of steps after which it is judged.
        judge: The real task.
        algo: Of Stable-Baselines3, with its default settings.
        seed: Of the agent, the environment and the judge's episodes.
        cutoff: Seconds after which it is given up at a stop.

    Returns:
        A run, see ``Runs``; its seconds leave out the judging.
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
