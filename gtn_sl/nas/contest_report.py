"""Reports of a contest: a table, a plot and the full result as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gtn_core.errors import DataError, UsageError
from gtn_core.markdown import markdown_table
from gtn_core.saved_figure import save_figure
from gtn_core.whole_file import replacing
from gtn_sl.nas.contest import DRAWN, Contestant
from gtn_sl.nas.ranker_names import short_name

CONTEST = "contest.json"

COLOUR, CONTROL = "#0b6e4f", "#8a8a8a"


def write_contest(folder: Path, entries: Sequence[Contestant], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Writes ``contest.json``, ``contest.md`` and ``contest.png``.

    Args:
        folder: Output folder; must exist.
        entries: Result of each ranker and search.
        facts: Space, task, budget and anything else that a reader needs.

    Returns:
        The content of the JSON file.
    """
    document = {**facts, "entries": [dataclasses.asdict(entry) for entry in entries]}
    with replacing(folder / CONTEST) as file:
        file.write(json.dumps(document, indent=1).encode())
    lines = ["# Searches at equal cost", "", *(f"- {key}: {value}" for key, value in facts.items()), ""]
    lines += [*markdown_table(contest_table(entries)), "", "![contest](contest.png)"]
    with replacing(folder / "contest.md") as file:
        file.write(("\n".join(lines) + "\n").encode())
    _draw(folder / "contest.png", entries, f"{facts['space']} on {facts['task']}: what searches at equal cost find")
    return document


def read_contest(folder: Path) -> tuple[list[Contestant], dict[str, Any]]:
    """Reads the entries and the facts that ``write_contest`` wrote.

    Raises:
        DataError: The file is missing or damaged.
    """
    path = folder / CONTEST
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        entries = entries_of(document)
        del document["entries"]
        document["space"], document["task"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is not the result of a contest: {error}; run gtn-cli nas contest again") from error
    return entries, document


def entries_of(document: Mapping[str, Any]) -> list[Contestant]:
    """Returns the entries in the content of ``contest.json``."""
    return [Contestant(**_tuples(entry)) for entry in document["entries"]]


def refuse_another_contest(folder: Path, question: Mapping[str, Any]) -> None:
    """Protects a folder's contest from being replaced by one on another space, task or data set.

    Raises:
        UsageError: The folder's contest has another space, task or data digest than ``question``.
        DataError: The folder's contest is damaged.
    """
    if not (folder / CONTEST).is_file():
        return
    _, before = read_contest(folder)
    if any(before.get(key) != question.get(key) for key in ("space", "task", "data")):
        what = f"{before['space']} on {before['task']}"
        raise UsageError(f"{folder} already holds a contest of {what}; choose another folder (--out)")


def _tuples(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}


def contest_table(entries: Sequence[Contestant]) -> list[dict[str, str]]:
    """Returns one table row per entry, with text cells; accuracies are over its searches."""
    return [
        {
            "ranker": short_name(entry.ranker),
            "search": short_name(entry.search),
            "test accuracy of what it found": _mean(entry),
            "worst": f"{_percent(entry).min():.2f}%" if _percent(entry).size else "-",
            "judgements": f"{entry.judgements:.0f}",
            "CPU s": f"{entry.cpu_seconds:.0f}",
            "paid before, CPU s": "unknown" if entry.paid_before is None else f"{entry.paid_before:.0f}",
        }
        for entry in entries
    ]


def _percent(entry: Contestant) -> NDArray[np.float64]:
    """Returns the accuracies of an entry in percent, without diverged networks."""
    return 100 * np.array([value for value in entry.accuracies if value is not None])


def _mean(entry: Contestant) -> str:
    values, count = _percent(entry), len(entry.accuracies)
    spread = f" ± {values.std(ddof=1):.2f}" if values.size > 1 else ""
    mean = f"{values.mean():.2f}%{spread}" if values.size else "nothing"
    return mean if values.size == count else f"diverged: {count - values.size} of {count}; others {mean}"


def _title(entry: Contestant, *, several: bool) -> str:
    search = f", {short_name(entry.search)}" if several and entry.search else ""
    return short_name(entry.ranker) + search


def _draw(path: Path, entries: Sequence[Contestant], title: str) -> None:
    """Plots one line per entry: a dot per search, a bar for the mean; labels name the kind of search if it varies."""
    several = len({entry.search for entry in entries if entry.search}) > 1
    figure = Figure(figsize=(8, 1.2 + 0.5 * len(entries)), layout="constrained")
    axes = figure.add_subplot()
    for place, entry in enumerate(reversed(entries)):
        values = _percent(entry)
        colour = CONTROL if entry.ranker == DRAWN else COLOUR
        axes.plot(values, [place] * len(values), "o", color=colour, alpha=0.6)
        if values.size:
            axes.plot(values.mean(), place, "|", color=colour, markersize=22, markeredgewidth=3)
    axes.set_yticks(range(len(entries)), [_title(entry, several=several) for entry in reversed(entries)], fontsize=8)
    axes.set_ylim(-0.6, len(entries) - 0.4)
    axes.set_xlabel("test accuracy after a long training on real data (%); dot: one search, bar: mean", fontsize=9)
    axes.set_title(title, loc="left", fontsize=10)
    axes.grid(alpha=0.3, axis="x")
    axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)
