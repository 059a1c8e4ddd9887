"""A search with all that it leaves in its folder: the result, TensorBoard's curves, the anytime curve."""

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
    """Searches; see ``run_search``.

    Args:
        search: How.
        ranker: Who judges.
        setting: Where.
        budget: What it may spend.
        work: Folder of work, which keeps the judgements.
        folder: Gets ``search.json``, ``metrics.jsonl``, TensorBoard's events and ``anytime.png``.
        facts: What a reader of these needs besides.
        seed: Root of the search's randomness.
        seeds: Judgements that a score is the mean of.
        listener: Called after each judgement with it and the share of the budget that is spent.

    Returns:
        What ``search.json`` holds.

    Raises:
        UsageError: Search and ranker do not go together, a folder cannot be made, or it holds another search or one with a
            larger budget.
        GTNError: The ranker cannot judge here, or a file cannot be written.
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
    """Raises UsageError where a folder holds a finished search of something else, or of a larger budget, which would be lost."""
    try:
        found = dict(json.loads((folder / "search.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return  # there is none, or nothing that could be read of it
    others = [f"{key} {found[key]}" for key, value in asked.items() if found.get(key, value) != value]
    before = found.get("budget", {})
    others += [f"{key} {before[key]}" for key, limit in budget.limits().items() if limit < (before.get(key) or 0)]
    if others:
        raise UsageError(f"{folder} holds a search with {', '.join(others)}: give this one another folder (--out)")
