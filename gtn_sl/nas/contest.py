"""Contests: searches at equal cost, over several seeds, and the accuracy of the architectures that they find."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gtn_core.config import to_dict
from gtn_core.errors import GTNError
from gtn_core.seeding import Streams
from gtn_core.workers import run_jobs
from gtn_sl.data import find_task
from gtn_sl.nas.candidate import Candidate, decode_all
from gtn_sl.nas.final_training import FinalTraining
from gtn_sl.nas.rankers import Setting, find_ranker
from gtn_sl.nas.results import folder_for
from gtn_sl.nas.search import Budget, find_search, recorded_search
from gtn_sl.nas.search.report import DOCUMENT
from gtn_sl.nas.spaces import Space
from gtn_sl.nas.trainings import Course, train_all

SEARCHES = "searches"
"""Folder of the searches within the work folder."""

DRAWN = "drawn at random"
"""Name of the control, which costs nothing: one architecture drawn at random per seed."""


@dataclass(frozen=True)
class Contest:
    """The settings of a contest.

    Attributes:
        space: The search space.
        task: Name of the real task.
        rankers: Specifications of the rankers.
        searches: Specifications of the searches; each is run with every ranker.
        budget: Budget of each search.
        seeds: Runs of each ranker and search, with seeds from 0.
        data_dir: Folder of the image files.
    """

    space: Space
    task: str
    rankers: tuple[str, ...]
    searches: tuple[str, ...]
    budget: Budget
    seeds: int = 3
    data_dir: str | Path | None = None


@dataclass(frozen=True)
class Contestant:
    """The result of one ranker in one kind of search.

    Attributes:
        ranker: Specification of the ranker, or ``DRAWN``.
        search: Specification of the search; empty for ``DRAWN``.
        architectures: Encoding of the architecture found with each seed.
        accuracies: Test accuracy of each after long training, averaged over training seeds; ``None`` if one diverged.
        judgements: Mean number of judgements per search.
        cpu_seconds: Mean CPU-seconds per search, including preparation.
        paid_before: CPU-seconds spent before the search, e.g. on a teacher's meta-training; ``None`` if unknown.
    """

    ranker: str
    search: str
    architectures: tuple[str, ...]
    accuracies: tuple[float | None, ...]
    judgements: float = 0.0
    cpu_seconds: float = 0.0
    paid_before: float | None = 0.0


@dataclass(frozen=True)
class _Job:
    contest: Contest
    ranker: str
    search: str
    seed: int
    work: Path

    @property
    def title(self) -> str:
        return f"the search ({self.search}) by {self.ranker}, seed {self.seed}"

    @property
    def key(self) -> tuple[str, str, int]:
        return self.ranker, self.search, self.seed

    def folder(self) -> Path:
        """Returns this search's folder, which is specific to everything that the result depends on."""
        contest, ranker = self.contest, find_ranker(self.ranker)
        task = find_task(contest.task).identity()
        own = {"space": contest.space.name, **task, "search": self.search, "seed": self.seed}
        identity = {**ranker.identity(), **own, "budget": to_dict(contest.budget)}
        results = folder_for(self.work / SEARCHES, f"{ranker.name}-{self.search}-{self.seed}", identity)
        results.identify(identity)
        return results.path


