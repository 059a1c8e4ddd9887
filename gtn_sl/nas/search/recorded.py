"""A search with a folder of its outputs: the result, TensorBoard curves and the anytime curve."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gtn_core.config import to_dict
from gtn_core.counts import require_counts
from gtn_core.errors import GTNError, UsageError
from gtn_core.folder import make_folder
from gtn_sl.nas.rankers import Ranker, Setting, find_ranker
from gtn_sl.nas.results import safe_name
from gtn_sl.nas.search.ledger import Budget
from gtn_sl.nas.search.protocol import Search, find_search
from gtn_sl.nas.search.report import DOCUMENT, SearchTracker, plot_anytime, read_search, write_search
from gtn_sl.nas.search.run import Evaluation, run_search
from gtn_sl.nas.spaces import find_space


def search_architectures(
    ranker: str,
    budget: Budget,
    *,
    search: str = "evolution",
    space: str = "nb201-small",
    task: str = "mnist",
    seeds: int = 1,
    seed: int = 0,
    data_dir: str | Path | None = None,
    out: str | Path = Path("runs") / "nas" / "search",
    listener: Callable[[Evaluation, float], object] = lambda evaluation, share: None,
    command: str = "",
) -> dict[str, Any]:
    """Searches a space for the best architecture by a ranker, until a budget is spent, as ``gtn-cli nas search`` does.

    Args:
        ranker: Specification of the ranker, e.g. ``teacher@file=mnist-search,steps=32`` or ``package.module:function``.
        budget: The budget, of judging and preparing.
        search: Specification of the search.
        space: Specification of the search space.
        task: The real task, see ``gtn_sl.load_task``.
        seeds: Judgements averaged in each score.
        seed: Root seed of the search.
        data_dir: Folder of the image files; see ``gtn_sl.load_task``.
        out: Work folder, which keeps the judgements, so that the same call resumes an interrupted search. The search gets
            a folder of its own in it.
        listener: Called as ``listener(evaluation, spent fraction of the budget)`` after each evaluation.
        command: What makes the search, for its record.

    Returns:
        The content of ``search.json``, e.g. ``winners``, pairs of encoding and score, best first, ``ledger`` and
        ``history``; and ``folder``, the search's own.

    Raises:
        UsageError: A name is unknown, there is no budget, the search and the ranker are incompatible, or the folder holds
            a different search or one with a larger budget.
        GTNError: The ranker does not support this setting or failed on every architecture, or a file cannot be read or
            written.
    """
    require_counts(seeds=seeds)
    known, judge, way = find_space(space), find_ranker(ranker), find_search(search)
    budget.limits()
    setting = Setting.of(known, task, data_dir, seed=seed)
    folder, told = make_folder(Path(out) / f"{safe_name(way.name)}-{seed}"), {"command": command}
    found = recorded_search(
        way, judge, setting, budget, Path(out), folder, told, seed=seed, seeds=seeds, listener=listener
    )
    if not found["winners"]:
        reason = found["history"][-1]["failure"]
        raise GTNError(f"{judge.name} failed on every architecture: {reason}; see {folder / DOCUMENT}")
    return read_search(folder)


def recorded_search(
    search: Search,
    ranker: Ranker,
    setting: Setting,
    budget: Budget,
    work: Path,
    folder: Path,
    facts: Mapping[str, Any] | None = None,
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
        facts: Facts to add to the outputs, besides space, task and budget.
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
    place = {"space": setting.space.name, **setting.task.identity()}
    facts = {**place, "budget": to_dict(budget), **(facts or {}), **own}
    _refuse_another(folder, {key: facts[key] for key in (*place, *own)}, budget)
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
        found = dict(json.loads((folder / DOCUMENT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return  # no search, or an unreadable one
    others = [f"{key} {found[key]}" for key, value in asked.items() if found.get(key, value) != value]
    before = found.get("budget", {})
    others += [f"{key} {before[key]}" for key, limit in budget.limits().items() if limit < (before.get(key) or 0)]
    if others:
        raise UsageError(f"{folder} already holds a search with {', '.join(others)}; choose another folder (--out)")
