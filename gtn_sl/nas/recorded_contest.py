"""A contest with a folder of its outputs: the searches, the trainings of what they found, and the report."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gtn_core.config import to_dict
from gtn_core.counts import require_counts
from gtn_core.errors import UsageError
from gtn_sl.data import find_task
from gtn_sl.nas.contest import Contest, hold_contest
from gtn_sl.nas.contest_report import refuse_another_contest, write_contest
from gtn_sl.nas.final_training import FinalTraining
from gtn_sl.nas.listener import Listener, silent
from gtn_sl.nas.search import Budget
from gtn_sl.nas.spaces import find_space
from gtn_sl.nas.specification import each_of


def contest_rankers(
    rankers: str | Iterable[str],
    budget: Budget,
    *,
    searches: str | Iterable[str] = "evolution",
    space: str = "nb201-small",
    task: str = "mnist",
    seeds: int = 3,
    trainings: int = 1,
    settings: FinalTraining | None = None,
    workers: int = 1,
    data_dir: str | Path | None = None,
    out: str | Path = Path("runs") / "nas" / "contest",
    listener: Listener = silent,
    command: str = "",
) -> dict[str, Any]:
    """Lets rankers search at equal cost and trains what they find, as ``gtn-cli nas contest`` does.

    Args:
        rankers: Specifications of rankers, e.g. ``teacher@file=mnist-search,steps=32`` or ``package.module:function``.
        budget: Budget of each search.
        searches: Specifications of searches; each is run with every ranker.
        space: Specification of the search space.
        task: The real task, see ``gtn_sl.load_task``.
        seeds: Searches of each kind per ranker, with seeds from 0.
        trainings: Long trainings of each architecture found.
        settings: How each of them is trained; ``None`` for the defaults.
        workers: Number of processes, with one thread each. With several, a script needs
            ``if __name__ == "__main__":``, as always with ``multiprocessing``.
        data_dir: Folder of the image files; see ``gtn_sl.load_task``.
        out: Work folder, which gets ``contest.json``, ``contest.md`` and ``contest.png``. Searches and trainings that it
            already holds are read instead of made again.
        listener: Called with "searches", then with "trainings", each with the number of those that are done and of all.
        command: What holds the contest, for the report.

    Returns:
        The content of ``contest.json``: its ``entries``, one per ranker and search, and last the control.

    Raises:
        UsageError: A name is unknown, there is no budget, a number is not positive, a search and a ranker are
            incompatible, or the folder holds a contest of another space or task.
        GTNError: A ranker does not support this setting or failed on every architecture, a file cannot be read or
            written, or a worker died; finished work is kept.
    """
    require_counts(seeds=seeds, trainings=trainings, workers=workers)
    names, ways, found = each_of(rankers), each_of(searches), find_task(task)
    if not names or not ways:
        raise UsageError(f"no {'searches' if names else 'rankers'} given")
    training = settings or FinalTraining()
    contest = Contest(find_space(space), found.name, names, ways, budget, seeds, data_dir)
    question = {"space": contest.space.name, **found.identity()}
    refuse_another_contest(Path(out), question)
    entries = hold_contest(contest, training, Path(out), training_seeds=trainings, workers=workers, progress=listener)
    facts = {
        **question,
        "search": ", ".join(ways),
        "budget": {key: value for key, value in to_dict(budget).items() if value is not None},
        "training": to_dict(training),
        "trainings of each": trainings,
        **({"command": command} if command else {}),
    }
    return write_contest(Path(out), entries, facts)
