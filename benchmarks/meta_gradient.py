"""The adjoint compared with plain autograd, `higher`, `torchopt` and per-step checkpointing: time, memory, agreement.

    python benchmarks/meta_gradient.py --steps 8,32 --learners narrow --json build/meta_gradient.json

Every measurement runs in its own subprocess, so that its peak memory is its own. The methods take turns, so that a
slowdown of the machine favours none. The exit code is 1 if gradients differ from those of plain autograd in float64.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import click
import torch
from peers.report import (
    AGREEMENT_LIMIT,
    Result,
    goals_of,
    show_agreement,
    show_goals,
    show_group,
    show_linearity,
)
from rich.console import Console

from gtn_core.planning.cache import processor
from gtn_sl.peers import FORMS, LAYOUTS, METHODS, WIDTHS, Task, missing_package

BF16_FLAGS = ("avx512_bf16", "amx_bf16")


class Names(click.ParamType):  # type: ignore[type-arg]
    """A comma-separated list of allowed names."""

    name = "names"

    def __init__(self, *allowed: str) -> None:
        self.allowed = allowed

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Splits the value and checks its names."""
        if not isinstance(value, str):
            return tuple(value)
        names = tuple(part.strip() for part in value.split(","))
        if wrong := [name for name in names if name not in self.allowed]:
            self.fail(f"{', '.join(map(repr, wrong))} not among {', '.join(self.allowed)}", param, ctx)
        return names


