"""The report on a claim: a figure, a page with its table, and everything as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gtn_core.markdown import markdown_table
from gtn_core.saved_figure import save_figure
from gtn_core.whole_file import replacing
from gtn_sl.claims.protocol import Claim, Evidence
from gtn_sl.config import resolve_config

HELD = {True: "held", False: "did not hold"}


def write_report(name: str, claim: Claim, evidence: Evidence, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Writes ``NAME.json``, ``NAME.md`` and ``NAME.png`` into the study's folder.

    Args:
        name: Name of the claim.
        claim: The claim.
        evidence: The measurements.
        facts: What a reader needs to repeat the study.

    Returns:
        The contents of the JSON file.
    """
    lab, verdict = evidence.lab, claim.verdict(evidence)
    result = {
        **facts,
        "says": claim.says,
        "held": verdict.held,
        "saw": verdict.saw,
        "cannot show": _shortfall(evidence),
        "diverged": ", ".join(
            f"{run} after {made.outer_steps} outer steps" for run, made in evidence.made.items() if made.diverged
        ),
        "table": claim.table(evidence),
        "runs": {
            key: {"outer steps": made.outer_steps, "seconds": made.seconds, "diverged": made.diverged}
            for key, made in evidence.made.items()
        },
        "test images": len(lab.tested_on),
        "learner": lab.learner,
        "measured": evidence.measured,
    }
    with replacing(lab.folder / f"{name}.json") as file:
        file.write(json.dumps(result, indent=1).encode())
    with replacing(lab.folder / f"{name}.md") as file:
        file.write(_page(name, result).encode())
    figure = Figure(figsize=claim.size, layout="constrained")
    figure.suptitle(f"{claim.title} ({lab.data.task.title}, {lab.scale.name} budget)", x=0.01, ha="left", fontsize=12)
    claim.draw(evidence, figure)
    save_figure(figure, lab.folder / f"{name}.png")
    return result


def _shortfall(evidence: Evidence) -> str:
    """Returns how the study is smaller than the preset ``paper``, and so what it cannot show; empty if it is not."""
    lab, paper = evidence.lab, resolve_config(evidence.lab.base.task, "paper")
    steps = sorted(made.outer_steps for made in evidence.made.values())
    taken = f"{steps[0]}" if steps[0] == steps[-1] else f"{steps[0]} to {steps[-1]}"
    smaller = [
        *(["learners and teachers are several times narrower than the paper's"] if lab.scale.narrowing > 1 else []),
        *(
            [f"inner loops have {lab.base.inner.steps} steps instead of {paper.inner.steps}"]
            if lab.base.inner.steps < paper.inner.steps
            else []
        ),
        *(
            [f"a meta-training has {taken} outer steps instead of {paper.outer.iterations}"]
            if steps[0] < (paper.outer.iterations or 0)
            else []
        ),
        *(
            [f"learners are tested on {len(lab.tested_on)} of {len(lab.data.test)} images"]
            if len(lab.tested_on) < len(lab.data.test)
            else []
        ),
    ]
    return f"{', '.join(smaller)}: this can show orders, not the paper's figures" if smaller else ""


def _page(name: str, result: Mapping[str, Any]) -> str:
    lines = [
        f"# {name}: {HELD[result['held']]}",
        "",
        f"- the claim: {result['says']}",
        f"- seen: {result['saw']}",
        *([f"- cannot show: {result['cannot show']}"] if result["cannot show"] else []),
        *([f"- diverged before the end: {result['diverged']}"] if result["diverged"] else []),
        f"- task {result['task']}, budget {result['budget']}, seed {result['seed']}, learner {result['learner']},"
        f" {result['test images']} test images",
        *([f"- made by `{result['command']}`"] if result["command"] else []),
        "",
        *markdown_table(result["table"]),
        "",
        f"![{name}]({name}.png)",
    ]
    return "\n".join(lines) + "\n"


def tidy(axes: Axes, x: str, y: str) -> None:
    """Labels a panel's axes, adds a grid, and removes the frame above and to the right."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def percent(share: float) -> str:
    """Returns an accuracy as text, in percent."""
    return f"{100 * share:.1f}%"
