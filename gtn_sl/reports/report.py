"""Reports of a run for people to read: plots, a table and JSON, all in one folder."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from gtn_core.markdown import markdown_table
from gtn_core.run_folder import RunFolder
from gtn_core.whole_file import replacing
from gtn_sl.evaluation import Evaluation
from gtn_sl.reports.learner_plot import plot_learners
from gtn_sl.reports.pictures import batch_grid, one_of_each
from gtn_sl.reports.plots import plot_accuracy, plot_curves, plot_schedule, save_picture
from gtn_sl.teacher import SupervisedTeacher
from gtn_sl.teacher_file import load_teacher


def write_training_report(run: RunFolder) -> None:
    """Writes ``curves.png``, ``schedule.png`` and ``batches.png`` into the run's report folder."""
    teacher = load_teacher(run.teacher).teacher
    plot_curves(run.report / "curves.png", list(run.metric_rows()), f"{teacher.task.title}: meta-training")
    write_teacher_pictures(run.report, teacher)


def write_teacher_pictures(folder: Path, teacher: SupervisedTeacher) -> None:
    """Writes ``schedule.png``, and ``batches.png``: one image per class, from the first step (top) to the last."""
    plot_schedule(folder / "schedule.png", teacher)
    steps = torch.linspace(0, teacher.steps - 1, min(8, teacher.steps)).round().long().tolist()
    classes = teacher.task.classes
    with torch.no_grad():
        rows = [one_of_each(*teacher.batch(step)) for step in steps]
    pictures = teacher.task.denormalise(torch.cat(rows).cpu())
    zoom = max(3, -(-64 // pictures.shape[-1]))
    save_picture(folder / "batches.png", batch_grid(pictures, classes, zoom=zoom))


def evaluation_table(evaluations: Sequence[Evaluation]) -> list[dict[str, str]]:
    """Returns the rows of the result table, with each cell as text."""
    return [
        {
            "trained on": e.name,
            "learner": e.architecture,
            "mean": f"{100 * e.mean:.2f}%",
            "std": f"{100 * e.spread:.2f}",
            "minimum": f"{100 * e.minimum:.2f}%",
            "n": str(e.n) + (f" ({e.diverged} diverged)" if e.diverged else ""),
        }
        for e in evaluations
    ]


def accuracy_matrix(evaluations: Sequence[Evaluation]) -> list[dict[str, str]]:
    """Returns a result table with a row per learner and a column per stream: mean ± standard deviation, in percent.

    A column after the first stream has its worst learner; the last row has the means over the architectures.
    """
    learners = list(dict.fromkeys(e.architecture for e in evaluations))
    streams = list(dict.fromkeys(e.name for e in evaluations))
    rows = []
    for learner in learners:
        found = [e for e in evaluations if e.architecture == learner]
        rows.append(_beside_its_minimum({"learner": learner, **{e.name: _cell(e) for e in found}}, found[0].minimum))
    over_all = {stream: [e.mean for e in evaluations if e.name == stream] for stream in streams}
    means = {stream: f"{100 * sum(m) / len(m):.2f}" for stream, m in over_all.items()}
    lowest = min(e.minimum for e in evaluations if e.name == streams[0])
    return [*rows, _beside_its_minimum({"learner": "mean of all", **means}, lowest)]


def _cell(evaluation: Evaluation) -> str:
    lost = f" ({evaluation.diverged} diverged)" if evaluation.diverged else ""
    return f"{100 * evaluation.mean:.2f}±{100 * evaluation.spread:.2f}{lost}"


def _beside_its_minimum(row: dict[str, str], minimum: float) -> dict[str, str]:
    """Inserts the column ``minimum`` after the first stream's."""
    learner, first, *others = row.items()
    return dict([learner, first, ("minimum", f"{100 * minimum:.2f}"), *others])


def result_table(evaluations: Sequence[Evaluation]) -> list[dict[str, str]]:
    """Returns the rows that read best: a matrix if there are several learners, else one row per stream."""
    several = len({e.architecture for e in evaluations}) > 1
    return accuracy_matrix(evaluations) if several else evaluation_table(evaluations)


def write_evaluation_report(folder: Path, evaluations: Sequence[Evaluation], title: str, facts: dict[str, Any]) -> None:
    """Writes ``evaluation.json``, ``evaluation.md``, ``accuracy-LEARNER.png`` files and, for several, ``learners.png``.

    Args:
        folder: Folder to write to; must exist.
        evaluations: The results.
        title: What was evaluated.
        facts: What a reader needs to reproduce the figures.
    """
    learners = list(dict.fromkeys(e.architecture for e in evaluations))
    lines = [f"# {title}", "", *(f"- {key}: {value}" for key, value in facts.items()), ""]
    for earlier in _pictures_of(_learners_before(folder)):  # they may be of other learners
        (folder / earlier).unlink(missing_ok=True)
    if len(learners) > 1:
        lines += ["Test accuracy (%), mean ± standard deviation over fresh learners:", ""]
        lines += [*markdown_table(accuracy_matrix(evaluations)), "", "![all learners](learners.png)", ""]
        plot_learners(folder / "learners.png", evaluations, f"{title}: fresh learners of {len(learners)} architectures")
    lines += markdown_table(evaluation_table(evaluations))
    with replacing(folder / "evaluation.md") as file:
        file.write(("\n".join(lines) + "\n").encode())
    with replacing(folder / "evaluation.json") as file:
        file.write(json.dumps({**facts, "results": [e.to_json() for e in evaluations]}, indent=1).encode())
    for learner in learners:
        shown = [e for e in evaluations if e.architecture == learner and e.curve_steps]
        if shown:
            plot_accuracy(folder / _picture_of(learner), shown, f"{title}: fresh {learner} learners")


def _picture_of(learner: str) -> str:
    return f"accuracy-{learner.replace(':', '-').replace(',', '-')}.png"


def _pictures_of(learners: Sequence[str]) -> list[str]:
    return [*map(_picture_of, learners), *(["learners.png"] if len(learners) > 1 else [])]


def _learners_before(folder: Path) -> list[str]:
    """Returns the architectures of the evaluation that the folder holds; none if there is none, or it is damaged."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        results = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))["results"]
        return list(dict.fromkeys(str(result["architecture"]) for result in results))
    return []