def _lengths(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:
    try:
        lengths = tuple(sorted({int(part) for part in value.split(",")}))
    except ValueError:
        lengths = ()
    if not lengths or lengths[0] < 1:
        raise click.BadParameter(f"takes positive numbers such as 8,32,128, got {value!r}")
    return lengths


@click.command(help=__doc__)
@click.option("--steps", default="8,32,128", callback=_lengths, show_default=True, help="Inner steps T.")
@click.option("--learners", type=Names(*WIDTHS), default="narrow,wide", show_default=True)
@click.option("--learner-form", type=click.Choice(FORMS[:2]), default="plain", show_default=True)
@click.option("--precision", type=Names("fp32", "bf16"), help="Default: fp32, and bf16 where the CPU has units for it.")
@click.option("--layout", type=Names(*LAYOUTS), default=",".join(LAYOUTS), show_default=True)
@click.option("--methods", type=Names(*METHODS), default=",".join(METHODS), help="Default: all.")
@click.option("--batch", default=128, show_default=True, type=click.IntRange(1), help="Batch size B.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1))
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(1), help="Subprocesses per figure.")
@click.option("--seconds", default=2.0, show_default=True, help="Minimum time for which a subprocess repeats its call.")
@click.option("--reuse-pages", is_flag=True, help="Let every method's allocator keep its pages.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures here.")
def main(
    steps: tuple[int, ...],
    learners: tuple[str, ...],
    learner_form: str,
    precision: tuple[str, ...] | None,
    layout: tuple[str, ...],
    methods: tuple[str, ...],
    batch: int,
    threads: int,
    repeats: int,
    seconds: float,
    reuse_pages: bool,
    json_file: Path | None,
) -> None:
    """Runs the benchmark, prints tables and writes the report."""
    console = Console(width=None if sys.stdout.isatty() else 150)
    this_machine = machine(threads)
    console.print(describe(this_machine), soft_wrap=True)
    precision = precision or (("fp32", "bf16") if this_machine["bf16_units"] else ("fp32",))
    names = [name for name in methods if _installed(console, name)]
    if not names:
        raise click.ClickException("none of these methods is installed; pip install '.[bench]' installs the peers")
    settings = {"threads": threads, "reuse_pages": reuse_pages, "seconds": seconds}

    report: dict[str, Any] = {"machine": this_machine, "settings": {**settings, "repeats": repeats}}
    request = {"agreement": names, "learner": "narrow", "form": learner_form, "threads": threads}
    report["agreement"] = _ask(request)
    show_agreement(console, report["agreement"])
    results: list[Result] = []
    for learner, T, (number, form) in product(learners, steps, modes(precision, layout)):
        tasks = [Task(name, learner, learner_form, T, batch, number, form) for name in names]
        group = measure_in_turns(tasks, repeats, lambda task: _ask({"task": asdict(task), **settings}))
        show_group(console, group)
        results += group
        goals = goals_of(results, bf16_units=bool(this_machine["bf16_units"]))
        report["results"] = [r.row() for r in results]
        report["goals"] = [{**asdict(goal), "verdict": goal.verdict} for goal in goals]
        if json_file is not None:  # after each group, so that an interrupted run keeps its results
            json_file.parent.mkdir(parents=True, exist_ok=True)
            json_file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    show_linearity(console, results)
    show_goals(console, goals)
    worst = largest(difference for parts in report["agreement"].values() for difference in parts.values())
    console.print(
        f"Largest relative difference to plain autograd in float64: {worst:.1e} (limit {AGREEMENT_LIMIT:.0e})"
    )
    sys.exit(0 if worst <= AGREEMENT_LIMIT else 1)  # NaN fails


def largest(differences: Iterable[float]) -> float:
    """Returns the largest difference; NaN if one is, which ``max`` may pass over."""
    return float(torch.tensor(list(differences), dtype=torch.float64).max())


def modes(precisions: tuple[str, ...], layouts: tuple[str, ...]) -> list[tuple[str, str]]:
    """Returns the (precision, layout) pairs to measure: bf16 only in channels_last, unless that was not requested."""
    return [
        (precision, layout)
        for precision, layout in product(precisions, layouts)
        if precision == "fp32" or layout == "channels_last" or "channels_last" not in layouts
    ]


def measure_in_turns(tasks: list[Task], repeats: int, ask: Callable[[Task], dict[str, Any]]) -> list[Result]:
    """Measures the tasks in turn, in ``repeats`` rounds; a task that failed is not retried."""
    runs: dict[Task, list[dict[str, Any]]] = {task: [] for task in tasks}
    for _ in range(repeats):
        for task in tasks:
            if not any("error" in run for run in runs[task]):
                runs[task].append(ask(task))
    return [Result.of(task, runs[task]) for task in tasks]


def machine(threads: int) -> dict[str, Any]:
    """Returns the machine and the versions that the measurements depend on."""
    flags, cpuinfo = list[str](), Path("/proc/cpuinfo")
    if cpuinfo.exists():
        fields = dict(line.split(":", 1) for line in cpuinfo.read_text().split("\n\n")[0].splitlines() if ":" in line)
        flags = {key.strip(): value for key, value in fields.items()}.get("flags", "").split()
    return {
        "cpu": processor(),
        "cores": os.cpu_count(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "bf16_units": [flag for flag in BF16_FLAGS if flag in flags],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": threads,
        **{m.needs: _version(m.needs) for m in METHODS.values() if m.needs is not None},
    }


def describe(facts: dict[str, Any]) -> str:
    """Returns the lines above the tables."""
    units = ", ".join(facts["bf16_units"]) or "none (bf16 is emulated here, and measured only with --precision bf16)"
    return (
        f"{facts['cpu']}, {facts['cores']} cores, {facts['capability']}; {facts['threads']} thread(s); "
        f"torch {facts['torch']}\nbf16 units: {units}\n"
        "Statistics: every method evaluates with the last synthetic batch's means, and differentiates them.\n"
        "torchopt: learning rate per step through a schedule, one momentum for all steps (MetaSGD takes no other); "
        "compared with autograd given the same."
    )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _installed(console: Console, name: str) -> bool:
    if missing_package(name) is None:
        return True
    console.print(f"{name}: not installed: pip install .\\[bench]")
    return False


def _ask(request: dict[str, Any]) -> dict[str, Any]:
    """Answers a request in a new process; death by a signal, e.g. of the kernel's OOM killer, is also an answer.

    Raises:
        click.ClickException: The process failed in another way.
    """
    threads = str(request["threads"])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "peers.measure", json.dumps(request)],
        cwd=Path(__file__).resolve().parent,
        env={**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode < 0:
        return {"error": f"killed by signal {-done.returncode}"}
    if done.returncode:
        raise click.ClickException(f"the subprocess for {request} failed")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


if __name__ == "__main__":
    main()
