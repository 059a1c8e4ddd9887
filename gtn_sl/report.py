"""What a person reads after a run: plots, a table and JSON, all in one folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from gtn_core.checkpoint import replacing
from gtn_core.run_folder import RunFolder
from gtn_sl.evaluation import Evaluation
from gtn_sl.pictures import batch_grid
from gtn_sl.plots import plot_accuracy, plot_curves, plot_schedule, save_picture
from gtn_sl.teacher import SupervisedTeacher, load_teacher


def write_training_report(run: RunFolder) -> None:
    """Writes ``curves.png``, ``schedule.png`` and ``batches.png`` into the run's report folder."""
    teacher = load_teacher(run.teacher).teacher
    plot_curves(run.report / "curves.png", list(run.metric_rows()), f"{teacher.task.title}: meta-training")
    write_teacher_pictures(run.report, teacher)


def write_teacher_pictures(folder: Path, teacher: SupervisedTeacher) -> None:
    """Writes ``schedule.png``, and ``batches.png``: synthetic images from the first step (top) to the last (bottom)."""
    plot_schedule(folder / "schedule.png", teacher)
    steps = torch.linspace(0, teacher.steps - 1, min(8, teacher.steps)).round().long().tolist()
    classes = teacher.task.classes
    with torch.no_grad():
        rows = [teacher.batch(step)[0][:classes] for step in steps]
    save_picture(folder / "batches.png", batch_grid(teacher.task.denormalise(torch.cat(rows).cpu()), classes, zoom=3))


def evaluation_table(evaluations: Sequence[Evaluation]) -> list[dict[str, str]]:
    """Returns the rows of the result table, each cell as text."""
    return [
        {
            "trained on": e.name,
            "learner": e.architecture,
            "mean": f"{100 * e.mean:.2f}%",
            "std": f"{100 * e.spread:.2f}",
            "minimum": f"{100 * e.minimum:.2f}%",
            "n": str(e.n),
        }
        for e in evaluations
    ]


def write_evaluation_report(folder: Path, evaluations: Sequence[Evaluation], title: str, facts: dict[str, Any]) -> None:
    """Writes ``evaluation.json``, ``evaluation.md`` and one ``accuracy-LEARNER.png`` per learner.

    Args:
        folder: Where to; must exist.
        evaluations: What was measured.
        title: What was evaluated.
        facts: What a reader needs to make the figures again.
    """
    rows = evaluation_table(evaluations)
    lines = [f"# {title}", "", *(f"- {key}: {value}" for key, value in facts.items()), ""]
    lines += ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    lines += ["| " + " | ".join(row.values()) + " |" for row in rows]
    with replacing(folder / "evaluation.md") as file:
        file.write(("\n".join(lines) + "\n").encode())
    with replacing(folder / "evaluation.json") as file:
        file.write(json.dumps({**facts, "results": [e.to_json() for e in evaluations]}, indent=1).encode())
    for learner in dict.fromkeys(e.architecture for e in evaluations):
        shown = [e for e in evaluations if e.architecture == learner]
        name = learner.replace(":", "-").replace(",", "-")
        plot_accuracy(folder / f"accuracy-{name}.png", shown, f"{title}: fresh {learner} learners")
