"""Ranking: a ranker's score of each architecture and its cost; failures rank last."""

from __future__ import annotations

import itertools
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
"""Maximum number of judgements of one architecture under one root seed."""

TORCH_SEEDS = 1 << 32
"""Number of seeds that torch's CPU generator tells apart: it reads 32 bits."""


def judgement_seeds(root: int, count: int) -> Sequence[int]:
    """Returns the seeds, below 2**63, of ``count`` judgements under a root seed.

    Torch's CPU generator reads the low 32 bits of a seed, and no two of these seeds agree in them. Those of different
    roots differ in them, too, if both roots are below 65,536; other roots have random seeds, which may agree by chance.

    Raises:
        UsageError: ``count`` exceeds ``MOST_SEEDS``.
    """
    if count > MOST_SEEDS:
        raise UsageError(f"an architecture can be judged at most {MOST_SEEDS:,} times, not {count:,}")
    if root < TORCH_SEEDS // MOST_SEEDS:
        return range(root * MOST_SEEDS, root * MOST_SEEDS + count)
    seeds = dict[int, int]()  # by what torch reads of them
    drawn = (Streams(root).seed("judgement", index) for index in itertools.count())
    while len(seeds) < count:
        seed = next(drawn)
        seeds.setdefault(seed % TORCH_SEEDS, seed)
    return [*seeds.values()]


@dataclass(frozen=True)
class Scores:
    """A ranker's scores of a set of architectures.

    Attributes:
        ranker: Specification of the ranker.
        values: Mean score over seeds, by encoding; minus infinity if any seed failed.
        failures: First reason for failure of each failed architecture, by encoding.
        costs: Mean cost of one judgement, by the names in ``COSTS``.
        prepared: CPU-seconds spent on preparation.
        paid_before: CPU-seconds spent before that, e.g. on the teacher; ``None`` if unknown.
    """

    ranker: str
    values: dict[str, float]
    failures: dict[str, str]
    costs: dict[str, float]
    prepared: float
    paid_before: float | None

    def order(self) -> list[str]:
        """Returns the encodings, best first; failures come last, and ties keep their order."""
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
    """Scores architectures, reusing the judgements that the work folder already holds.

    Args:
        ranker: The ranker.
        candidates: Architectures of the setting's space.
        setting: Space, task and images.
        seeds: Each architecture is judged once with each seed.
        folder: Work folder; the ranker's results get their own folder in it.
        after_one: Called once per judgement, including those of earlier runs.
        world: Processes that share the judgements; all must see the folder. Rank 0 prepares the ranker and writes
            results, and the other ranks read what it has prepared.

    Raises:
        UsageError: There are no architectures or no seeds.
        GTNError: The ranker does not support this setting, or a file cannot be written. Any exception while an
            architecture is judged is recorded as its failure instead.
    """
    if not candidates or not seeds:
        raise UsageError(f"ranker {ranker.name}: no architectures or no seeds given")
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
    """Returns a ranker's scores from its folder, or ``None`` if any of these architectures or seeds is missing."""
    found = {encoding: results.read(encoding) for encoding in encodings}
    if not all(set(seeds) <= set(runs) for runs in found.values()):
        return None
    return _collect(results, {encoding: {seed: runs[seed] for seed in seeds} for encoding, runs in found.items()})


def _collect(results: ResultFolder, found: dict[str, Runs]) -> Scores:
    """Aggregates the runs of each architecture over seeds."""
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
