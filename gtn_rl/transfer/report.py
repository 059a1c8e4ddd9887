"""The report of a transfer study: tables, JSON and a figure, all in one folder."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gtn_core.errors import UsageError
from gtn_core.markdown import markdown_table
from gtn_core.whole_file import replacing
from gtn_rl.environments import Environment
from gtn_rl.provenance import stages_of
from gtn_rl.transfer.agents import CLONING, UNTRAINED
from gtn_rl.transfer.outcome import Point, Transfer
from gtn_rl.transfer.plots import plot_transfer
from gtn_rl.transfer.statistics import Summary

Rows = list[dict[str, str]]

READING = (
    "Each agent's score is its mean return over the real episodes. IQM is the interquartile mean of the scores over agents, the "
    "interval its 95% bootstrap interval, spread their standard deviation, solved the share of agents whose score reaches the "
    "threshold. An agent at N steps has taken exactly N steps; those since its last update have not trained it yet. "
    "Updates are steps of its torch optimizers."
)

DIVERGED = (
    "From its divergence on, an agent has not solved the task, and its score is the lowest return of all episodes of the study; "
    "n says how many agents this holds for."
)

SOLVING = (
    "Steps: the median over agents of the first stop at which an agent solved the task; one that did not within its budget "
    "counts as more. Fewer: the factor by which the teacher's agents take fewer steps. Pays: the number of solving agents from "
    "which the teacher is cheaper than training each of them on the real task until it is solved, by real steps and by "
    "CPU-seconds; 'never' if an agent saves nothing, 'at most' if the real task was not solved within the budget."
)


def result_table(transfer: Transfer) -> Rows:
    """Returns the full table, one row per stop of each group of agents, with each cell as text."""
    return [
        _row(curve.role, curve.algorithm, curve.settings, point) for curve in transfer.curves for point in curve.points
    ]


def short_table(transfer: Transfer, settings: str) -> Rows:
    """Returns the table for the terminal: the IQM at every stop, the other figures at the last.

    Args:
        transfer: The study's outcome.
        settings: Settings of the agents to show.
    """
    rows = []
    for curve in transfer.curves:
        last = curve.points[-1].deterministic
        if curve.settings == settings or curve.role == CLONING:
            row = {
                "trained on": {CLONING: "cloning", UNTRAINED: "untrained"}.get(curve.role, curve.role),
                "agent": "-" if curve.role == CLONING else curve.algorithm,
                **{_thousands(point.steps): _short(point.deterministic.iqm) for point in curve.points},
                "95%": _interval(last, _short),
                "min": _short(last.minimum),
                "solved": _percent(last.solve_rate),
            }
            rows.append(row)
    return rows


def solving_table(transfer: Transfer, settings: str) -> Rows:
    """Returns how many steps agents take to solve the task on the teacher and on the task, and when the teacher pays.

    Args:
        transfer: The study's outcome.
        settings: Settings of the agents to show.
    """
    rows = []
    for found in transfer.solving:
        real, taught = found["real"], found["taught"]
        if found["settings"] == settings:
            row = {
                "agent": found["algorithm"],
                "solved, teacher": f"{taught['solved']} of {taught['agents']}",
                "steps, teacher": _steps(taught),
                "solved, real": f"{real['solved']} of {real['agents']}",
                "steps, real": _steps(real),
                "fewer": _fewer(taught, real),
                "pays by steps": _pays(found, "agents_by_real_steps"),
                "pays by CPU": _pays(found, "agents_by_cpu_seconds"),
            }
            rows.append(row)
    return rows


def cost_line(transfer: Transfer) -> str:
    """Returns what the teacher's meta-training cost, as text; empty if its file does not say."""
    known = (("real_steps", "real steps"), ("cpu_seconds", "CPU-seconds"))
    return ", ".join(f"{transfer.cost[key]:,.0f} {unit}" for key, unit in known if key in transfer.cost)


