"""A search with a folder of its outputs: the result, TensorBoard curves and the anytime curve."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gtn_core.errors import UsageError
from gtn_core.folder import make_folder
from gtn_sl.nas.rankers import Ranker, Setting
from gtn_sl.nas.search.ledger import Budget
from gtn_sl.nas.search.protocol import Search
from gtn_sl.nas.search.report import SearchTracker, plot_anytime, write_search
from gtn_sl.nas.search.run import Evaluation, run_search


def recorded_search(
    search: Search,
    ranker: Ranker,
    setting: Setting,
    budget: Budget,
    work: Path,
    folder: Path,
    facts: Mapping[str, Any],
    *,
    seed: int = 0,
    seeds: int = 1,
    listener: Callable[[Evaluation, float], object] = lambda evaluation, share: None,
) -> dict[str, Any]:
    """Runs a search and writes its outputs; see ``run_search``.

    Args:
        search: The search.
        ranker: The ranker that judges.
        setting: Space, task and images.
        budget: The budget.
        work: Work folder, which keeps the judgements.
        folder: Output folder for ``search.json``, ``metrics.jsonl``, TensorBoard events and ``anytime.png``.
        facts: Facts to add to the outputs, such as space, task and data.
        seed: Root seed of the search.
        seeds: Judgements averaged in each score.
        listener: Called as ``listener(evaluation, spent fraction of the budget)`` after each evaluation.

    Returns:
        The content of ``search.json``.

    Raises:
        UsageError: There is no budget, the search and the ranker are incompatible, or the folder cannot be created or
            holds a different search or one with a larger budget.
        GTNError: The ranker does not support this setting, or a file cannot be written.
    """
    own = {"search": search.name, "seeds": seeds, **ranker.identity()}
    _refuse_another(folder, {**{key: facts[key] for key in ("space", "task", "data") if key in facts}, **own}, budget)
    facts = {**facts, **own}
    tracker = SearchTracker(make_folder(folder), facts)

    def listen(evaluation: Evaluation, share: float) -> None:
        tracker(evaluation, share)
        listener(evaluation, share)

    try:
        found = run_search(search, ranker, setting, budget, work, seed=seed, seeds=seeds, listener=listen)
    finally:
        tracker.close()
    document = write_search(folder, found, facts)
    plot_anytime(folder / "anytime.png", {folder.name: document})
    return document


def _refuse_another(folder: Path, asked: Mapping[str, Any], budget: Budget) -> None:
    """Protects a finished search that differs in something asked for, or has a larger budget, from being replaced.

    Raises:
        UsageError: The folder holds such a search, or the budget sets no limit.
    """
    try:
        found = dict(json.loads((folder / "search.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return  # no search, or an unreadable one
    others = [f"{key} {found[key]}" for key, value in asked.items() if found.get(key, value) != value]
    before = found.get("budget", {})
    others += [f"{key} {before[key]}" for key, limit in budget.limits().items() if limit < (before.get(key) or 0)]
    if others:
        raise UsageError(f"{folder} already holds a search with {', '.join(others)}; choose another folder (--out)")
