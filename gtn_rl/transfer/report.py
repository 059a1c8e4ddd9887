"""What a person reads after a transfer study: tables, JSON and the plot, all in one folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from gtn_core.checkpoint import replacing
from gtn_rl.transfer.agents import CLONING, UNTRAINED
from gtn_rl.transfer.outcome import Point, Transfer
from gtn_rl.transfer.plots import plot_transfer
from gtn_rl.transfer.statistics import Summary

Rows = list[dict[str, str]]

READING = (
    "Each agent's score is its mean return over the real episodes. IQM is the interquartile mean of the scores over agents, the "
    "interval its 95% bootstrap interval, spread their standard deviation, solved the share of agents whose score reaches the "
    "threshold. An agent at N steps has taken N steps and no more, so what it collected since its last update has not taught "
    "it yet. Updates are steps of its torch optimizers."
)

SOLVING = (
    "Median steps: the first stop at which an agent on the real task reached the threshold, the median over agents; an agent "
    "that did not within its budget is censored, and counts as more. Pays: from how many agents on the teacher is cheaper than "
    "training each of them on the real task, by real steps and by CPU seconds."
)


def result_table(transfer: Transfer) -> Rows:
    """Returns the rows of the full table, one for each stop of each group of agents, each cell as text."""
    return [
        _row(curve.role, curve.algorithm, curve.settings, point) for curve in transfer.curves for point in curve.points
    ]


def short_table(transfer: Transfer) -> Rows:
    """Returns the rows of the table for a screen: the IQM under the steps of every stop, the other figures at the last."""
    rows = []
    for curve in transfer.curves:
        last = _row(curve.role, curve.algorithm, curve.settings, curve.points[-1])
        middle = {f"{point.steps:,}": f"{point.deterministic.iqm:.1f}" for point in curve.points}
        agent = "-" if last["algorithm"] == "-" else f"{curve.algorithm} {curve.settings}"
        rows.append(
            {
                "trained on": {CLONING: "cloning", UNTRAINED: "untrained"}.get(curve.role, curve.role),
                "agent": agent,
                **middle,
                "95%": last["95% interval"].replace(" to ", " - "),
                "min": last["minimum"],
                "solved": last["solved"],
            }
        )
    return rows


def solving_table(transfer: Transfer) -> Rows:
    """Returns how many real steps the real task takes, and how many agents pay for the teacher."""
    costs = {(cost["algorithm"], cost["settings"]): cost for cost in transfer.cost}
    rows = []
    for times in transfer.solving:
        cost = costs.get((times["algorithm"], times["settings"]), {})
        median = times["median_steps"]
        by_steps = cost.get("agents_by_real_steps")
        at_most = cost.get("agents_by_real_steps_at_most")
        by_seconds = cost.get("agents_by_cpu_seconds")
        rows.append(
            {
                "algorithm": times["algorithm"],
                "settings": times["settings"],
                "solved": f"{times['solved']} of {times['agents']}",
                "median steps": f"{median:,}" if median else f"> {times['budget']:,}",
                "pays by steps": _agents(by_steps) if at_most is None else f"at most {_agents(at_most)}",
                "pays by CPU": "never" if "agents_by_cpu_seconds" in cost and by_seconds is None
                else _agents(by_seconds),
            }
        )  # fmt: skip
    return rows


def write_transfer_report(folder: Path, transfer: Transfer, command: str) -> None:
    """Writes ``transfer.json``, ``transfer.png`` and ``transfer.md``.

    Args:
        folder: Where to; must exist.
        transfer: What was found.
        command: The command that makes it again.
    """
    with replacing(folder / "transfer.json") as file:
        file.write(json.dumps({**transfer.to_json(), "made_by": command}, indent=1).encode())
    plot_transfer(folder / "transfer.png", transfer)
    plan = transfer.plan
    lines = [f"# {transfer.env.name}: transfer to {transfer.task}", ""]
    lines += [
        f"- made by: `{command}`",
        f"- teacher: {transfer.env.name}" + (f", content {transfer.env.digest}" if transfer.env.digest else ""),
        f"- solved from: {transfer.threshold if transfer.threshold is not None else 'nobody has set a threshold'}",
        f"- agents of each algorithm and settings: {plan.agents}; real episodes of each: {plan.episodes}; seed: {plan.seed}",
        *(["- stages of the teacher's training: " + _stages(transfer)] if transfer.env.document.get("stages") else []),
        *(["", READING, "", "![](transfer.png)", "", *_markdown(result_table(transfer))]),
    ]
    if transfer.solving:
        title = "## The real task itself"
        lines += ["", title, "", SOLVING, "", *_markdown(solving_table(transfer))]
    with replacing(folder / "transfer.md") as file:
        file.write(("\n".join(lines) + "\n").encode())


def _stages(transfer: Transfer) -> str:
    stages = transfer.env.document["stages"]
    return ", ".join(map(str, stages)) if isinstance(stages, list) else str(stages)


def _row(role: str, algorithm: str, settings: str, point: Point) -> dict[str, str]:
    figures = point.deterministic
    return {
        "trained on": role,
        "algorithm": "-" if algorithm == role else algorithm,
        "settings": "-" if algorithm == role else settings,
        "steps": f"{point.steps:,}",
        "updates": f"{point.updates:,.0f}",
        "IQM": f"{figures.iqm:.1f}",
        "95% interval": _interval(figures),
        "mean": f"{figures.mean:.1f}",
        "spread": "-" if figures.spread is None else f"{figures.spread:.1f}",
        "minimum": f"{figures.minimum:.1f}",
        "solved": "-" if figures.solve_rate is None else f"{100 * figures.solve_rate:.0f}%",
        "stochastic IQM": "-" if point.stochastic is None else f"{point.stochastic.iqm:.1f}",
        "n": str(figures.n),
    }


def _interval(figures: Summary) -> str:
    return "-" if figures.low is None else f"{figures.low:.1f} to {figures.high:.1f}"


def _agents(count: float | None) -> str:
    return "-" if count is None else f"{count:,.1f}"


def _markdown(rows: Sequence[dict[str, str]]) -> list[str]:
    head = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    return head + ["| " + " | ".join(row.values()) + " |" for row in rows]