def refuse_another_study(folder: Path, env: Environment, task: str) -> None:
    """Checks that a report does not replace that of another environment or real task.

    Raises:
        UsageError: The folder holds another study.
    """
    try:
        before = dict(json.loads((folder / "transfer.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return  # there is none, or none that can be read
    same = before.get("env") == env.name or (env.digest and before.get("digest") == env.digest)  # wherever a file is
    if not same or before.get("task") != task:
        what = f"{before.get('env')} on {before.get('task')}"
        raise UsageError(f"{folder} already holds a study of {what}; choose another --out for {env.name} on {task}")


def write_transfer_report(folder: Path, transfer: Transfer, command: str) -> None:
    """Writes ``transfer.json``, ``transfer.png`` and ``transfer.md``.

    Args:
        folder: Existing folder to write to.
        transfer: The study's outcome.
        command: The command that reproduces it; not mentioned if empty.
    """
    with replacing(folder / "transfer.json") as file:
        file.write(json.dumps({**transfer.to_json(), "made_by": command}, indent=1).encode())
    plot_transfer(folder / "transfer.png", transfer)
    plan, stages = transfer.plan, stages_of(transfer.env.document)
    threshold = "no threshold is set" if transfer.threshold is None else f"a mean return of {transfer.threshold:g}"
    lines = [f"# {transfer.env.name}: transfer to {transfer.task}", ""]
    lines += [
        *([f"- made by: `{command}`"] if command else []),
        f"- teacher: {transfer.env.name}" + (f", content {transfer.env.digest}" if transfer.env.digest else ""),
        *([f"- stages of its meta-training: {_stages(stages)}"] if stages else []),
        *([f"- cost of its meta-training: {cost}"] if (cost := cost_line(transfer)) else []),
        f"- solved from: {threshold}",
        f"- agents of each algorithm and settings: {plan.agents}; real episodes of each: {plan.episodes}; seed: {plan.seed}",
        *([f"- diverged: {'; '.join(transfer.diverged)}", "", DIVERGED] if transfer.diverged else []),
        *(["", READING, "", "![](transfer.png)", "", *markdown_table(result_table(transfer))]),
    ]
    if transfer.solving:
        lines += ["", "## Until solved", "", SOLVING]
        for kind in plan.settings:
            lines += ["", f"Settings: {kind}", "", *markdown_table(solving_table(transfer, kind))]
    with replacing(folder / "transfer.md") as file:
        file.write(("\n".join(lines) + "\n").encode())


def _stages(stages: Sequence[Mapping[str, Any]]) -> str:
    """Returns the names of a teacher's stages, marking those that were not kept."""
    return ", ".join(f"{stage.get('name', '?')}{'' if stage.get('kept', True) else ' (not kept)'}" for stage in stages)


def _row(role: str, algorithm: str, settings: str, point: Point) -> dict[str, str]:
    figures = point.deterministic
    return {
        "trained on": role,
        "algorithm": "-" if algorithm == role else algorithm,
        "settings": "-" if algorithm == role else settings,
        "steps": f"{point.steps:,}",
        "updates": f"{point.updates:,.0f}",
        "IQM": _exact(figures.iqm),
        "95% interval": _interval(figures, _exact),
        "mean": _exact(figures.mean),
        "spread": "-" if figures.spread is None else _exact(figures.spread),
        "minimum": _exact(figures.minimum),
        "solved": _percent(figures.solve_rate),
        "stochastic IQM": "-" if point.stochastic is None else _exact(point.stochastic.iqm),
        "stochastic solved": "-" if point.stochastic is None else _percent(point.stochastic.solve_rate),
        "n": str(figures.n) + (f" ({figures.diverged} diverged)" if figures.diverged else ""),
    }


def _interval(figures: Summary, written: Callable[[float], str]) -> str:
    return "-" if figures.low is None or figures.high is None else f"{written(figures.low)} to {written(figures.high)}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f}%"


def _thousands(steps: int) -> str:
    return f"{steps // 1000}k" if steps % 1000 == 0 else str(steps)


def _short(value: float) -> str:
    """Formats a value with about three digits, for a terminal of eighty columns."""
    return f"{value:.0f}" if abs(value) >= 99.95 else _exact(value)


def _exact(value: float) -> str:
    """Formats a value with one decimal, or with three digits if it is small, as accuracies are."""
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _steps(times: Mapping[str, Any]) -> str:
    median = times["median_steps"]
    return f"{median:,}" if median else f"> {times['budget']:,}"


def _fewer(taught: Mapping[str, Any], real: Mapping[str, Any]) -> str:
    if not taught["median_steps"]:
        return "-"
    ratio = (real["median_steps"] or real["budget"]) / taught["median_steps"]
    return f"{'' if real['median_steps'] else '> '}{ratio:.1f}x"


def _pays(found: Mapping[str, Any], key: str) -> str:
    """Formats from how many agents on the teacher pays: ``never`` for None, and a dash if it is unknown."""
    for name, bound in ((key, ""), (f"{key}_at_most", "at most ")):
        if name in found:
            return "never" if found[name] is None else f"{bound}{math.ceil(found[name]):,}"
    return "-"
