"""Ranking: a ranker's score of every architecture, with its cost; what failed comes last."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gtn_core.distributed import (
    SingleProcess,
    World,
    everywhere,
    first,
    first_before_others,
    first_on_each_machine,
    share_out,
)
from gtn_core.errors import UsageError
from gtn_core.seeding import Streams
from gtn_sl.nas.candidate import Candidate
from gtn_sl.nas.rankers import Ranker, Setting
from gtn_sl.nas.results import ResultFolder, Runs
from gtn_sl.nas.score_curves import ScoreCurves
from gtn_sl.nas.scorer import COSTS, Scorer

MOST_SEEDS = 1 << 16
"""Judgements of one architecture under one root seed."""


def judgement_seeds(root: int, count: int) -> Sequence[int]:
    """Returns the seeds, below 2**63, of ``count`` judgements under a root seed, none of which another root has."""
    if count > MOST_SEEDS:
        raise UsageError(f"an architecture is judged at most {MOST_SEEDS:,} times, not {count:,}")
    if root < (1 << 63) // MOST_SEEDS:
        return range(root * MOST_SEEDS, root * MOST_SEEDS + count)
    return [Streams(root).seed("judgement", index) for index in range(count)]


@dataclass(frozen=True)
class Scores:
    """What a ranker found.

    Attributes:
        ranker: Its specification.
        values: Mean score over seeds by encoding; minus infinity where a seed failed.
        failures: Why, by encoding.
        costs: Mean cost of judging one architecture once, by ``COSTS``.
        prepared: CPU-seconds that preparing took.
        paid_before: CPU-seconds spent before, e.g. on the teacher; ``None`` where nobody knows.
    """

    ranker: str
    values: dict[str, float]
    failures: dict[str, str]
    costs: dict[str, float]
    prepared: float
    paid_before: float | None

    def order(self) -> list[str]:
        """Returns the encodings, the best first; what failed comes last, and equals keep their order."""
        return sorted(self.values, key=lambda encoding: -self.values[encoding])


def rank(
    ranker: Ranker,
    candidates: Sequence[Candidate],
    setting: Setting,
    seeds: Sequence[int],
    folder: Path,
    after_one: Callable[[], object] = lambda: None,
    world: World | None = None,
) -> Scores:
    """Judges architectures that a folder does not hold scores of already.

    Args:
        ranker: How.
        candidates: What; of the setting's space.
        setting: Where.
        seeds: Each architecture is judged once with each.
        folder: A folder of work; the ranker's results get a folder of their own in it.
        after_one: Called after each judgement, those of earlier runs included.
        world: The processes that the judgements are shared out to. All must see the folder; the first one prepares the ranker
            and writes, and the others read what it has prepared.

    Raises:
        UsageError: There is nothing to judge.
        GTNError: The ranker cannot judge here, or a file cannot be written. Whatever it raises over one architecture is that
            one's result.
    """
    if not candidates or not seeds:
        raise UsageError(f"ranker {ranker.name}: there are no architectures to judge, or no seeds")
    world, by_text = world or SingleProcess(), {candidate.encoding: candidate for candidate in candidates}
    scorer = everywhere(world, lambda: Scorer(ranker, setting, folder))
    known = first(world, lambda: [(text, [*scorer.known(text).items()]) for text in by_text])
    found: dict[str, Runs] = {text: dict(runs) for text, runs in known}
    missing = [(text, seed) for text in by_text for seed in seeds if seed not in found[text]]
    for _ in range(len(by_text) * len(seeds) - len(missing)):
        after_one()

    curves = ScoreCurves(scorer.results) if missing and world.rank == 0 else None

    def keep(job: tuple[str, int], run: dict[str, Any]) -> None:
        text, seed = job
        found[text][seed] = run
        if curves is not None:
            scorer.results.write(text, found[text])
            curves.add(run)
        after_one()

    try:
        if missing:
            first_on_each_machine(world, scorer.check)
            first_before_others(world, scorer.prepared)
            share_out(world, missing, lambda job: scorer.judge(by_text[job[0]], job[1]), keep)
    finally:
        if curves is not None:
            curves.close()
    runs = {text: {seed: found[text][seed] for seed in seeds} for text in by_text}
    return _collect(scorer.results, runs)


def read_scores(results: ResultFolder, encodings: Sequence[str], seeds: Sequence[int]) -> Scores | None:
    """Returns a ranker's scores from its folder; ``None`` where it lacks one of these architectures or seeds."""
    found = {encoding: results.read(encoding) for encoding in encodings}
    if not all(set(seeds) <= set(runs) for runs in found.values()):
        return None
    return _collect(results, {encoding: {seed: runs[seed] for seed in seeds} for encoding, runs in found.items()})


def _collect(results: ResultFolder, found: dict[str, Runs]) -> Scores:
    """Puts the runs of each architecture together."""
    identity = results.identity()
    values, failures = {}, {}
    for encoding, runs in found.items():
        failed = [run["failure"] for run in runs.values() if run["failure"] is not None]
        if failed:
            failures[encoding] = failed[0]
        values[encoding] = -math.inf if failed else float(np.mean([run["value"] for run in runs.values()]))
    costs = {key: float(np.mean([run[key] for runs in found.values() for run in runs.values()])) for key in COSTS}
    paid_before = identity.get("paid_before")
    return Scores(
        ranker=str(identity.get("ranker", results.path.name)),
        values=values,
        failures=failures,
        costs=costs,
        prepared=float(identity.get("prepared", 0.0)),
        paid_before=None if paid_before is None else float(paid_before),
    )