def hold_contest(
    contest: Contest,
    training: FinalTraining,
    work: Path,
    *,
    training_seeds: int = 1,
    workers: int = 1,
    progress: Callable[[str, int, int], object] = lambda what, done, of: None,
) -> list[Contestant]:
    """Runs the searches and trains the architectures found, reusing the results that the work folder already holds.

    Args:
        contest: The contest.
        training: Settings for training the architectures found.
        work: Work folder, which keeps judgements, searches and trainings.
        training_seeds: Trainings of each architecture found.
        workers: Number of processes, with one thread each.
        progress: Called with ``("searches" or "trainings", done, total)``.

    Returns:
        One entry per ranker and search, ordered by ranker, followed by the control.

    Raises:
        UsageError: A name is unknown, there is no budget, or a search and a ranker are incompatible.
        GTNError: A ranker does not support this setting or failed on every architecture, or a worker died. Finished work
            is kept.
    """
    contest.budget.limits()
    rankers = dict.fromkeys(find_ranker(text).name for text in contest.rankers)  # a wrong name fails before any work
    searches = dict.fromkeys(find_search(text).name for text in contest.searches)
    sides = list(itertools.product(rankers, searches))
    # Alternate between rankers, so that a ranker's preparation is on disk when its next search starts.
    turns = itertools.product(searches, range(contest.seeds), rankers)
    jobs = [_Job(contest, ranker, search, seed, work) for search, seed, ranker in turns]
    documents = _search_all(jobs, workers, progress)
    found = {
        (ranker, search): [documents[ranker, search, seed] for seed in range(contest.seeds)] for ranker, search in sides
    }
    winners = {side: [_winner(side[0], document) for document in some] for side, some in found.items()}
    winners[DRAWN, ""] = [_drawn(contest.space, seed).encoding for seed in range(contest.seeds)]

    everyone = list(dict.fromkeys(text for some in winners.values() for text in some))
    course, trained = Course(contest.space, contest.task, training, contest.data_dir, keeps_networks=True), 0

    def count(job: object) -> None:
        nonlocal trained
        trained += 1
        progress("trainings", trained, len(everyone) * training_seeds)

    runs = train_all(
        course,
        decode_all(contest.space, everyone),
        range(training_seeds),
        work,
        workers=workers,
        after_one=count,
    )
    accuracies = {text: _accuracy(list(some.values())) for text, some in runs.items()}
    entries = []
    for (ranker, search), some in winners.items():
        judgements, seconds, paid_before = _costs(found.get((ranker, search), []))
        reached = tuple(accuracies[text] for text in some)
        entries.append(Contestant(ranker, search, tuple(some), reached, judgements, seconds, paid_before))
    return entries


def _search_all(
    jobs: list[_Job], workers: int, progress: Callable[[str, int, int], object]
) -> dict[tuple[str, str, int], dict[str, Any]]:
    """Returns the document of each search, by ranker, search and seed."""
    found = {job.key: known for job in jobs if (known := _known(job)) is not None}
    progress("searches", len(found), len(jobs))

    def keep(job: _Job, document: dict[str, Any]) -> None:
        found[job.key] = document
        progress("searches", len(found), len(jobs))

    missing = [job for job in jobs if job.key not in found]
    if missing:
        run_jobs(_search, missing, workers, keep, lambda job: job.title)
    return found


def _search(job: _Job) -> dict[str, Any]:
    contest = job.contest
    setting = Setting.of(contest.space, contest.task, contest.data_dir, seed=job.seed)
    search, ranker = find_search(job.search), find_ranker(job.ranker)
    return recorded_search(search, ranker, setting, contest.budget, job.work, job.folder(), seed=job.seed)


def _known(job: _Job) -> dict[str, Any] | None:
    """Returns the document of an earlier, finished search with at least one winner, or ``None``."""
    try:
        document = json.loads((job.folder() / DOCUMENT).read_text(encoding="utf-8"))
        return document if isinstance(document, dict) and document.get("winners") else None
    except (FileNotFoundError, ValueError):
        return None


def _winner(ranker: str, document: Mapping[str, Any]) -> str:
    if not document["winners"]:
        raise GTNError(f"{ranker} failed on every architecture: {document['history'][-1]['failure']}")
    return str(document["winners"][0][0])


def _drawn(space: Space, seed: int) -> Candidate:
    return Candidate(space, space.sample(Streams(seed).numpy("drawn")))


def _accuracy(runs: Sequence[Mapping[str, Any]]) -> float | None:
    """Returns the mean test accuracy over an architecture's trainings, or ``None`` if one diverged."""
    diverged = any(run["failure"] is not None for run in runs)
    return None if diverged else float(np.mean([run["test"] for run in runs]))


def _costs(documents: list[dict[str, Any]]) -> tuple[float, float, float | None]:
    """Returns the mean judgements and CPU-seconds per search, and the CPU-seconds paid before (``None`` if unknown)."""
    ledgers = [document["ledger"] for document in documents]
    if not ledgers:
        return 0.0, 0.0, 0.0
    judgements, seconds = (
        float(np.mean([ledger[key] for ledger in ledgers])) for key in ("evaluations", "cpu_seconds")
    )
    paid_before = [ledger["paid_before"] for ledger in ledgers]
    return judgements, seconds, None if None in paid_before else float(max(paid_before))
