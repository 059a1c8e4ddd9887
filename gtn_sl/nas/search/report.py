"""Reports of searches: the history as JSON, TensorBoard curves, and a plot of several searches' anytime curves."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from gtn_core.errors import DataError, UsageError
from gtn_core.run_folder import RunFolder
from gtn_core.saved_figure import save_figure
from gtn_core.tracking import RunTracker
from gtn_core.whole_file import replacing
from gtn_sl.data import find_task
from gtn_sl.nas.search.run import Evaluation, Found
from gtn_sl.reports.plots import COLOURS

log = logging.getLogger(__name__)

DOCUMENT = "search.json"
KIND = "architecture-search"


class SearchTracker:
    """Logs every evaluation to ``metrics.jsonl`` and TensorBoard, against the number of judgements.

    Args:
        folder: Output folder; created if it does not exist.
        settings: Facts about the search, as JSON values.

    Raises:
        GTNError: The files cannot be written.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._tracker = RunTracker(RunFolder(folder), settings=settings)

    def __call__(self, evaluation: Evaluation, share: float) -> None:
        """Logs an evaluation; see ``run_search``."""
        spent = {key: value for key, value in evaluation.spent.items() if value is not None}
        number = int(spent.pop("evaluations"))
        values = {f"cost/{key}": value for key, value in spent.items()}
        values |= {"search/score": evaluation.value} if evaluation.value is not None else {}
        if evaluation.incumbent_value is not None:
            values["search/best"] = evaluation.incumbent_value
        self._tracker.scalars(number, values)

    def close(self) -> None:
        """Flushes and closes the files."""
        self._tracker.close()


def write_search(folder: Path, found: Found, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Writes ``search.json`` with the winners, the ledger and every evaluation, and returns its content.

    Args:
        folder: Output folder; must exist.
        found: Result of the search.
        facts: Space, task and anything else that a reader needs.
    """
    document = {"kind": KIND, **facts, **found.to_json()}
    with replacing(folder / DOCUMENT) as file:
        file.write(json.dumps(document, indent=1).encode())
    return document


def read_search(source: str | Path) -> dict[str, Any]:
    """Reads the result of a search, e.g. to train its winners.

    Args:
        source: The search's folder, or its ``search.json``.

    Returns:
        What ``search_architectures`` returned.

    Raises:
        UsageError: It is not the result of a search, or its task is unknown.
        DataError: A user's own images have changed since the search, or are missing.
    """
    path = Path(source)
    path = path / DOCUMENT if path.is_dir() else path
    try:
        document = dict(json.loads(path.read_text(encoding="utf-8")))
        document["space"], document["task"], [text for text, _ in document["winners"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{source} is not a folder of gtn-cli nas search: {type(error).__name__}: {error}") from error
    if find_task(document["task"]).digest != document.get("data"):
        raise DataError(f"the images of {document['task']} differ from those that the search in {source} was made on")
    return {**document, "folder": str(path.parent)}


def read_searches(folder: Path) -> dict[str, dict[str, Any]]:
    """Returns the searches in a folder and its subfolders, by relative path; skips damaged ones with a warning."""
    found = {}
    for path in sorted(folder.rglob(DOCUMENT)):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document["kind"] != KIND:
                raise ValueError(f"its kind is {document['kind']!r}")
            for needed in ("search", "ranker", "winners", "history"):
                document[needed]
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s is not the result of a search; ignoring it: %s", path, error)
        else:
            below = path.parent.relative_to(folder)
            found[str(below) if below.name else folder.resolve().name] = document
    return found


def plot_anytime(path: Path, searches: Mapping[str, Mapping[str, Any]]) -> None:
    """Plots the best score so far against CPU-seconds, one line per search; dots are single evaluations."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for (name, found), colour in zip(searches.items(), COLOURS * len(searches), strict=False):
        for key, draw, style in (
            ("value", axes.plot, {"marker": ".", "linestyle": "", "alpha": 0.25, "markersize": 3}),
            ("incumbent_value", axes.step, {"where": "post", "label": f"{name} ({found['search']})"}),
        ):
            known = [(row["spent"]["cpu_seconds"], row[key]) for row in found["history"] if row[key] is not None]
            draw([seconds for seconds, _ in known], [value for _, value in known], color=colour, **style)
    axes.set_xlabel("CPU-seconds of judging and preparing")
    axes.set_ylabel("score by the ranker")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    save_figure(figure, path)


def winners_table(found: Mapping[str, Any], count: int) -> Sequence[dict[str, str]]:
    """Returns the rows of a table of the best ``count`` architectures, with text cells."""
    return [
        {"rank": str(place), "architecture": text, "score": f"{value:.4g}"}
        for place, (text, value) in enumerate(found["winners"][:count], start=1)
    ]
