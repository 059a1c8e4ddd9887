"""A learned environment compared with the real task: steps per second and, with ``--solve``, time to solve it.

    python benchmarks/env_throughput.py --torch --json build/env_throughput.json          # a minute
    python benchmarks/env_throughput.py --env teacher.safetensors --solve --seeds 5       # minutes

The contestants of a comparison take turns, in short windows. Actions are drawn in advance, and resets count as part of
the stepping. A ratio above 1 means that the learned environment is faster. numpy is also limited to one thread.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # read when numpy is imported

import click
import gymnasium as gym
import numpy as np
import torch
from _shapes import with_shape
from _solving import race, require_raceable
from rich.console import Console
from rich.table import Table

from gtn_core.errors import GTNError
from gtn_core.planning.cache import processor
from gtn_envs import SyntheticVectorEnv, Weights, load_environment
from gtn_rl.environments import Environment, find_environment

Window = Callable[[float], float]
"""Steps an environment for some seconds and returns its steps per second."""

SINGLE_GOAL, VECTOR_GOAL, SOLVE_GOAL = 0.5, 1.0, 5.0


@click.command(help=__doc__)
@click.option("--env", "name", default="GTN-CartPole-v0", show_default=True, help="An id, or a .safetensors file.")
@click.option(
    "--size", "sizes", multiple=True, default=(1, 64, 4096), show_default=True, type=click.IntRange(1), help="n."
)
@click.option("--torch", "with_torch", is_flag=True, help="Also measure the torch backend (CPU).")
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    help="Also vectorised random networks: activation/transition/reward[/termination] widths, e.g. relu/16/32, tanh//8,8.",
)
@click.option("--windows", default=7, show_default=True, type=click.IntRange(1), help="Windows per contestant.")
@click.option("--seconds", default=0.5, show_default=True, type=click.FloatRange(0), help="Length of a window.")
@click.option("--solve", is_flag=True, help="Also train agents until the task is solved.")
@click.option(
    "--algo",
    multiple=True,
    default=("ppo", "a2c", "dqn"),
    show_default=True,
    help="Algorithm of Stable-Baselines3, at its defaults; repeatable.",
)
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="Agents per side and algorithm.")
@click.option(
    "--limit", default=200_000, show_default=True, type=click.IntRange(1), help="Steps after which to give up."
)
@click.option("--episodes", default=100, show_default=True, type=click.IntRange(1), help="Real episodes per check.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures here.")
def main(name: str, json_file: Path | None, solve: bool, **settings: Any) -> None:
    """Runs the benchmark, prints tables and writes the report."""
    torch.set_num_threads(1)
    console = Console(width=None if sys.stdout.isatty() else 130)
    try:
        synthetic, real = _pair(name)
        if solve:  # fails here, before any measurement
            require_raceable(real, settings["algo"])
        report: dict[str, Any] = {"machine": machine(), "env": name, "task": real.id, "settings": settings}
        console.print(
            "{cpu}, {cores} cores, one thread; torch {torch}, Gymnasium {gymnasium}".format(**report["machine"])
        )
        assert synthetic.file is not None
        weights = load_environment(synthetic.file)
        likenesses = {shape: with_shape(weights, shape) for shape in settings["shapes"]}
        report["throughput"] = [
            compare(kind, n, contestants(kind, n, synthetic.id, real.id, settings["with_torch"], likenesses), settings)
            for kind, n in [("gym.make", 1), *(("make_vec", n) for n in sorted(settings["sizes"]))]
        ]
        _show_throughput(console, report)
        report["solve"] = race(synthetic, real, settings) if solve else None
    except GTNError as error:
        raise click.ClickException(str(error)) from error
    if solve:
        _show_race(console, report["solve"])
    report["goals"] = goals_of(report)
    for goal in report["goals"]:
        console.print(
            f"{goal['text']}: {goal['figure']:.2f} (goal: at least {goal['bound']:g}): {goal['verdict']}",
            soft_wrap=True,
        )
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _pair(name: str) -> tuple[Environment, Environment]:
    """Returns the learned environment and its real task.

    Raises:
        click.UsageError: The name is not that of a learned environment.
    """
    synthetic = find_environment(name)
    if synthetic.document.get("form") not in ("mdp", "bandit"):
        raise click.UsageError(f"{name} is not a synthetic environment: it needs a file of the form mdp or bandit")
    return synthetic, find_environment(synthetic.real_task)


def machine() -> dict[str, Any]:
    """Returns the machine and the versions that the measurements depend on."""
    versions = {"torch": torch.__version__, "gymnasium": gym.__version__, "numpy": np.__version__}
    return {"cpu": processor(), "cores": os.cpu_count(), "python": platform.python_version(), **versions}


def contestants(
    kind: str, n: int, synthetic: str, real: str, with_torch: bool, likenesses: dict[str, Weights]
) -> dict[str, gym.Env | Any]:
    """Creates the environments of one comparison, by their names in the table.

    Args:
        kind: ``gym.make`` or ``make_vec``.
        n: Number of copies.
        synthetic: Id of the learned environment.
        real: Id of the real task.
        with_torch: Whether to add the learned environment with the torch backend; ``make_vec`` only.
        likenesses: Random environments to add, by shape; ``make_vec`` only.
    """
    if kind == "gym.make":
        return {"synthetic": gym.make(synthetic), "real": gym.make(real)}
    native = "vector_entry_point"
    mode = native if gym.spec(real).vector_entry_point else "sync"
    made = {"synthetic": gym.make_vec(synthetic, num_envs=n, vectorization_mode=native)}
    if with_torch:
        made["synthetic (torch)"] = gym.make_vec(synthetic, num_envs=n, vectorization_mode=native, backend="torch")
    made |= {shape: SyntheticVectorEnv(weights, n) for shape, weights in likenesses.items()}
    return {**made, "real": gym.make_vec(real, num_envs=n, vectorization_mode=mode)}


def compare(kind: str, n: int, envs: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Measures environments in turn, and closes them.

    Returns:
        ``rates``: steps per second over all copies, for each environment the best, the median and every window.
        ``ratios``: best and median of each learned environment, divided by those of the real one. Also ``kind``,
        ``num_envs`` and ``real_is``, the class of the real environment.
    """
    windows = {name: _window(env, n, single=kind == "gym.make") for name, env in envs.items()}
    measured: dict[str, list[float]] = {name: [] for name in envs}
    for window in windows.values():
        window(settings["seconds"] / 5)  # warms up
    for _, (name, window) in itertools.product(range(settings["windows"]), windows.items()):
        measured[name].append(window(settings["seconds"]))
    for env in envs.values():
        env.close()
    rates: dict[str, Any] = {k: {"best": max(v), "median": median(v), "windows": v} for k, v in measured.items()}
    ratios = {
        name: {which: rate[which] / rates["real"][which] for which in ("best", "median")}
        for name, rate in rates.items()
        if name != "real"
    }
    return {
        "kind": kind,
        "num_envs": n,
        "real_is": type(envs["real"].unwrapped).__name__,
        "rates": rates,
        "ratios": ratios,
    }


