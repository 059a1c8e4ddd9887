"""Growth of an outer step's time with learners, widths, inner steps and population, which should be at most linear.

    python benchmarks/scale_up.py --json build/scale_up.json --png build/scale_up.png          # some minutes

Uses the digits' `fast` preset with one learner of fixed widths and, for the population, CartPole's bandit.
`last / first` is the time per unit at the axis's last value, divided by that at its first: 1 is linear, less is better.
For widths, a unit is a floating-point operation of the outer step.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import click
import torch
from rich.console import Console
from rich.table import Table
from two_processes import evolution

from gtn_core.distributed import SingleProcess
from gtn_core.planning.counting import count
from gtn_core.planning.plan import StepPlan
from gtn_core.planning.timing import fastest
from gtn_sl.bench import outer_iteration, random_data
from gtn_sl.config import resolve_config
from gtn_sl.data import TASKS

PLAN = StepPlan(layout="channels_last")
"""Keeps no graphs, so that memory does not limit T."""


@dataclass(frozen=True)
class Curve:
    """Measurements along one axis.

    Attributes:
        axis: Name of the quantity that grows.
        values: Its values.
        units: Quantity that time should be proportional to, for each value.
        seconds: Seconds of an outer step, for each value.
    """

    axis: str
    values: list[str]
    units: list[float]
    seconds: list[float]

    @property
    def growth(self) -> float:
        """Time per unit at the last value, divided by that at the first."""
        return self.seconds[-1] / self.units[-1] / (self.seconds[0] / self.units[0])


def learners(values: Sequence[int]) -> Curve:
    """Varies the episodes of an outer step, each with its own learner."""
    return _curve("learners", values, values, [_iteration(learners=n) for n in values])


def side_by_side(values: Sequence[int]) -> Curve:
    """Varies the learners of one episode, which are trained as one batched network."""
    return _curve("side by side", values, values, [_iteration(side_by_side=n) for n in values])


def steps(values: Sequence[int]) -> Curve:
    """Varies the number of inner steps, T."""
    return _curve("T", values, values, [_iteration(steps=T) for T in values])


def widths(values: Sequence[int]) -> Curve:
    """Varies the width of the first layer; the others are two and four times as wide."""
    iterations = [_iteration(width=width) for width in values]
    return _curve("width", values, [count(iterate).flops for iterate in iterations], iterations)


def population(values: Sequence[int]) -> Curve:
    """Varies the candidates of an evolution strategy, which are evaluated as one batch."""
    times = [median(evolution(SingleProcess(), 4, 1, population=P)) for P in values]
    return Curve("population", [str(P) for P in values], [float(P) for P in values], times)


AXES: dict[str, tuple[Callable[[Sequence[int]], Curve], str]] = {
    "learners": (learners, "1,2,4,8"),
    "side_by_side": (side_by_side, "1,2,4,8"),
    "steps": (steps, "4,8,16,32,64"),
    "widths": (widths, "8,16,32,64"),
    "population": (population, "8,16,32,64,128"),
}


def _iteration(*, learners: int = 1, side_by_side: int = 1, steps: int = 8, width: int = 16) -> Callable[[], None]:
    architecture = f"base_fc:{width},{2 * width},{4 * width}"
    layers = {
        "learner": {"architecture": architecture, "side_by_side": side_by_side},
        "inner": {"steps": steps},
        "outer": {"iterations": 1, "accumulate": learners},
    }
    return outer_iteration(resolve_config("digits", "fast", layers), PLAN, random_data(TASKS["digits"]))


def _curve(axis: str, values: Sequence[int], units: Sequence[float], iterations: Sequence[Callable[[], None]]) -> Curve:
    seconds = [fastest(iterate, torch.device("cpu"), repeats=3, limit=5.0) for iterate in iterations]
    return Curve(axis, [str(value) for value in values], [float(unit) for unit in units], seconds)


def _numbers(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:
    parts = value.split(",")
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"takes positive numbers such as 4,8,16, got {value!r}")
    numbers = tuple(int(part) for part in parts)
    if param.name == "population" and any(number % 2 for number in numbers):
        raise click.BadParameter(f"takes even numbers, as noise is mirrored, got {value!r}")
    return numbers


@click.command(help=__doc__)
@click.option("--learners", default=AXES["learners"][1], callback=_numbers, show_default=True)
@click.option("--side-by-side", default=AXES["side_by_side"][1], callback=_numbers, show_default=True)
@click.option("--steps", default=AXES["steps"][1], callback=_numbers, show_default=True)
@click.option("--widths", default=AXES["widths"][1], callback=_numbers, show_default=True)
@click.option("--population", default=AXES["population"][1], callback=_numbers, show_default=True, help="Even numbers.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1))
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="File for all figures.")
@click.option("--png", "picture", type=click.Path(dir_okay=False, path_type=Path), help="File for the curves.")
def main(threads: int, json_file: Path | None, picture: Path | None, **values: tuple[int, ...]) -> None:
    """Runs the benchmark, prints the table and writes the files."""
    torch.set_num_threads(threads)
    curves = [AXES[axis][0](values[axis]) for axis in AXES]
    table = Table(title="an outer step", title_justify="left")
    for column in ("axis", "seconds", "last / first, for a unit"):
        table.add_column(column)
    for curve in curves:
        told = ", ".join(f"{value}: {seconds:.2f}" for value, seconds in zip(curve.values, curve.seconds, strict=True))
        table.add_row(curve.axis, told, f"{curve.growth:.2f}")
    Console().print(table)
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps([{**asdict(c), "growth": c.growth} for c in curves], indent=1) + "\n")
    if picture is not None:
        picture.parent.mkdir(parents=True, exist_ok=True)
        _draw(curves, picture)


def _draw(curves: Sequence[Curve], picture: Path) -> None:
    """Plots time against units, both relative to the first value, beside a linear reference."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    axes.axline((1, 1), slope=1, color="0.7", label="linear")
    for curve in curves:
        units = [unit / curve.units[0] for unit in curve.units]
        axes.plot(units, [s / curve.seconds[0] for s in curve.seconds], marker="o", label=curve.axis)
    axes.set(xscale="log", yscale="log", xlabel="units, relative to the first", ylabel="time, relative to the first")
    axes.legend()
    figure.savefig(picture, dpi=120)


if __name__ == "__main__":
    main()