def _window(env: Any, copies: int, single: bool) -> Window:
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(max(8, 64 // copies))]
    env.reset(seed=0)

    def window(seconds: float) -> float:
        began, steps, spent = time.perf_counter(), 0, 0.0
        while steps == 0 or spent < seconds:
            for action in actions:
                _, _, terminated, truncated, _ = env.step(action)
                if single and (terminated or truncated):
                    env.reset()
            steps += len(actions) * copies
            spent = time.perf_counter() - began
        return steps / spent

    return window


def goals_of(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the goals, each with the measured figure and whether it is met."""
    single, largest = report["throughput"][0], report["throughput"][-1]
    n = largest["num_envs"]
    found = [
        ("gym.make, synthetic / real, median", single["ratios"]["synthetic"]["median"], SINGLE_GOAL, True),
        (f"make_vec at n = {n}, synthetic / real, median", largest["ratios"]["synthetic"]["median"], VECTOR_GOAL, True),
    ]
    if report["solve"] is not None:
        solve = report["solve"]
        text = "wall time to a solved agent, real / synthetic" + (
            "" if solve["solved"]["synthetic"] else " (the synthetic side did not solve it)"
        )
        found.append((text, solve["ratios"]["wall"], SOLVE_GOAL, solve["solved"]["synthetic"]))
    return [
        {"text": text, "figure": figure, "bound": bound, "verdict": "met" if valid and figure >= bound else "missed"}
        for text, figure, bound, valid in found
    ]


def _show_throughput(console: Console, report: dict[str, Any]) -> None:
    console.print(f"{report['env']} beside {report['task']}, steps/s:", soft_wrap=True, highlight=False)
    table = Table()
    for column in ("how", "n", "contestant", "best", "median", "best / real", "median / real"):
        table.add_column(column, justify="left" if column in ("how", "contestant") else "right")
    for group in report["throughput"]:
        for name, rate in group["rates"].items():
            label = f"real ({group['real_is']})" if name == "real" else name
            ratios = [f"{ratio:.2f}" for ratio in group["ratios"].get(name, {}).values()]
            row = (
                group["kind"],
                f"{group['num_envs']}",
                label,
                f"{rate['best']:,.0f}",
                f"{rate['median']:,.0f}",
                *ratios,
            )
            table.add_row(*row)
    console.print(table)


def _show_race(console: Console, solve: dict[str, Any]) -> None:
    title = f"steps and seconds to a mean return of {solve['threshold']:g}, Stable-Baselines3's defaults"
    table = Table(title=title, title_justify="left")
    for column in ("trained on", "algorithm", "seed", "wall s", "CPU s", "steps", "real return", "solved"):
        table.add_column(column, justify="left" if column in ("trained on", "algorithm") else "right")
    for side, found in solve["runs"].items():
        for name, runs in found.items():
            for run in runs:
                figures = f"{run['wall']:.2f}", f"{run['cpu']:.2f}", f"{run['steps']:,.0f}", f"{run['return']:.1f}"
                table.add_row(side, name, str(run["seed"]), *figures, "yes" if run["solved"] else "no")
    console.print(table)
    for side, name in solve["fastest"].items():
        seconds, steps = solve["medians"][side]["wall"], solve["medians"][side]["steps"]
        unsolved = "" if solve["solved"][side] else ", not solved by most seeds: a lower bound"
        console.print(
            f"{side}: fastest is {name}, median {seconds:.2f} s, {steps:,.0f} steps{unsolved}", highlight=False
        )
    for what, ratios in (
        ("these medians", solve["ratios"]),
        ("each algorithm's median wall times", solve["by_algorithm"]),
    ):
        said = ", ".join(f"{key} {ratio:.1f}" for key, ratio in ratios.items())
        console.print(f"real / synthetic, ratios of {what}: {said}", highlight=False)


if __name__ == "__main__":
    main()
